#!/usr/bin/env bash
# root.sh PROGRAM [PLUGIN|FILE...]: makes /root-of-image, the root of an image that holds /usr/bin/PROGRAM, the GStreamer plugins
# of these names, files whose paths are given, and every library that program, plugins and modules (files *.so) load; and nothing else.
# Runs in the stage `libraries` of the Containerfile.
set -euo pipefail

program=$1
shift
root=/root-of-image
plugins=/usr/lib/gstreamer-1.0
packages=$(mktemp)
mkdir -p "$root"/{tmp,usr/bin,usr/lib,usr/share,etc,var/lib/dpkg/status.d}
for folder in bin lib lib64; do ln -s "usr/$folder" "$root/$folder"; done
chmod 1777 "$root/tmp"

# The package that a file came from. Debian 12 has /lib as a link to /usr/lib, and dpkg knows a file by either name.
package_of() {
    local file=$1 owner
    owner=$(dpkg-query --search "$file" 2>/dev/null || dpkg-query --search "${file#/usr}") || {
        echo "root.sh: $file belongs to no package" >&2
        exit 1
    }
    owner=${owner%%,*}
    echo "${owner%: /*}"
}

# A file under the path by which it is loaded, as a file of its own.
keep() {
    local file=$1 real
    real=$(realpath "$file")
    case $file in /usr/*) ;; *) file=/usr$file ;; esac
    [ -e "$root$file" ] && return
    install -D --mode=0755 "$real" "$root$file"
    package_of "$real" >>"$packages"
}

libraries_of() { ldd "$@" | awk '/=> \//{print $3} /^[[:space:]]*\/lib64\/ld-/{print $1}' | sort -u; }

install --mode=0755 "/usr/bin/$program" "$root/usr/bin/$program"
strip "$root/usr/bin/$program"
# What was copied here is no package's.
dpkg-query --search "/usr/bin/$program" >/dev/null 2>&1 && package_of "/usr/bin/$program" >>"$packages"
loaded=("/usr/bin/$program")
mkdir -p "$plugins"
with_plugins=
for name in "$@"; do
    case $name in /*.so) loaded+=("$name") ;; esac
    case $name in /*) keep "$name"; continue ;; esac
    with_plugins=yes
    file=/usr/lib/$(uname -m)-linux-gnu/gstreamer-1.0/libgst$name.so
    package_of "$file" >>"$packages"
    install -D --mode=0644 "$file" "$root$plugins/libgst$name.so"
    ln -s "$file" "$plugins/"
    loaded+=("$file")
done
for file in $(libraries_of "${loaded[@]}"); do keep "$file"; done

# GStreamer's list of what each plugin has, so that no start looks into them or writes it.
if [ -n "$with_plugins" ]; then
    mkdir -p "$root/usr/share/gstreamer-1.0"
    GST_PLUGIN_SYSTEM_PATH_1_0=$plugins GST_REGISTRY_1_0=$root/usr/share/gstreamer-1.0/registry.bin \
        gst-inspect-1.0 --print-all >/dev/null
    chmod 0644 "$root/usr/share/gstreamer-1.0/registry.bin"
fi

echo 'xr:x:65532:65532:xr:/tmp:/sbin/nologin' >"$root/etc/passwd"
echo 'xr:x:65532:' >"$root/etc/group"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
cp /etc/os-release "$root/etc/os-release"

# What came from which package: for scanners, for the SBOM, and as the licences ask.
sort -u "$packages" | while read -r package; do
    dpkg-query --status "$package" >"$root/var/lib/dpkg/status.d/${package%%:*}"
    install -D --mode=0644 "/usr/share/doc/${package%%:*}/copyright" "$root/usr/share/doc/${package%%:*}/copyright"
done
