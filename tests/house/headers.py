#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each public header compiles alone, twice in one file, in C11 and in C++17, without a warning.

usage: headers.py --cc COMPILER | --cxx COMPILER  INCLUDE_DIR
"""
import argparse
import pathlib
import subprocess
import sys

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror", "-fsyntax-only"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cc")
    parser.add_argument("--cxx")
    parser.add_argument("include_dir", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.cc:
        command = [arguments.cc, "-std=c11", "-x", "c"]
    else:
        command = [arguments.cxx, "-std=c++17", "-x", "c++"]

    headers = sorted(path.relative_to(arguments.include_dir) for path in arguments.include_dir.rglob("*.h"))
    failed = 0
    for header in headers:
        source = f"#include <{header}>\n#include <{header}>\nint main(void) {{ return 0; }}\n"
        result = subprocess.run(command + WARNINGS + ["-I", str(arguments.include_dir), "-"],
                                input=source, text=True, capture_output=True)
        if result.returncode != 0:
            failed += 1
            print(f"{header} does not compile alone:\n{result.stderr}")
    print(f"{len(headers)} headers, {failed} of them do not compile alone: {' '.join(command)}")
    return 1 if failed or not headers else 0


sys.exit(main())
