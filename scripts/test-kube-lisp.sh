#!/usr/bin/env bash
# test-kube-lisp.sh XR-LISP KUBECONFIG [NETWORK-NAMESPACE]: tests `xr-lisp agent` and k8s/lisp on a cluster that runs, with a control
# plane beside it, a process in the network namespace of the API server. The pods of Services are played: objects whose addresses local
# processes have.
#
#   AGENT          process: the agent is one too, with the account and the rights of k8s/lisp, and its webhooks are called by URL, so that the
#                  cluster needs no node; or pod: the one that k8s/lisp makes, with its image (xrbench/lisp, on a node of this machine), its
#                  account, its Service and its webhooks
#   REPETITIONS    how often a Service is created, loses its pod and is deleted: 10
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# -ge 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 64; }
program=$(realpath "$1") kubeconfig=$2 agent=${AGENT:-process}
case $agent in pod | process) ;; *) echo "test-kube-lisp: AGENT is pod or process, not $agent" >&2; exit 64 ;; esac
inside=()
[ -z "${3:-}" ] || inside=(nsenter "--net=/run/netns/$3")
work=$(mktemp -d)
fail() { echo "test-kube-lisp: $*" >&2; exit 1; }
k() { kubectl --kubeconfig "$kubeconfig" "$@"; }
cleanup() {
    k delete --ignore-not-found mutatingwebhookconfiguration/xr-lisp validatingwebhookconfiguration/xr-lisp \
        clusterrole/xr-lisp-agent clusterrolebinding/xr-lisp-agent >/dev/null 2>&1 || true
    k delete --ignore-not-found --timeout 60s node/played namespace/xr-lisp-test namespace/xr-lisp >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap cleanup EXIT

server=$(k config view --minify --output 'jsonpath={.clusters[0].cluster.server}')
host=${server#https://} host=${host%:*}
first=$(k get service kubernetes --output 'jsonpath={.spec.clusterIP}')
base=${first%.*.*}

# Certificates of the control plane and of the agent, by an authority made for that.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test -keyout "$work/ca.key" -out "$work/ca.crt" 2>/dev/null
sign() { # sign NAME SUBJECT-ALTERNATIVE-NAME
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$work/$1.key" -out "$work/$1.csr" 2>/dev/null
    openssl x509 -req -in "$work/$1.csr" -CA "$work/ca.crt" -CAkey "$work/ca.key" -CAcreateserial -days 2 -out "$work/$1.crt" \
        -extfile <(echo "subjectAltName=$2") 2>/dev/null
}
sign control "IP:$host"
sign agent DNS:seoul

head -c 24 /dev/urandom | base64 >"$work/key"
cat >"$work/lisp.toml" <<T
address = "$host"
[[site]]
id = 1
name = "seoul"
key = [{ id = 1, file = "key" }]
[[site]]
id = 2
name = "busan"
key = [{ id = 1, file = "key" }]
[[pool]]
name = "default"
prefix = "$base.240.0/24"
[[pool]]
name = "tiny"
prefix = "$base.200.0/30"
T

# What is applied is what k8s/lisp has; without a pod, all but the Deployment, and with webhooks by URL.
k create --filename k8s/lisp/namespace.yaml >/dev/null
k apply --server-side --force-conflicts --dry-run=server --validate=strict --kustomize k8s/lisp >/dev/null || fail "k8s/lisp is not accepted"

as_pod() {
    k --namespace xr-lisp create secret generic xr-lisp-agent-tls --from-file "tls.crt=$work/agent.crt" --from-file "tls.key=$work/agent.key" \
        --from-file "ca.crt=$work/ca.crt" >/dev/null
    # What a user writes into agent.env is written into a copy.
    cp -r k8s/lisp "$work/lisp"
    printf '%s\n' XR_LISP_CLUSTER=seoul "XR_LISP_CONTROL=https://$host:4381" XR_LISP_LOCATORS=10.0.0.11 XR_LOG_FORMAT=json >"$work/lisp/agent.env"
    k apply --kustomize "$work/lisp" >/dev/null
}

as_process() {
    k --namespace xr-lisp create --filename k8s/lisp/rbac.yaml >/dev/null
    k create --dry-run=client --output json --filename k8s/lisp/webhooks.yaml | python3 -c '
import json, sys
host, objects = sys.argv[1], json.loads("[" + sys.stdin.read().replace("}\n{", "},{") + "]")
objects = [one for top in objects for one in top.get("items", [top])]
for one in objects:
    for webhook in one["webhooks"]:
        webhook["clientConfig"] = {"url": "https://" + host + ":9443" + webhook["clientConfig"]["service"]["path"]}
print(json.dumps({"kind": "List", "apiVersion": "v1", "items": objects}))' "$host" | k create --filename - >/dev/null

    # The account of k8s/lisp. Before Kubernetes 1.24 its token is in a Secret that is made for it.
    k create --filename - >/dev/null <<Y
apiVersion: v1
kind: Secret
type: kubernetes.io/service-account-token
metadata: {name: agent-token, namespace: xr-lisp, annotations: {kubernetes.io/service-account.name: xr-lisp-agent}}
Y
    for _ in $(seq 100); do
        token=$(k --namespace xr-lisp get secret agent-token --output 'go-template={{with .data.token}}{{. | base64decode}}{{end}}')
        [ -z "$token" ] || break
        sleep 0.1
    done
    k config view --raw --flatten --minify >"$work/agent.kubeconfig"
    kubectl --kubeconfig "$work/agent.kubeconfig" config set-credentials agent --token "$token" >/dev/null
    kubectl --kubeconfig "$work/agent.kubeconfig" config set-context --current --user agent >/dev/null
}

"as_$agent"
k create namespace xr-lisp-test >/dev/null
"${inside[@]}" python3 k8s/lisp/check.py --program "$program" --work "$work" --host "$host" --base "$base" --kubeconfig "$kubeconfig" \
    --agent "$agent" --repetitions "${REPETITIONS:-10}" || fail "the agent's log: $(tail -5 "$work/agent.log" 2>/dev/null)"
echo "test-kube-lisp: passed"
