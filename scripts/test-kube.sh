#!/usr/bin/env bash
# Tests the images and manifests on real clusters of this machine, and takes them down: every manifest against the schema of
# Kubernetes 1.36 and the API server of 1.20, then the scenarios s1 and s3, which must show 99 % of their frames, and the agent of LISP.
#
#   KUBE_UP     the program that starts clusters, NAME --pods, --load TAR and --down: kube-up in the search path
#   PROGRAMS    the folder of the programs: target/release; the example `clusters` is taken from there too if it is there
#   SECONDS_MEASURED    how long each scenario is counted: 20
#   RUN_SECONDS         how long each scenario of `xrbench run` is measured: 40
#   REPETITIONS         clusters of each kind that are provisioned by a simulated provider: 30
#   SHORT               if set: no image of ffmpeg, no provisioning, no TLS, scenario 3 by `xrbench run` only, no wrong clocks and no
#                       kills of pods, LISP's agent as a process
#   MEDIANS_PERCENT     how far the medians of their steps may be off what the provider was told: 1
set -euo pipefail
cd "$(dirname "$0")/.."

kube_up=${KUBE_UP:-$(command -v kube-up || true)}
measured=${SECONDS_MEASURED:-20}
repetitions=${REPETITIONS:-30}
work=$(mktemp -d)
clusters=()
prometheus=
passed=0

fail() { echo "test-kube: $*" >&2; echo "$passed passed, 1 failed"; exit 1; }
pass() { passed=$((passed + 1)); echo "test-kube: $*"; }
cleanup() {
    [ -z "$prometheus" ] || kill "$prometheus" 2>/dev/null || true
    for cluster in "${clusters[@]}"; do "$kube_up" "$cluster" --down || true; done
    rm -rf "$work"
}
trap cleanup EXIT

[ -x "$kube_up" ] || fail "there is no program that starts clusters: KUBE_UP names one"
command -v kubectl >/dev/null || fail "there is no kubectl; 1.27 or newer is needed"
minor=$(kubectl version --client --output=json | sed -n 's/.*"minor": "\([0-9]*\).*/\1/p' | head -1)
[ "$minor" -ge 27 ] || fail "kubectl 1.$minor knows no includeTemplates: 1.27 or newer is needed"

# A kubelet deletes images that no container runs, the pause image first, where less than 15 % of the disk is free.
free_percent=$(df --output=size,avail /var/lib | awk 'NR == 2 {print int(100 * $2 / $1)}')
[ "$free_percent" -ge 16 ] || fail "$free_percent % of the disk of /var/lib are free; a kubelet needs more than 15 to keep its images"

mapfile -t overlays < <(find k8s/overlays -name kustomization.yaml -printf '%h\n' | sort)

# Schema, strictly.
python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target target/kube-python \
    'kubernetes-validate>=1.36' 2>"$work/pip.log" || fail "$(tail -3 "$work/pip.log")"
for overlay in "${overlays[@]}" k8s/base k8s/lisp dashboards; do
    rendered=$work/$(tr / _ <<<"$overlay").yaml
    kubectl kustomize "$overlay" >"$rendered" || fail "$overlay cannot be rendered"
    # Objects of others' APIs have no schema there; the API server below knows them.
    PYTHONPATH=target/kube-python python3 -m kubernetes_validate --kubernetes-version 1.36 --strict --quiet --no-warn "$rendered" ||
        fail "$overlay does not fit the schema of Kubernetes 1.36"
done
pass "${#overlays[@]} overlays fit the schema of Kubernetes 1.36"
PYTHONPATH=target/kube-python python3 k8s/overlays/check.py "$work" || fail "what overlays have does not fit together"
pass "whoever is asked for a token or a certificate has it, in each overlay for a network that strangers are on"

# Images and clusters.
# A program beside the one that starts clusters makes Debian's image where no registry can be had.
if [ -x "${kube_up%/*}/base-image" ]; then
    "${kube_up%/*}/base-image" >"$work/base.log" 2>&1 || fail "the base image: $(tail -3 "$work/base.log")"
    export ENGINE=${ENGINE:-buildah}
