"""The software bill of materials of the program, in CycloneDX 1.5."""

import datetime
import json
import subprocess
import tomllib
import uuid


def write(root, path, epoch):
    """Writes the components that the program is linked from, and how they depend on each other."""
    metadata = cargo_metadata(root)
    packages = {package["id"]: package for package in metadata["packages"]}
    start = metadata["resolve"]["root"]
    edges = linked(metadata, start)
    checksums = locked_checksums(root)
    references = {name: reference(packages[name]) for name in edges}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, references[start])}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.datetime.fromtimestamp(epoch, datetime.UTC).isoformat(),
            "component": component(packages[start], "application", checksums),
        },
        "components": sorted(
            (component(packages[name], "library", checksums) for name in edges if name != start),
            key=lambda one: one["bom-ref"],
        ),
        "dependencies": sorted(
            (
                {"ref": references[name], "dependsOn": sorted(references[to] for to in edges[name])}
                for name in edges
            ),
            key=lambda one: one["ref"],
        ),
    }
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n")


def cargo_metadata(root):
    command = ["cargo", "metadata", "--locked", "--format-version", "1"]
    command += ["--filter-platform", "x86_64-unknown-linux-musl"]
    answer = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE)
    return json.loads(answer.stdout)


def linked(metadata, start):
    """What each package that ends up in the program is linked from, proc macros left out."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    macros = {
        package["id"]
        for package in metadata["packages"]
        if any("proc-macro" in target["kind"] for target in package["targets"])
    }
    edges = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in edges:
            continue
        edges[name] = sorted(
            dependency["pkg"]
            for dependency in nodes[name]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
            and dependency["pkg"] not in macros
        )
        waiting.extend(edges[name])
    return edges


def locked_checksums(root):
    lock = tomllib.loads((root / "Cargo.lock").read_text())
    return {
        (package["name"], package["version"]): package.get("checksum")
        for package in lock["package"]
    }


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, kind, checksums):
    checksum = checksums.get((package["name"], package["version"]))
    found = {
        "type": kind,
        "bom-ref": reference(package),
        "purl": reference(package),
        "name": package["name"],
        "version": package["version"],
        # Cargo's older notation of OR.
        "licenses": [{"expression": package["license"].replace(" / ", "/").replace("/", " OR ")}],
    }
    if checksum:
        found["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return found
