#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The shared library exports what the public headers mark with RONDO_API: all of it and nothing else.

usage: exports.py NM LIBRARY INCLUDE_DIR
"""
import pathlib
import re
import subprocess
import sys


def declared(include_dir):
    names = set()
    for header in include_dir.rglob("*.h"):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", header.read_text(encoding="utf-8"), flags=re.S)
        text = re.sub(r"^\s*#.*(\\\n.*)*$", "", text, flags=re.M)
        for declaration in re.findall(r"\bRONDO_API\b([^;{]*)", text):
            match = re.search(r"(\w+)\s*\(", declaration) or re.search(r"(\w+)\s*(\[|$)", declaration)
            names.add(match.group(1))
    return names


def exported(nm, library):
    output = subprocess.run([nm, "-D", "--defined-only", library], text=True, capture_output=True, check=True)
    return {line.split()[-1].split("@")[0] for line in output.stdout.splitlines() if line.strip()}


def main():
    nm, library, include_dir = sys.argv[1:4]
    promised, kept = declared(pathlib.Path(include_dir)), exported(nm, library)
    extra, missing = sorted(kept - promised), sorted(promised - kept)
    for name in extra:
        print(f"exported, but no header marks it: {name}")
    for name in missing:
        print(f"in a header, but not in the library: {name}")
    print(f"{len(promised)} promised, {len(kept)} exported, {len(extra)} too many, {len(missing)} missing")
    return 1 if extra or missing or not promised else 0


sys.exit(main())
