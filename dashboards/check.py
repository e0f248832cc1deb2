#!/usr/bin/env python3
"""check.py URL: every panel of every dashboard beside this file is described, and its queries bring data from the Prometheus at
URL. Prints what does not hold, and ends with 1 if anything does not."""
import json
import math
import pathlib
import sys
import urllib.parse
import urllib.request

VARIABLES = {"$__rate_interval": "15s", "$namespace": ".*"}


def answer(url, query):
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    with urllib.request.urlopen(f"{url}/api/v1/query?" + urllib.parse.urlencode({"query": query}), timeout=10) as reply:
        return json.load(reply)["data"]["result"]


def faults(url, board):
    text = board.read_text(encoding="utf-8")
    dashboard = json.loads(text)
    if "uid" in dashboard:
        yield "it has a uid of its own, which clashes with a copy of it"
    for panel in dashboard["panels"]:
        title = panel["title"]
        if not panel.get("description"):
            yield f"{title}: no description"
        if not panel["fieldConfig"]["defaults"].get("unit"):
            yield f"{title}: no unit"
        for target in panel["targets"]:
            if target["datasource"]["uid"] != "${datasource}":
                yield f"{title}: the data source is not the one that is chosen"
            try:
                values = [float(series["value"][1]) for series in answer(url, target["expr"])]
            except OSError as error:
                detail = error.read().decode() if hasattr(error, "read") else error
                yield f"{title}: {target['expr']}: {detail}"
                continue
            if not any(map(math.isfinite, values)):
                yield f"{title}: no data: {target['expr']}"


def main():
    found, panels = [], 0
    for board in sorted(pathlib.Path(__file__).parent.glob("*.json")):
        panels += len(json.loads(board.read_text(encoding="utf-8"))["panels"])
        found += [f"{board.name}: {fault}" for fault in faults(sys.argv[1], board)]
    print(*found, sep="\n", file=sys.stderr)
    print(f"{panels} panels, {len(found)} faults")
    sys.exit(bool(found))


main()
