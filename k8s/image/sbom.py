#!/usr/bin/env python3
"""sbom.py NAME ARCHIVE OUT: the bill of materials (CycloneDX 1.5) of the image xr-NAME, an archive as `docker save` writes it.

The Debian packages are those whose records the image holds; the crates are those that cargo resolves for the program. The image
`reference` holds no program of ours: its version is that of ffmpeg.
"""
import json
import subprocess
import sys
import tarfile
from urllib.parse import quote

PACKAGES = {"renderer": "renderer", "streamer": "streamer", "client": "client", "collector": "collect", "lisp": "lisp"}


def debian_records(archive):
    """The text of each file of var/lib/dpkg/status.d in any layer of the image."""
    with tarfile.open(archive) as outer:
        manifest = json.load(outer.extractfile("manifest.json"))[0]
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=outer.extractfile(layer)) as files:
                for entry in files:
                    if entry.isfile() and "var/lib/dpkg/status.d/" in entry.name:
                        yield files.extractfile(entry).read().decode()


def debian(archive):
    for record in debian_records(archive):
        fields = dict(line.split(": ", 1) for line in record.splitlines() if ": " in line and not line.startswith(" "))
        name, version, arch = fields["Package"], fields["Version"], fields["Architecture"]
        yield {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:deb/debian/{name}@{quote(version, safe='')}?arch={arch}&distro=debian-12",
        }


def crates(package):
    """The crates that go into the program, as cargo resolves them."""
    metadata = json.loads(subprocess.check_output(["cargo", "metadata", "--format-version=1", "--locked"]))
    packages = {one["id"]: one for one in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    start = next(one["id"] for one in metadata["packages"] if one["name"] == package and one["source"] is None)
    seen, todo = set(), [start]
    while todo:
        current = todo.pop()
        if current in seen:
            continue
        seen.add(current)
        for dependency in nodes[current]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                todo.append(dependency["pkg"])
    for one in sorted((packages[id] for id in seen), key=lambda one: (one["name"], one["version"])):
        entry = {"type": "library", "name": one["name"], "version": one["version"]}
        if one["source"] is not None:
            entry["purl"] = f"pkg:cargo/{one['name']}@{one['version']}"
        if one["license"]:
            entry["licenses"] = [{"expression": one["license"].replace("/", " OR ")}]
        yield entry


def main():
    name, archive, out = sys.argv[1:]
    package = PACKAGES.get(name)
    components = [*debian(archive), *(crates(package) if package else ())]
    for component in components:
        component["bom-ref"] = component.get("purl", f"{component['name']}@{component['version']}")
    is_it = lambda one: one["name"] == package and "purl" not in one if package else one["name"] == "ffmpeg"
    version = next(one["version"] for one in components if is_it(one))
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "container", "name": f"xr-{name}", "version": version, "bom-ref": f"xr-{name}"}},
        "components": components,
    }
    with open(out, "w", encoding="utf-8") as file:
        json.dump(bill, file, indent=1)


main()
