#!/usr/bin/env python3
"""What must hold of a result of `xrbench run scenarios/kube.toml --place kube`: check.py RESULT [--short].

--short is for scenario 3 alone, over TCP and QUIC, by programs without optimisation. Exit 75 if too few frames were shown and
nothing else is wrong.
"""

import csv
import json
import sys
from pathlib import Path

TOO_FEW_FRAMES = 75


def least_share(name, short):
    """The share of the scheduled frames that must be shown."""
    if short:
        return 0.95
    return 0.995 if name.endswith("quic") else 0.99


def check(root, scenario):
    """Checks all but the number of frames, and prints what was measured."""
    name, frames, cpu = scenario["name"], scenario["frames"], scenario["cpu_percent"]
    print(
        f"test-kube: run of {name}: {frames['shown']} of {frames['scheduled']} frames shown, p50 "
        f"{scenario['latency_us']['p50'] / 1e3:.1f} ms, cpu {cpu and cpu['mean']['p50']}, {scenario['resources_source']}, "
        f"clients {sorted(scenario['clients'])}"
    )
    assert cpu is not None and cpu["a"]["p50"] > 0, f"{name}: no processor time"
    assert scenario["resources_source"] == "cadvisor"
    nodes = scenario["nodes"]
    assert nodes and 0 < nodes["cpu_percent"]["a"]["p50"] <= 100 and nodes["memory_percent"]["a"]["p50"] > 0, f"{name}: {nodes}"
    print(f"test-kube: whole nodes: cpu {nodes['cpu_percent']['mean']['p50']} %, memory {nodes['memory_percent']['mean']['p50']} %")
    ocr = scenario["ocr"]
    folder = root / name / "run-1"
    meta = json.loads((folder / "meta.json").read_text())
    assert meta["complete"] and meta["clocks"], meta
    if "reference" in name:
        # Its latency is known from OCR alone, and by the clocks of both nodes.
        assert {meta["clocks"][role]["source"] for role in ("renderer", "client")} == {"asked"}, meta["clocks"]
        assert not meta["overloaded"], meta
    else:
        assert ocr["compared"] > 0 and ocr["disagree"] == 0, f"{name}: {ocr}"
    for role in ("renderer", "streamer", "client"):
        assert (folder / "logs" / f"{role}.log").exists(), role
    if name == "s1-single":
        with open(folder / "frames.csv", encoding="utf-8") as file:
            seen = {row["client"] for row in csv.DictReader(file)} - {""}
        assert seen == {"client", "client-2", "client-3"}, seen


def main():
    root, short = Path(sys.argv[1]), "--short" in sys.argv[2:]
    summary = json.loads((root / "summary.json").read_text())
    assert summary["state"] == "finished", summary["state"]
    assert len(summary["scenarios"]) == (2 if short else 5)
    few = False
    for scenario in summary["scenarios"]:
        check(root, scenario)
        share = scenario["frames"]["shown"] / scenario["frames"]["scheduled"]
        least = least_share(scenario["name"], short)
        if share < least:
            print(f"test-kube: {scenario['name']}: {100 * share:.2f} % of the frames shown, {100 * least:.1f} % must be")
            few = True
    sys.exit(TOO_FEW_FRAMES if few else 0)


main()
