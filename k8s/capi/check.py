#!/usr/bin/env python3
"""check.py RESULT [PERCENT]: every step of a simulated experiment has the median that its profile states, within 1 %, or within PERCENT on
a machine that does other work at the same time. Each repetition has a time out of another stratum of the distribution, so that a few
show its median. Prints the worst steps, and ends with 1 if one does not hold."""
import csv
import json
import pathlib
import statistics
import sys
import tomllib

STEPS = {
    "infrastructure_ready": "infrastructure",
    "machine_created": "machine",
    "bootstrap_ready": "bootstrap",
    "vm_active": "vm",
    "control_plane_initialized": "api_server",
    "node_registered": "registration",
    "node_ready": "node_ready",
    "control_plane_available": "control_plane",
    "all_nodes_ready": "workers",
}


def main():
    folder = pathlib.Path(sys.argv[1])
    percent = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    info = json.loads((folder / "provision.json").read_text())
    profile = tomllib.loads(info["simulated"]["profile"])
    cells = {(one["distribution"], one["nodes"]): one for one in profile["cell"]}
    clusters = list(csv.DictReader((folder / "clusters.csv").open()))
    times = {}
    for row in csv.DictReader((folder / "transitions.csv").open()):
        times.setdefault(row["cluster"], {})[row["transition"]] = int(row["elapsed_us"]) / 1e6
    assert len(clusters) == len(info["cells"]) * info["repetitions"], f"{len(clusters)} clusters"
    assert all(row["outcome"] == "ready" for row in clusters), "not all are ready"
    found = {}
    for row in clusters:
        cell, before = (row["distribution"], int(row["nodes"])), 0.0
        for step, name in STEPS.items():
            if name in cells[cell]:
                at = times[row["cluster"]][step]
                found.setdefault((cell, name), []).append(at - before)
                before = at
        found.setdefault((cell, "deletion"), []).append(int(row["deletion_us"]) / 1e6)
    off = []
    for (cell, name), values in found.items():
        expected = cells[cell][name]["median_s"]
        off.append((statistics.median(values) / expected - 1, cell, name, expected))
    off.sort(key=lambda one: -abs(one[0]))
    for error, cell, name, expected in off[:3]:
        print(f"{cell[0]}, {cell[1]} nodes, {name}: {100 * error:+.2f} % of {expected:.2f} s")
    print(f"{len(off)} medians, the worst {100 * abs(off[0][0]):.2f} % off")
    sys.exit(100 * abs(off[0][0]) > percent)


main()
