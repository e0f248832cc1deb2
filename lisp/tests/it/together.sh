#!/usr/bin/env bash
# Two clusters with a tunnel router each, a client with its own, and the control plane in a fourth place: a service's cluster stops, comes
# back, and is cut off, while the client pings the service's address every 10 ms. In namespaces of the mount, network and process
# namespaces that this runs in, which end with it. Prints what it finds as NAME=VALUE; times in milliseconds.
set -euo pipefail
lisp=$1 folder=$2
cd "$folder"
mount -t tmpfs tmpfs /run
mkdir -p /run/netns /run/lock
for name in core ms xa xb xc; do
    ip netns add "$name"
    ip -n "$name" link set lo up
done
ip -n core link add br0 type bridge
ip -n core link set br0 up
rloc() { # NAMESPACE ADDRESS
    ip link add "v$1" netns "$1" type veth peer name "p$1" netns core
    ip -n core link set "p$1" master br0 up
    ip -n "$1" addr add "$2/24" dev "v$1"
    ip -n "$1" link set "v$1" up
    ip netns exec "$1" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
}
rloc ms 10.0.0.1
rloc xa 10.0.0.11
rloc xb 10.0.0.12
rloc xc 10.0.0.13

printf secretS >key
printf swordfish >token
cat >lisp.toml <<END
address = "10.0.0.1"
[[site]]
id = 1
name = "seoul"
key = [{ id = 1, file = "key" }]
[[site]]
id = 2
name = "busan"
key = [{ id = 1, file = "key" }]
[[site]]
id = 3
name = "clients"
key = [{ id = 1, file = "key" }]
prefixes = ["192.168.1.0/24"]
[[pool]]
name = "default"
prefix = "10.112.0.0/16"
END

await() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || { echo "not in time: $*" >&2; tail -n 20 ./*.log >&2; return 1; }
        sleep 0.02
    done
}
ask() { # NAMESPACE PATH BODY
    ip netns exec "$1" curl -sf --max-time 10 -H 'content-type: application/json' -H 'authorization: Bearer swordfish' \
        -d "$3" "http://10.0.0.1:4380$2"
}
xtr() { # NAMESPACE ARGUMENTS...
    local name=$1
    shift
    ip netns exec "$name" "$lisp" xtr --user 0 --map-server 10.0.0.1 --key-file key "$@" >"$name.out" 2>>"$name.log" &
}

control() {
    : >ready.log
    ip netns exec ms "$lisp" control --config lisp.toml --store store.sqlite --token-file token --api 10.0.0.1:4380 >ready.log 2>>control.log &
    control=$!
    await 60 test -s ready.log
}
control
for cluster in seoul busan; do
    ask ms /v1/services "{\"cluster\":\"$cluster\",\"namespace\":\"shop\",\"name\":\"cart\"}" >"$cluster.json"
done
service=$(sed 's/.*"address":"\([^"]*\)".*/\1/' seoul.json)
for name in xa xb; do
    ip -n "$name" addr add "$service/32" dev lo
done
seoul() {
    xtr xa --locator 10.0.0.11 --endpoint 10.112.0.0/16 --route 192.168.1.0/24 --site 1 --register "$service/32" --priority 1
    seoul=$!
}
seoul
xtr xb --locator 10.0.0.12 --endpoint 10.112.0.0/16 --route 192.168.1.0/24 --site 2 --register "$service/32" --priority 2
xtr xc --locator 10.0.0.13 --endpoint 192.168.1.1/32 --address 192.168.1.1/32 --route 10.112.0.0/16 --site 3 --register 192.168.1.1/32
(
    while :; do
        ask xa /v1/clusters/seoul/heartbeat '{"agent":"one","interval_ms":2000}' >>beat.log 2>&1 || true
        sleep 0.1
    done
) &

shown() { # PYTHON: what is to be true of what the control plane has
    ip netns exec ms "$lisp" show --json |
        python3 -c "import json, sys; view = json.load(sys.stdin); sys.exit(not ($1))"
}
ours='[one for one in view["mappings"] if one["eid"] == "'$service'/32"]'
await 60 shown "len($ours) == 1 and len($ours[0]['registrations']) == 2 and len(view['mappings']) == 2"
pinged() {
    ip netns exec xc ping -q -c 1 -W 1 -I 192.168.1.1 "$service" >/dev/null
}
await 60 pinged
ip netns exec xc ping -D -i 0.01 -I 192.168.1.1 "$service" >ping.log &
await 60 test -s ping.log

reached() { # ADDRESS: of the locator that the client uses
    ip netns exec xc timeout 1 tcpdump -nn -c 1 --immediate-mode -i vxc "udp dst port 4341 and dst host $1" >/dev/null 2>&1
}
answered() { # SECONDS-SINCE-1970: of a moment after which an answer is to come
    awk -F'[][]' -v since="$1" '/bytes from/ && $2 > since { found = 1 } END { exit !found }' ping.log
}
# The longest time without an answer since a moment, in milliseconds.
gap() { # SECONDS-SINCE-1970
    python3 - "$1" <<'END'
import re, sys
since = float(sys.argv[1])
times = [float(line[1:].split("]")[0]) for line in open("ping.log") if "icmp_seq" in line and "bytes from" in line]
after = [t for t in times if t < since][-1:] + [t for t in times if t >= since]
print(round(1000 * max(b - a for a, b in zip(after, after[1:]))))
END
}
await 60 reached 10.0.0.11
await 60 answered "$(date +%s.%N)"

# The service's tunnel router is told to stop, and withdraws.
at=$(date +%s.%N)
kill -TERM "$seoul"
await 60 reached 10.0.0.12
await 60 answered "$(date +%s.%N)"
echo "stopped_ms=$(gap "$at")"

# It comes back.
seoul
await 60 reached 10.0.0.11
await 60 answered "$(date +%s.%N)"

# Its cluster is cut off: no tunnel, no heartbeat.
at=$(date +%s.%N)
ip -n core link set pxa down
await 60 reached 10.0.0.12
await 60 answered "$(date +%s.%N)"
echo "cut_off_ms=$(gap "$at")"

# The control plane is killed and comes back: what runs goes on.
at=$(date +%s.%N)
kill -KILL "$control"
wait "$control" 2>/dev/null || true
control
await 60 shown "len($ours) == 1"
await 60 answered "$(date +%s.%N)"
echo "control_killed_ms=$(gap "$at")"
echo "refused=$(grep -v 'no heartbeat' control.log | head -3)"
