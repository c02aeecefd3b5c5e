#!/usr/bin/env python3
"""Compares what the sources import with the dependencies that Package.swift declares: neither a module that is not declared, which the
compiler finds only while another target builds it first, nor a dependency that nothing needs."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# What comes with the compiler and the system.
TOOLCHAIN = {"Dispatch", "Foundation", "FoundationEssentials", "Glibc", "Synchronization", "Testing"}
IMPORT = re.compile(r"^(?:@\w+(?:\(\w+\))? )*(?:\w+ )?import (?:(?:struct|class|enum|protocol|func|var|let) )?(\w+)", re.M)


def imports(folder):
    """The modules that the files of a folder import, each with one of the files."""
    return {name: file for file in sorted(folder.rglob("*.swift")) for name in IMPORT.findall(file.read_text())}


def main():
    dump = subprocess.run(["swift", "package", "dump-package"], cwd=ROOT, capture_output=True, check=True).stdout
    faults = []
    for target in json.loads(dump)["targets"]:
        if target["type"] == "system":
            continue
        name = target["name"]
        found = imports(ROOT / (target.get("path") or ("Tests" if target["type"] == "test" else "Sources") + "/" + name))
        declared = {(dependency.get("byName") or dependency.get("target") or dependency["product"])[0] for dependency in target["dependencies"]}
        for module in sorted(set(found) - declared - TOOLCHAIN):
            faults.append(f"{found[module].relative_to(ROOT)}: {name} imports {module}, which Package.swift does not declare")
        for module in sorted(declared - set(found)):
            faults.append(f"Package.swift: {name} declares {module}, which no file imports")
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
