#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds docs/conformance.md and the tests together.

Each row has a test file that really names its id, or a reason why there is none; each id that a test names
has a row; the ids of a family are counted without a gap.

usage: conformance.py SOURCE_DIR              check
       conformance.py SOURCE_DIR --update     write the files into the third column, from the tests
       conformance.py --self-test             the check catches what it is there for
"""
import pathlib
import re
import sys

ROW = re.compile(r"^\| ([A-Z]{2,4})-(\d\d) \| (.*?) \| ?(.*?) ?\|$")
ID = re.compile(r"\b([A-Z]{2,4}-\d\d)\b")
FILE = re.compile(r"`([\w/]+\.c)`")
REASON = re.compile(r"\*(not in C|not there yet|outside the contract)\*: \S")


def rows_of(page):
    for number, line in enumerate(page.split("\n"), 1):
        match = ROW.match(line)
        if match:
            yield number, f"{match.group(1)}-{match.group(2)}", match.group(3), match.group(4)


def check(page, tests):
    """@tests: file name below tests/ -> text. Returns the complaints."""
    complaints, known, last = [], set(), {}
    for number, name, _, where in rows_of(page):
        family, count = name.split("-")
        if int(count) != last.get(family, 0) + 1:
            complaints.append(f"line {number}: {name} is out of order")
        last[family] = int(count)
        known.add(name)
        files = FILE.findall(where)
        for file in files:
            if file not in tests:
                complaints.append(f"line {number}: {name}: there is no tests/{file}")
            elif name not in ID.findall(tests[file]):
                complaints.append(f"line {number}: {name} is not named in tests/{file}")
        if not files and not REASON.match(where):
            complaints.append(f"line {number}: {name} has neither a test nor a reason")
    families = {name.split("-")[0] for name in known}
    for file, text in sorted(tests.items()):
        for name in sorted(set(ID.findall(text)) - known):
            if name.split("-")[0] in families:
                complaints.append(f"tests/{file} names {name}, which is not in the list")
    if not known:
        complaints.append("no row was found")
    return complaints


def update(page, tests):
    lines = page.split("\n")
    for number, name, text, where in rows_of(page):
        files = [f"`{file}`" for file in sorted(tests) if name in ID.findall(tests[file])]
        reason = re.search(r"\*(not in C|not there yet|outside the contract)\*:.*", where)
        column = ", ".join(files)
        if reason:
            column += ("; " if files else "") + reason.group(0)
        lines[number - 1] = f"| {name} | {text} | {column} |"
    return "\n".join(lines)


def self_test():
    page = "| RUN-01 | a | `api/a.c` |\n| RUN-02 | b | *not in C*: there are no types |"
    tests = {"api/a.c": "/* RUN-01 */"}
    assert check(page, tests) == []
    assert update("| RUN-01 | a | |", tests) == "| RUN-01 | a | `api/a.c` |"
    assert update(page, tests) == page
    for broken, files in (("| RUN-01 | a | |", tests), ("| RUN-01 | a | *later* |", tests), (page, {}),
                          (page, {"api/a.c": "RUN-011"}), (page.replace("RUN-02", "RUN-03"), tests),
                          (page, {"api/a.c": "RUN-01 RUN-07"}), ("", tests)):
        assert len(check(broken, files)) == 1, (broken, files, check(broken, files))
    print("the check catches what it is there for")


def main():
    if "--self-test" in sys.argv:
        return self_test()
    root = pathlib.Path(sys.argv[1])
    path = root / "docs" / "conformance.md"
    page = path.read_text(encoding="utf-8")
    tests = {file.relative_to(root / "tests").as_posix(): file.read_text(encoding="utf-8")
             for room in ("unit", "api", "fault") for file in (root / "tests" / room).rglob("*.c")}
    if "--update" in sys.argv:
        path.write_text(update(page, tests), encoding="utf-8")
        return 0
    complaints = check(page, tests)
    print("\n".join(complaints))
    rows = list(rows_of(page))
    tested = sum(1 for row in rows if FILE.search(row[3]))
    print(f"{len(rows)} behaviours: {tested} with tests, {len(rows) - tested} without; {len(complaints)} complaints")
    return 1 if complaints else 0


sys.exit(main())
