#!/usr/bin/env python3
"""What must hold of the overlays as kubectl renders them, beyond what a schema knows: check.py FOLDER, with a file OVERLAY.yaml for each, in whose name
an underscore stands for each slash of its path. Asks no cluster.

Everything is in the namespace and has the label. A variable is one that some program reads: a misspelt one would leave a port open. A file that a
variable names is one that a Secret or a ConfigMap brings. In an overlay with -tls every program has TLS, its token and, but for QUIC, its
password, from the same keys of the same Secret as whoever asks for them; in another one none has any.
"""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PROGRAMS = ("renderer", "streamer", "client", "collector")
CLUSTER_WIDE = {"Namespace"}
NAMESPACE, PART_OF = "xrbench", "app.kubernetes.io/part-of"
# What a Secret of each name has, as docs/kubernetes.md makes it.
KEYS = {
    "tokens": {"feed", "reports", "viewers", "password"},
    "streamer-certificate": {"tls.crt", "tls.key"},
    "collector-certificate": {"tls.crt", "tls.key"},
    "quic-certificate": {"tls.crt", "tls.key"},
    "tls-authority": {"ca.crt"},
}
# What each program needs in a cluster that strangers can reach.
ARMED = {
    "renderer": {"XR_TLS_CA": "tls-authority/ca.crt", "XR_TOKEN_FILE": "tokens/feed"},
    "streamer": {
        "XR_TLS_CERT": "streamer-certificate/tls.crt",
        "XR_TLS_KEY": "streamer-certificate/tls.key",
        "XR_FEED_TOKEN_FILE": "tokens/feed",
    },
    "client": {"XR_TLS_CA": "tls-authority/ca.crt", "XR_TOKEN_FILE": "tokens/reports"},
    "collector": {
        "XR_TLS_CERT": "collector-certificate/tls.crt",
        "XR_TLS_KEY": "collector-certificate/tls.key",
        "XR_TOKEN_FILE": "tokens/reports",
    },
}
PASSWORDS = {"streamer": {"XR_VIEWERS_FILE": "tokens/viewers"}, "client": {"XR_PASSWORD_FILE": "tokens/password"}}
SCHEMES = {"XR_FEED": "https:", "XR_COLLECTOR": "https:", "XR_URL": "rtsps:"}


def known_variables():
    """The variables that the programs' sources name."""
    sources = (path for folder in ("renderer", "streamer", "client", "measure", "crates") for path in (ROOT / folder).rglob("*.rs"))
    return {name for path in sources for name in re.findall(r'"(XR_[A-Z_]+)"', path.read_text())}


def files(pod, container):
    """The file that each variable names, as OBJECT/KEY."""
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    brought = {}
    for mount in container["volumeMounts"]:
        volume = volumes[mount["name"]]
        if "secret" in volume:
            source, name = volume["secret"], volume["secret"]["secretName"]
        elif "configMap" in volume:
            source, name = volume["configMap"], volume["configMap"]["name"]
        else:
            continue
        assert mount["readOnly"], f"{mount['mountPath']} can be written"
        items = source.get("items") or [{"key": key, "path": key} for key in KEYS[name]]
        for item in items:
            assert item["key"] in KEYS[name], f"{name} has no key {item['key']}"
            brought[f"{mount['mountPath']}/{item['path']}"] = f"{name}/{item['key']}"
    given = {}
    for variable in container["env"]:
        value = variable.get("value", "")
        if value.startswith(("/run/secrets/", "/etc/xrbench/")):
            assert value in brought, f"{variable['name']} names {value}, which nothing brings"
            given[variable["name"]] = brought.pop(value)
    assert not brought, f"no variable names {brought}"
    return given


def check(overlay, objects, known):
    """Checks one overlay; returns the programs that it has."""
    for one in objects:
        what = f"{one['kind']} {one['metadata']['name']}"
        if one["kind"] not in CLUSTER_WIDE:
            assert one["metadata"].get("namespace") == NAMESPACE, f"{what} is in the namespace {one['metadata'].get('namespace')}"
        assert PART_OF in one["metadata"].get("labels", {}), f"{what} has no label {PART_OF}"
    pods = {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in objects if one["kind"] == "Deployment"}
    for program, pod in pods.items():
        container = pod["containers"][0]
        values = {variable["name"]: variable.get("value", "") for variable in container["env"]}
        strange = {name for name in values if name.startswith("XR_")} - known
        assert not strange, f"{program}: no program reads {strange}"
        given = {name: where for name, where in files(pod, container).items() if not name.startswith("XR_QUIC")}
        quic = "-quic" in overlay
        wanted = {**ARMED[program], **({} if quic else PASSWORDS.get(program, {}))} if "-tls" in overlay else {}
        assert given == wanted, f"{program} has {given}, not {wanted}"
        if "-tls" not in overlay:
            continue
        for name, scheme in SCHEMES.items():
            scheme = "roq:" if quic and name == "XR_URL" else scheme
            assert values.get(name, scheme).startswith(scheme), f"{program}: {name} is {values[name]}"
        if program == "streamer":
            assert values["XR_RTSP"].startswith("127.0.0.1:"), f"RTSP without TLS at {values['XR_RTSP']}"
            assert values["XR_RTSPS"].endswith(":8554"), f"RTSPS at {values['XR_RTSPS']}"
        assert ("XR_RTSP_USER" in values) == ("XR_PASSWORD_FILE" in values), f"{program}: a user without a password"
    return pods.keys()


def main():
    known, seen, wrong = known_variables(), {}, []
    for path in sorted(Path(sys.argv[1]).glob("k8s_overlays_*.yaml")):
        overlay = path.stem.removeprefix("k8s_overlays_")
        try:
            programs = check(overlay, list(yaml.safe_load_all(path.read_text())), known)
        except AssertionError as why:
            wrong.append(f"{overlay}: {why}")
        else:
            seen.setdefault(overlay.split("_")[0], set()).update(programs)
    for scenario, programs in seen.items():
        if not wrong and programs and programs != set(PROGRAMS):
            wrong.append(f"{scenario} has {sorted(programs)} alone")
    if wrong:
        sys.exit("\n".join(wrong))


main()
