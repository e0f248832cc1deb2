#!/usr/bin/env bash
# Installs what xrbench needs from Debian, and only what is missing. Prints what it does; asks for root only if it must.
set -euo pipefail

packages=(
    # to build: the compiler, and the libraries that the services and the OCR link
    build-essential pkg-config clang libclang-dev
    libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev libgstrtspserver-1.0-dev
    libtesseract-dev libleptonica-dev
    # to stream: encoder, decoder, RTP and RTSP elements
    gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
    gstreamer1.0-plugins-ugly gstreamer1.0-libav gstreamer1.0-rtsp
    # to play over TLS
    glib-networking
    # to measure: OCR, and the reference pipeline with the font that it draws its clock in
    tesseract-ocr tesseract-ocr-eng ffmpeg fonts-dejavu-core
    # to build labs: rules, devices, tunnels, captures, real-time scheduling
    nftables iproute2 wireguard-tools wireguard-go tcpdump tshark util-linux
    # to scrape a run
    prometheus
    # to compare tunnels of LISP with: another implementation, load, switches of links
    openoverlayrouter iperf3 ethtool curl iputils-ping
    # to compare mappings of LISP with: names of a short life
    bind9 bind9-dnsutils
    # to fetch the test video, and to look at reports in the tests; another RTSP server, for the tests
    python3 python3-pip unzip chromium python3-gi gir1.2-gst-rtsp-server-1.0
)

if ! command -v dpkg-query >/dev/null; then
    echo "deps: this is not a Debian system. Install the equivalents of: ${packages[*]}" >&2
    exit 1
fi

if ! command -v cargo >/dev/null; then
    echo "deps: cargo is missing. Install Rust 1.95 or newer with rustup (https://rustup.rs), then run this again." >&2
    exit 1
fi

missing=()
for package in "${packages[@]}"; do
    [ "$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || missing+=("$package")
done
if [ "${#missing[@]}" -eq 0 ]; then
    echo "deps: nothing is missing"
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "deps: run as root: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "deps: installing ${missing[*]}"
"${as_root[@]}" apt-get -qq update
# Without a frontend nobody is asked, not even tshark's question whether ordinary users may capture: they may not.
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
# These packages start a service at boot; tests and runs start their own, in namespaces.
for service in openoverlayrouter:oor prometheus:prometheus bind9:named; do
    if [[ " ${missing[*]} " == *" ${service%:*} "* ]] && command -v systemctl >/dev/null; then
        "${as_root[@]}" systemctl disable --now "${service#*:}.service" 2>/dev/null || true
    fi
done
