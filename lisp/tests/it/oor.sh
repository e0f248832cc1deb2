#!/usr/bin/env bash
# Two sites with Open Overlay Router and one that a site moves to, our Map-Server between them: in namespaces of the mount, network
# and process namespaces that this runs in, which end with it. Prints what it finds as NAME=VALUE.
set -euo pipefail
lisp=$1 folder=$2
cd "$folder"
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock

namespaces="core ms xa xb xc ha hb"
for name in $namespaces; do
    ip netns add "$name"
    ip -n "$name" link set lo up
done
ip -n core link add br0 type bridge
ip -n core link set br0 up
ip -n core addr add 10.0.0.254/24 dev br0
rloc() { # NAMESPACE ADDRESS
    ip link add "v$1" netns "$1" type veth peer name "p$1" netns core
    ip -n core link set "p$1" master br0 up
    ip -n "$1" addr add "$2/24" dev "v$1"
    ip -n "$1" link set "v$1" up
    ip -n "$1" route add default via 10.0.0.254
}
rloc ms 10.0.0.1
rloc xa 10.0.0.11
rloc xb 10.0.0.12
rloc xc 10.0.0.13
for name in core xa xb xc; do
    # The router sends packets back to where they came from: Open Overlay Router has no route but the one through it.
    ip netns exec "$name" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
        net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
done
ip netns exec core sysctl -qw net.ipv4.conf.br0.rp_filter=0 net.ipv4.conf.br0.send_redirects=0
site() { # LETTER PREFIX
    ip link add "s$1" netns "x$1" type veth peer name "h$1" netns "h$1"
    ip -n "x$1" addr add "$2.1/24" dev "s$1"
    ip -n "x$1" link set "s$1" up
    ip -n "h$1" addr add "$2.2/24" dev "h$1"
    ip -n "h$1" link set "h$1" up
    ip -n "h$1" route add default via "$2.1"
    ip netns exec "x$1" sysctl -qw "net.ipv4.conf.s$1.rp_filter=0"
}
site a 192.168.1
site b 192.168.2

printf secretA >a.key
printf secretB >b.key
cat >lisp.toml <<END
address = "10.0.0.1"
[[site]]
id = 1
name = "a"
key = [{ id = 0, file = "a.key" }]
prefixes = ["192.168.1.0/24"]
sha1 = true
lax-nonces = true
anonymous = true
[[site]]
id = 2
name = "b"
key = [{ id = 0, file = "b.key" }]
prefixes = ["192.168.2.0/24"]
sha1 = true
lax-nonces = true
anonymous = true
END
oor() { # NAMESPACE KEY PREFIX
    cat >"$1.conf" <<END
debug = 0
map-request-retries = 2
operating-mode = xTR
encapsulation = LISP
map-resolver = { 10.0.0.1 }
map-server {
    address = 10.0.0.1
    key-type = 1
    key = $2
    proxy-reply = on
}
database-mapping {
    eid-prefix = $3
    iid = 0
    ttl = 10
    rloc-iface {
        interface = v$1
        ip_version = 4
        priority = 1
        weight = 100
    }
}
END
    ip netns exec "$1" oor -f "$1.conf" >"$1.log" 2>&1 &
}

await() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || { echo "not in time: $*" >&2; cat ./*.log >&2; return 1; }
        sleep 0.05
    done
}
count() { # EVENT
    ip netns exec ms "$lisp" show --json | python3 -c "import json, sys; print(json.load(sys.stdin)['events'].get('$1', 0))"
}
at_least() { # EVENT NUMBER
    [ "$(count "$1")" -ge "$2" ]
}

ip netns exec core tcpdump -i br0 -U -w run.pcap 'udp and (port 4341 or port 4342)' >tcpdump.log 2>&1 &
await 60 test -s run.pcap
ip netns exec ms "$lisp" control --config lisp.toml --store store.sqlite >ready.log 2>control.log &
await 60 test -s ready.log
oor xa secretA 192.168.1.0/24
oor xb secretB 192.168.2.0/24
await 60 at_least map_notify 2
echo "registered=$(count map_notify)"

pinged() {
    ip netns exec ha ping -q -c 1 -W 1 192.168.2.2 >/dev/null
}
await 60 pinged
echo "pings=$(ip netns exec ha ping -q -c 5 -i 0.2 -W 1 192.168.2.2 | sed -n 's/.* \([0-9]*\) received.*/\1/p')"
echo "map_reply=$(count map_reply)"

# The second site comes from another xTR: the first one's ITR is to send there as soon as it has registered.
ip netns exec ha ping -q -i 0.01 192.168.2.2 >/dev/null &
oor xc secretB 192.168.2.0/24
moved() {
    [ "$(tshark -r run.pcap -Y 'udp.dstport==4341 && ip.dst==10.0.0.13' 2>/dev/null | wc -l)" -gt 0 ]
}
await 60 moved
time_of() { # FILTER: of the first frame, in microseconds
    tshark -r run.pcap -Y "$1" -T fields -e frame.time_epoch 2>/dev/null | head -1 | tr -d . | cut -c1-16
}
registered=$(time_of 'lisp.type==3 && ip.src==10.0.0.13')
moved=$(time_of 'udp.dstport==4341 && ip.dst==10.0.0.13')
echo "solicitations=$(count solicitation)"
echo "repoint_us=$((moved - registered))"
wrong='_ws.malformed || lisp.undecoded || _ws.expert.severity>=6291456'
echo "wrong=$(tshark -r run.pcap -Y "ip.src==10.0.0.1 && udp.port==4342 && ($wrong)" 2>/dev/null | head -3)"
echo "refused=$(grep -v 'ready' control.log | head -3)"
