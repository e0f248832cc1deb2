# What test-kube.sh sources for clusters that strangers can reach: scenario 1 with TLS, tokens and viewers is played, and strangers knock. It takes `a`, `frames`,
# `value`, `pass`, `fail`, the folder $work and the network namespace $node_netns of cluster A's node from there.

# The Secrets and the ConfigMap, made as docs/kubernetes.md has its reader do.
secrets() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=xrbench-authority -keyout ca.key -out ca.crt 2>/dev/null
    for name in streamer collector; do
        openssl req -x509 -CA ca.crt -CAkey ca.key -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=$name" \
            -addext basicConstraints=critical,CA:FALSE -addext "subjectAltName=DNS:$name" -keyout "$name.key" -out "$name.crt" 2>/dev/null
    done
    for name in feed reports password; do openssl rand -hex 16 >$name; done
    echo "client:$(cat password)" >viewers
    a create namespace xrbench
    for name in streamer collector; do a --namespace xrbench create secret tls $name-certificate --cert $name.crt --key $name.key; done
    a --namespace xrbench create configmap tls-authority --from-file=ca.crt
    a --namespace xrbench create secret generic tokens --from-file=feed --from-file=reports --from-file=viewers --from-file=password
}

# stranger PROGRAM: a pod as the program's own, with the authority, and without a token, a user and a password.
stranger() {
    a --namespace xrbench get deployment "$1" --output json | python3 -c '
import json, sys
program, template = sys.argv[1], json.load(sys.stdin)["spec"]["template"]
# A label by which policies let it through, and no Service finds it.
metadata = {"name": "stranger-" + program, "labels": {"app.kubernetes.io/component": program}}
spec = template["spec"]
secret = [one["name"] for one in spec["volumes"] if one.get("secret", {}).get("secretName") == "tokens"]
spec["volumes"] = [one for one in spec["volumes"] if one["name"] not in secret]
container = spec["containers"][0]
container["volumeMounts"] = [one for one in container["volumeMounts"] if one["name"] not in secret]
container["env"] = [one for one in container["env"] if one["name"] not in ("XR_TOKEN_FILE", "XR_RTSP_USER", "XR_PASSWORD_FILE", "XR_CLIENT_ID")]
for one in container["env"]:
    if one["name"] == "XR_FEED":
        one["value"] = one["value"].replace("/feeds/demo", "/feeds/stranger")
for key in ("resources", "startupProbe", "readinessProbe", "livenessProbe"):
    container.pop(key)
spec["restartPolicy"] = "Never"
json.dump({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}, sys.stdout)' "$1" | a --namespace xrbench create --filename - >/dev/null
}

# is_told PROGRAM TEXT: waits until a stranger's log says so.
is_told() {
    local log
    for _ in $(seq 60); do
        log=$(a --namespace xrbench logs "stranger-$1" 2>/dev/null || true)
        ! grep -q -- "$2" <<<"$log" || return 0
        sleep 1
    done
    a --namespace xrbench get pods >&2
    fail "a stranger's $1 is not told '$2': $(tail -5 <<<"$log")"
}

# knock URL ARGUMENT...: the status of a request from the node, which knows the authority.
knock() {
    local url=$1 host port
    shift
    host=${url#*://} host=${host%%/*} port=${host#*:} host=${host%:*}
    nsenter --net="/run/netns/$node_netns" curl --silent --noproxy '*' --max-time 10 --output /dev/null --write-out '%{http_code}' --cacert "$work/strangers/ca.crt" \
        --resolve "$host:$port:$(a --namespace xrbench get service "$host" --output jsonpath='{.spec.clusterIP}')" "$@" "$url" || true
}

# expect_status STATUS URL ARGUMENT...
expect_status() {
    local got
    got=$(knock "${@:2}")
    [ "$got" = "$1" ] || fail "$2 answers $got, not $1"
}

strangers() {
    local overlay=k8s/overlays/s1-single-tls refused
    command -v curl >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends curl >/dev/null 2>&1
    mkdir "$work/strangers"
    (
        cd "$work/strangers"
        secrets
    ) >/dev/null
    a apply --kustomize $overlay >/dev/null 2>"$work/strangers/apply.log" || fail "$overlay: $(cat "$work/strangers/apply.log")"
    frames "s1-single-tls, with tokens and a password"

    # Each port speaks TLS alone, and who has no token is sent away.
    expect_status 400 http://streamer:8080/feeds
    expect_status 400 http://collector:9094/frames/stranger --data ''
    expect_status 401 https://streamer:8080/feeds/stranger --upload-file /dev/null --header 'Content-Type: video/mp2t'
    expect_status 401 https://collector:9094/frames/stranger --data ''
    expect_status 401 https://collector:9094/frames/stranger --data '' --header "Authorization: Bearer $(cat "$work/strangers/feed")"
    expect_status 200 https://collector:9094/frames/stranger --data '' --header "Authorization: Bearer $(cat "$work/strangers/reports")"

    stranger renderer
    stranger client
    is_told renderer 'carries no token'
    is_told client '401 Unauthorized'
    is_told client "the collector's token"
    refused=$(a get --raw /api/v1/namespaces/xrbench/services/streamer-ops:ops/proxy/metrics | value 'xr_streamer_refused_feeds_total{reason="token"}')
    [ "$refused" -ge 2 ] || fail "the streamer counts $refused feeds that it refused for want of a token"
    pass "strangers feed nothing, watch nothing and report nothing"
    a delete --kustomize $overlay --wait >/dev/null
}
