#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Holds the tree to its plan (docs/design.md): includes go only downward, conditions on the system stand
in leaf files only, files open with their licence, and functions and files stay short.

usage: layers.py SOURCE_DIR [--self-test]
"""
import pathlib
import re
import sys

# The rooms from the ground up. A file may include its own room and those before it.
ROOMS = ["include", "src/base", "platform", "backends", "src/core", "src/async", "src/net", "src/sys",
         "src/stream", "src/tls"]
LEVEL = {"include": 0, "src/base": 1, "platform": 2, "backends": 3, "src/core": 4, "src/async": 5,
         "src/net": 6, "src/sys": 6, "src/stream": 7, "src/tls": 7}

C11_HEADERS = set("""assert.h complex.h ctype.h errno.h fenv.h float.h inttypes.h iso646.h limits.h locale.h
    math.h setjmp.h signal.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h
    stdnoreturn.h string.h tgmath.h time.h uchar.h wchar.h wctype.h""".split())

SYSTEM_MACRO = re.compile(
    r"\b(_WIN32|_WIN64|WIN32|__MINGW\w+|_MSC_VER|__CYGWIN__|__linux__|__linux|__gnu_linux__|__APPLE__|__MACH__|"
    r"__\w*BSD\w*__|__DragonFly__|__unix__|__unix|__x86_64__|__aarch64__|__SANITIZE_\w+|__has_feature|"
    r"RONDO_HAVE_\w+|SO_\w+|MSG_\w+|IORING_\w+|EPOLL\w+|AF_\w+)\b")

SYSTEM_FOLDERS = ("platform/posix/", "platform/linux/", "platform/windows/", "platform/darwin/", "platform/bsd/")

MAX_FUNCTION = 70
MAX_FILE = 600

# Longer than the limit, by consent: path or path:function -> its length today. A number here may only fall,
# and an entry that is no longer needed must go.
LONG = {}


def room_of(path):
    for room in ROOMS:
        if path.startswith(room + "/"):
            return room
    return None


def includes_of(text):
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1), match.group(2)


def resolve(tree, path, name):
    """The repository's path of #include "name" in @path, or None."""
    parts = []
    for part in (pathlib.PurePosixPath(path).parent / name).parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part != ".":
            parts.append(part)
    beside = "/".join(parts)
    if beside in tree or beside + ".in" in tree:
        return beside
    # What is on the include path: the folder of the system ("thread_types.h"), and for tests their support and,
    # for those of the insides, the tree itself.
    folders = SYSTEM_FOLDERS if not path.startswith("tests/") else ("tests/support/", "")
    return next((folder + name for folder in folders if folder + name in tree), None)


def check_include(path, kind, name, target):
    """Why this include breaks the plan, or None."""
    room = room_of(path)
    if kind == "<":
        if path.startswith("tests/") or room in ("platform", "backends"):
            return None
        public = name == "rondo.h" or name.startswith("rondo/")
        if room and room.startswith("src/") and not public and name not in C11_HEADERS:
            return f"<{name}>: src knows no system, only C11's headers and Rondo's own"
        if room == "include" and not public and name not in C11_HEADERS:
            return f"<{name}>: a public header takes C11's headers only"
        return None
    if target is None:
        return f'"{name}" is nowhere in the tree'
    if path.startswith(("tests/api/", "tests/support/")):
        if not target.startswith(("tests/support/", "tests/api/")):
            return f'"{target}": tests/api and tests/support see the public headers and tests/support only'
        return None
    if path.startswith(("examples/", "bench/")):
        if target.split("/")[0] != path.split("/")[0]:
            return f'"{target}": a program sees the public headers only'
        return None
    if room is None:
        return None
    there = room_of(target)
    if there is None or LEVEL[there] > LEVEL[room] or (LEVEL[there] == LEVEL[room] and there != room):
        return f'"{target}": includes go only downward'
    if room.startswith("src/"):
        if there == "backends" and target != "backends/driver.h":
            return f'"{target}": of the backends src sees driver.h only'
        if there == "platform" and (target.count("/") != 1 or room == "src/async"):
            return f'"{target}": src sees the contracts in platform/*.h only, and src/async none of them'
        if there == "platform" and room == "src/base":
            return f'"{target}": src/base stands below the platform'
    return None


def is_leaf(path):
    """May conditions on the system stand here?"""
    if path == "include/rondo/export.h" or not room_of(path):
        return True
    if path.startswith("platform/"):
        return path.count("/") >= 2
    return path.startswith("backends/") and path not in ("backends/driver.h", "backends/poller.h")


def check_conditions(path, text):
    if is_leaf(path):
        return
    for number, line in enumerate(text.split("\n"), 1):
        match = re.match(r"\s*#\s*(el)?if(n?def)?\b(.*)", line)
        if match and SYSTEM_MACRO.search(match.group(3)):
            yield f"{path}:{number}: a condition on the system outside a leaf file: {line.strip()}"


