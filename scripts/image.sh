#!/usr/bin/env bash
# Builds the images of the programs by k8s/image/Containerfile, and for each an archive that a cluster without a registry
# can load, and a bill of materials (CycloneDX): target/images/xr-NAME.tar, target/images/xr-NAME.cdx.json. Prints the sizes.
#
#   scripts/image.sh                   compiles in Docker's image of Rust
#   scripts/image.sh --prebuilt DIR    takes the programs out of DIR, such as target/release after `make build` on Debian 12
#
#   ENGINE       buildah, podman or docker; the first that is there
#   REPOSITORY   what stands before the image's name: xrbench, or ghcr.io/you/xrbench
#   TAG          the version in Cargo.toml
#   NAMES        the images: renderer streamer client collector lisp, and reference, which is ffmpeg
set -euo pipefail
cd "$(dirname "$0")/.."

prebuilt=
case ${1:-} in
    '') ;;
    --prebuilt) prebuilt=${2:?the folder of the programs, such as target/release} ;;
    *) sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
esac
read -ra names <<<"${NAMES:-renderer streamer client collector lisp reference}"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
repository=${REPOSITORY:-xrbench}
tag=${TAG:-$version}
case $repository in *.*/*) ;; *) repository=docker.io/$repository ;; esac
engine=${ENGINE:-$(for one in buildah podman docker; do command -v "$one" && break; done || true)}
[ -n "$engine" ] || { echo "image: neither buildah nor podman nor docker is here; apt-get install buildah" >&2; exit 1; }
engine=${engine##*/}

arguments=()
if [ -n "$prebuilt" ]; then
    # glibc only works with programs that were linked against its own version or an older one.
    grep -q '^VERSION_ID="12"' /etc/os-release ||
        echo "image: these programs should have been built on Debian 12, as the images' libraries are" >&2
    rm -rf target/image && mkdir -p target/image
    for name in "${names[@]}"; do
        [ "$name" = reference ] && continue
        cp "$prebuilt/xr-$name" target/image/ || { echo "image: run make build first, or name another folder" >&2; exit 1; }
    done
    arguments+=(--build-arg BINARIES=prebuilt)
fi
arguments+=(
    --label "org.opencontainers.image.version=$version"
    --label "org.opencontainers.image.revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)"
    --label "org.opencontainers.image.created=$(date -u +%Y-%m-%dT%H:%M:%SZ)"
    --label "org.opencontainers.image.base.name=docker.io/library/debian:bookworm-slim"
)
[ -z "${SOURCE:-}" ] || arguments+=(--label "org.opencontainers.image.source=$SOURCE")

build() { # build NAME IMAGE
    case $engine in
        # Layers keep what they have in common; chroot needs no more rights than the one who builds has.
        buildah) buildah build --isolation chroot --layers --file k8s/image/Containerfile "${arguments[@]}" --target "$1" --tag "$2" . ;;
        *) "$engine" build --file k8s/image/Containerfile "${arguments[@]}" --target "$1" --tag "$2" . ;;
    esac
}
save() { # save IMAGE FILE
    rm -f "$2"
    case $engine in
        buildah) buildah push --quiet "$1" "docker-archive:$2:$1" ;;
        *) "$engine" save --output "$2" "$1" ;;
    esac
}

mkdir -p target/images
log=target/images/build.log
: >"$log"
for name in "${names[@]}"; do
    image=$repository/$name:$tag archive=target/images/xr-$name.tar
    build "$name" "$image" >>"$log" 2>&1 || { tail -20 "$log" >&2; echo "image: xr-$name was not built; $log says more" >&2; exit 1; }
    save "$image" "$archive" >>"$log" 2>&1
    python3 k8s/image/sbom.py "$name" "$archive" "target/images/xr-$name.cdx.json"
    printf 'image: %-40s %4d MB, %3d MB compressed\n' "$image" \
        $(($(stat -c %s "$archive") / 1000000)) $(($(gzip -1 -c "$archive" | wc -c) / 1000000))
done
echo "image: archives and bills of materials are in target/images"