fi
# ffmpeg's image brings a hundred libraries along, and is for the long form.
[ -z "${SHORT:-}" ] || export NAMES="renderer streamer client collector lisp"
nice scripts/image.sh --prebuilt "${PROGRAMS:-target/release}"
collector_mb=$(($(stat -c %s target/images/xr-collector.tar) / 1000000))
[ "$collector_mb" -lt 60 ] || fail "the collector's image has $collector_mb MB"
for cluster in xra xrb; do
    clusters+=("$cluster")
    nice "$kube_up" "$cluster" --pods >"$work/$cluster.log" 2>&1 || fail "$(tail -5 "$work/$cluster.log")"
    for name in ${NAMES:-renderer streamer client collector lisp reference}; do
        "$kube_up" "$cluster" --load "target/images/xr-$name.tar" >/dev/null
    done
done
a() { kubectl --kubeconfig /var/lib/kube-up/xra/admin.kubeconfig "$@"; }
b() { kubectl --kubeconfig /var/lib/kube-up/xrb/admin.kubeconfig "$@"; }
pass "images, two clusters"

# The API server: each object is accepted whole, unknown fields are errors. Liqo's kinds are there if their definitions are.
crds=${kube_up%/*}/../data/crds/liqo
[ -d "$crds" ] && a apply --server-side --filename "$crds" >/dev/null
a create namespace xrbench >/dev/null
for overlay in "${overlays[@]}"; do
    rendered=$work/$(tr / _ <<<"$overlay").yaml
    if ! [ -d "$crds" ] && grep -q 'liqo.io/v1' "$rendered"; then continue; fi
    # The operator's definitions are not to be had here.
    if grep -q '^kind: PodMonitor' "$rendered"; then continue; fi
    a apply --server-side --dry-run=server --validate=strict --filename "$rendered" >/dev/null || fail "$overlay is not accepted"
done
a delete namespace xrbench --wait >/dev/null
pass "Kubernetes 1.20 accepts what there is"

# Provisioning: templates are accepted whole by an API server that knows Cluster API, and a simulated provider's times come back,
# also after the program was killed in the middle.
capi=${kube_up%/*}/../data/crds
if [ -d "$capi/cluster-api" ] && [ -z "${SHORT:-}" ]; then
    for group in cluster-api k3s openstack; do a apply --server-side --filename "$capi/$group" >/dev/null; done
    a create namespace xrbench-provision >/dev/null
    cp -r k8s/capi "$work/capi"
    sed -i "s/^repetitions = .*/repetitions = $repetitions/" "$work/capi/figure-4.toml"
    provision() { "${PROGRAMS:-target/release}/xrbench" provision "$work/capi/figure-4.toml" --kubeconfig /var/lib/kube-up/xra/admin.kubeconfig "$@"; }
    a wait --for=condition=Established --timeout 60s crd --all >/dev/null
    served() { a get --raw "/apis/$1" 2>/dev/null | grep -q "\"$2\""; }
    for _ in $(seq 300); do
        served cluster.x-k8s.io/v1beta2 MachineDeployment && served controlplane.cluster.x-k8s.io/v1beta2 KThreesControlPlane &&
            served infrastructure.cluster.x-k8s.io/v1beta1 OpenStackMachineTemplate && break
        sleep 0.2
    done
    provision --dry-run | a apply --server-side --dry-run=server --validate=strict --filename - >/dev/null || fail "a template is not accepted"
    simulated=(--simulate "$work/capi/profile.toml")
    provision "${simulated[@]}" --out "$work/provision" >"$work/provision.log" 2>&1 &
    killed=$!
    sleep 20
    kill -KILL "$killed"
    wait "$killed" 2>/dev/null || true
    [ -n "$(a --namespace xrbench-provision get clusters.v1beta2.cluster.x-k8s.io --output name)" ] || fail "nothing was being provisioned"
    began=$SECONDS
    provision "${simulated[@]}" --resume "$work/provision" >"$work/provision.log" 2>&1 || fail "provision: $(tail -5 "$work/provision.log")"
    python3 k8s/capi/check.py "$work/provision" "${MEDIANS_PERCENT:-1}" || fail "the simulated times do not come back"
    kinds=clusters.v1beta2.cluster.x-k8s.io,machines.v1beta2.cluster.x-k8s.io,machinedeployments.v1beta2.cluster.x-k8s.io
    kinds+=,kubeadmcontrolplanes,kthreescontrolplanes,openstackclusters,openstackmachinetemplates,kubeadmconfigtemplates,kthreesconfigtemplates
    provision --clean >/dev/null
    left=$(a --namespace xrbench-provision get "$kinds" --output name)
    [ -z "$left" ] || fail "provision left: $left"
    a delete namespace xrbench-provision --wait >/dev/null
    pass "$((6 * repetitions)) simulated clusters, the rest of them after a SIGKILL, in $((SECONDS - began)) s"
fi

# The collector's metrics, and one value of such a page.
collector() { a get --raw /api/v1/namespaces/xrbench/services/collector:ops/proxy/metrics; }
value() { awk -v name="$1" '$1 == name {print $2; found = 1} END {if (!found) print 0}'; }

# frames NAME: waits for the pods, then counts what the collector sees for a while, and once more if that was too little: a machine that is
# shared can stand still.
frames() {
    local name=$1
    for deployment in renderer client collector; do
        a --namespace xrbench rollout status --timeout 90s deployment/$deployment >/dev/null || {
            a --namespace xrbench get pods >&2
            a --namespace xrbench get events --sort-by .lastTimestamp | tail -20 >&2
            a --namespace xrbench logs --tail 5 deployment/$deployment >&2
            fail "$name: $deployment is not ready"
        }
    done
    sleep 3
    enough "$name" || enough "$name" || fail "$name: too few frames, twice"
}

# enough NAME: whether 99 % of the frames of a while were shown.
enough() {
    local name=$1 before after shown lost share mean
    before=$(collector)
    sleep "$measured"
    after=$(collector)
    delta() { python3 -c 'import sys; print(float(sys.argv[2]) - float(sys.argv[1]))' "$(value "$1" <<<"$before")" "$(value "$1" <<<"$after")"; }
    shown=$(delta 'xr_collector_frames_total{outcome="shown"}')
    lost=$(delta 'xr_collector_frames_total{outcome="lost"}')
    share=$(python3 -c 'import sys; s, l = map(float, sys.argv[1:]); print(f"{100 * s / max(s + l, 1):.2f}")' "$shown" "$lost")
    mean=$(python3 -c 'import sys; t, n = map(float, sys.argv[1:]); print(f"{1e3 * t / max(n, 1):.1f}")' \
        "$(delta xr_collector_latency_seconds_sum)" "$(delta xr_collector_latency_seconds_count)")
    if python3 -c 'import sys; s, share, t = map(float, sys.argv[1:]); sys.exit(share < 99 or s < 0.9 * 30 * t)' "$shown" "$share" "$measured"; then
        pass "$name: ${shown%.0} frames shown, ${lost%.0} lost ($share %), mean latency $mean ms"
    else
        echo "test-kube: $name: $shown frames shown, $lost lost in $measured s: $share %" >&2
        return 1
    fi
}

a apply --kustomize k8s/overlays/s1-single >/dev/null
frames s1-single

# A Prometheus beside the node scrapes the pods as an operator's would, and every panel of every dashboard must find its data.
command -v prometheus >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends prometheus >/dev/null 2>&1
a --namespace xrbench get pods --selector app.kubernetes.io/part-of=xrbench --output json | python3 -c '
import json, sys
for pod in json.load(sys.stdin)["items"]:
    port = next(p["containerPort"] for c in pod["spec"]["containers"] for p in c["ports"] if p["name"] == "ops")
    labels = {"namespace": pod["metadata"]["namespace"], "pod": pod["metadata"]["name"]}
    targets = [pod["status"]["podIP"] + ":" + str(port)]
    print("- " + json.dumps({"targets": targets, "labels": labels}))' >"$work/targets.yml"
# The rules as Prometheus reads them, without the operator's object around.
PYTHONPATH=target/kube-python python3 -c 'import sys, yaml; print(yaml.safe_dump(yaml.safe_load(sys.stdin)["spec"]))' \
    <k8s/components/monitoring/rules.yaml >"$work/rules.yml"
cp k8s/components/monitoring/rules_test.yaml "$work"
(cd "$work" && promtool check rules rules.yml && promtool test rules rules_test.yaml) >"$work/rules.log" 2>&1 ||
    fail "the rules: $(cat "$work/rules.log")"
pass "recording and alert rules do what their tests say"
cat >"$work/prometheus.yml" <<Y
global: {scrape_interval: 2s}
rule_files: [$work/rules.yml]
scrape_configs: [{job_name: xrbench, file_sd_configs: [{files: [$work/targets.yml]}]}]
Y
promtool check config "$work/prometheus.yml" >/dev/null || fail "the configuration of Prometheus"
address=$(a get nodes --output jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}'):19090
nsenter --net=/run/netns/xra prometheus --config.file "$work/prometheus.yml" --storage.tsdb.path "$work/prometheus" \
    --web.listen-address "$address" >"$work/prometheus.log" 2>&1 &
prometheus=$!
sleep 20
python3 dashboards/check.py "http://$address" || fail "a dashboard shows nothing"
ask() {
    python3 -c 'import json, sys, urllib.parse, urllib.request as u
print(len(json.load(u.urlopen(sys.argv[1] + "/api/v1/query?" + urllib.parse.urlencode({"query": sys.argv[2]})))["data"]["result"]))' \
        "http://$address" "$1"
}
[ "$(ask 'xrbench:latency_seconds:p99_30s')" = 1 ] || fail "the recorded p99 is not there"
[ "$(ask 'ALERTS{alertstate="firing"}')" = 0 ] || fail "an alert fires although all is well"
kill "$prometheus"
pass "every panel of the dashboards has data of a live run"
a delete --kustomize k8s/overlays/s1-single --wait >/dev/null

# The same scenario for a cluster that strangers can reach.
node_netns=xra
source scripts/kube-strangers.sh
[ -n "${SHORT:-}" ] || strangers

# The overlays name no node: what a user writes into cluster-b.env is written into a copy.
cp -r k8s "$work/k8s"
node=$(b get nodes --output jsonpath='{.items[0].status.addresses[?(@.type=="InternalIP")].address}')
s3=$work/k8s/overlays/s3-nodeport-local
sed -i "s/192\.0\.2\.1/$node/" "$s3/cluster-a/cluster-b.env"
for policy in $([ -n "${SHORT:-}" ] || echo Cluster Local); do
    far=$s3/cluster-b
    [ "$policy" = Cluster ] || far+=-policy-local
    b apply --kustomize "$far" >/dev/null
    a apply --kustomize "$s3/cluster-a" >/dev/null
    got=$(b --namespace xrbench get service streamer --output jsonpath='{.spec.externalTrafficPolicy}')
    [ "$got" = "$policy" ] || fail "the streamer's Service has the policy $got, not $policy"
    frames "s3-nodeport-local, externalTrafficPolicy $policy"
    a delete --kustomize "$s3/cluster-a" --wait >/dev/null
    b delete --kustomize "$far" --wait >/dev/null
done

# What the crate asks of an API server: waits that end and waits that cannot, rights, what is deleted. Cluster B has no kinds of Liqo.
crate=("${PROGRAMS:-target/release}/clusters")
if ! [ -x "${crate[0]}" ]; then
    "${CARGO:-cargo}" build --locked --quiet --workspace --example clusters
    crate=(target/debug/examples/clusters)
fi
[ -d "$crds" ] || crate+=(--skip liqos_kinds)
asks() { XR_TEST_KUBECONFIG=/var/lib/kube-up/xrb/admin.kubeconfig XR_TEST_LIQO=$crds "${crate[@]}" >"$work/crate.log" 2>&1; }
# A kubelet on a machine that is shared may take longer to end a pod than an ordinary one.
asks || { tail -30 "$work/crate.log" && echo "test-kube: once more" && asks; } || fail "$(tail -30 "$work/crate.log")"
pass "waits, preflight and deletion against a real API server"

SECONDS_MEASURED=${RUN_SECONDS:-40} scripts/test-kube-run.sh "${PROGRAMS:-target/release}/xrbench" /var/lib/kube-up/xra/admin.kubeconfig /var/lib/kube-up/xrb/admin.kubeconfig ||
    fail "the run on clusters"
passed=$((passed + $([ -n "${SHORT:-}" ] && echo 3 || echo 4)))
AGENT=${AGENT:-$([ -n "${SHORT:-}" ] && echo process || echo pod)} env -u REPETITIONS scripts/test-kube-lisp.sh "${PROGRAMS:-target/release}/xr-lisp" /var/lib/kube-up/xra/admin.kubeconfig xra ||
    fail "the agent of LISP"
pass "Services get their shared addresses, and are registered and withdrawn with their pods"

left=$(a get all --all-namespaces --selector app.kubernetes.io/part-of=xrbench --output name)$(b get all --all-namespaces \
    --selector app.kubernetes.io/part-of=xrbench --output name)
[ -z "$left" ] || fail "left over: $left"
pass "nothing is left"
echo "$passed passed, 0 failed"