def functions_of(text):
    """(name, length) of each function: from a '{' to a '}' that stand alone at the line's start."""
    lines = text.split("\n")
    start = None
    for index, line in enumerate(lines):
        if line == "{":
            start = index
        elif line.startswith("}") and start is not None:
            head = " ".join(lines[max(0, start - 4):start])
            names = re.findall(r"(\w+)\s*\(", head.rsplit(";", 1)[-1].rsplit("}", 1)[-1])
            yield (names[0] if names else "?"), index - start + 1
            start = None


def check_length(path, text):
    """(key, length, limit) of what could be too long."""
    if not room_of(path) and not path.startswith("bench/"):
        return
    yield path, text.count("\n"), MAX_FILE
    for name, length in functions_of(text):
        yield f"{path}:{name}", length, MAX_FUNCTION


def check_tree(tree, long_ones):
    complaints = []
    seen = set()
    for path, text in sorted(tree.items()):
        mark = "SPDX-License-Identifier: MIT"
        if mark not in text.split("\n", 1)[0]:
            complaints.append(f"{path}:1: the first line names the licence: {mark}")
        for number, kind, name in includes_of(text):
            why = check_include(path, kind, name, resolve(tree, path, name))
            if why:
                complaints.append(f"{path}:{number}: {why}")
        complaints.extend(check_conditions(path, text))
        for number, line in enumerate(text.split("\n"), 1):
            if re.search(r"\b(TODO|FIXME|XXX)\b", line):
                complaints.append(f"{path}:{number}: left open: {line.strip()}")
        for key, length, limit in check_length(path, text):
            allowed = long_ones.get(key, limit)
            if length > allowed:
                complaints.append(f"{key}: {length} lines, at most {allowed}")
            if key in long_ones:
                seen.add(key)
                if length < allowed:
                    complaints.append(f"{key}: only {length} lines now; tighten its entry ({allowed})")
    complaints.extend(f"{key}: no such thing any more; remove its entry" for key in set(long_ones) - seen)
    return complaints


def self_test():
    """Each rule must catch what it is there for."""
    spdx = "/* SPDX-License-Identifier: MIT */\n"
    good = {"include/rondo/a.h": "", "src/base/b.h": "", "platform/c.h": '#include "types.h"\n',
            "platform/posix/types.h": "#if defined(__linux__)\n", "backends/driver.h": "",
            "backends/x.h": "", "src/core/d.h": '#include "../base/b.h"\n#include "../../platform/c.h"\n',
            "src/net/n.h": "", "tests/support/s.h": "#include <rondo/a.h>\n#include <unistd.h>\n"}
    good = {path: spdx + text for path, text in good.items()}
    assert check_tree(good, {}) == [], check_tree(good, {})
    bad = [("src/base/e.c", '#include "../core/d.h"\n'), ("src/core/e.c", '#include "../../backends/x.h"\n'),
           ("src/async/e.c", '#include "../../platform/c.h"\n'), ("src/net/e.c", "#include <sys/socket.h>\n"),
           ("src/net/f.c", '#include "../../platform/posix/types.h"\n'),
           ("src/sys/e.c", '#include "../net/n.h"\n'), ("src/base/g.c", '#include "../../platform/c.h"\n'),
           ("tests/api/e.c", '#include "../../src/base/b.h"\n'), ("examples/e.c", '#include "../src/base/b.h"\n'),
           ("src/core/e.c", "#ifdef _WIN32\n"), ("platform/e.h", "#elif defined(__APPLE__)\n"),
           ("src/core/e.c", "static void f(int a)\n{\n" + "    a++;\n" * 69 + "}\n"),
           ("src/core/e.c", "\n" * 600), ("src/core/e.c", "/* TO" + "DO: later */\n"),
           ("src/core/e.c", '#include "nowhere.h"\n')]
    for path, text in bad:
        found = check_tree({**good, path: spdx + text}, {})
        assert len(found) == 1, (path, text, found)
    assert len(check_tree({**good, "src/core/e.c": "int x;\n"}, {})) == 1
    short = {**good, "src/core/e.c": spdx + "void f(void)\n{\n}\n"}
    assert len(check_tree(short, {"src/core/e.c:f": 80})) == 1
    assert len(check_tree(good, {"src/core/e.c:f": 80})) == 1
    print("each rule catches what it is there for")


def main():
    if "--self-test" in sys.argv:
        return self_test()
    root = pathlib.Path(sys.argv[1])
    tree = {}
    for room in ("include", "src", "backends", "platform", "tests", "examples", "bench"):
        for path in sorted((root / room).rglob("*.[ch]")) + sorted((root / room).rglob("*.h.in")):
            tree[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8")
    complaints = check_tree(tree, LONG)
    print("\n".join(complaints))
    print(f"{len(tree)} files, {len(complaints)} complaints")
    return 1 if complaints or not tree else 0


sys.exit(main())
