#!/usr/bin/env python3
"""Keeps the include direction of ARCHITECTURE.md; run by ctest.

    tools/check_includes.py [ROOT]

Prints one line a violation (file:line: what) and exits with 1 if there is any. A folder may include
itself, what MAY_INCLUDE names, and the standard library. Tests, fuzz targets and benchmarks may
include everything but another folder's opentelemetry rule: those headers stay in the bridge and in
programs around it.
"""

import pathlib
import re
import sys

PUBLIC = "include/pprof"

# Folder: the folders and headers whose files it may include besides its own.
MAY_INCLUDE = {
    "src/pprof/base": [PUBLIC],
    "src/pprof/handler": ["pprof/trace_context.h", "pprof/export.h"],
    "src/pprof/elf": ["src/pprof/base"],
    "src/pprof/unwind": ["src/pprof/base", "src/pprof/elf", "src/pprof/handler"],
    "src/pprof/labels": [PUBLIC, "src/pprof/base", "src/pprof/handler"],
    "src/pprof/profile": ["src/pprof/base"],
    "src/pprof/spans": ["pprof/span_record.h", "pprof/trace_context.h", "pprof/export.h"],
    "src/pprof/view": ["pprof/stats.h", "src/pprof/profile", "src/pprof/spans"],
    "src/pprof/encode": ["pprof/profile_source.h", "src/pprof/base", "src/pprof/profile"],
    "src/pprof/symbolize": ["src/pprof/base", "src/pprof/elf"],
    "src/pprof/sampler": [PUBLIC, "src/pprof/base", "src/pprof/handler", "src/pprof/labels",
                          "src/pprof/elf", "src/pprof/unwind", "src/pprof/profile"],
    "src/pprof/profiler": [PUBLIC, "src/pprof"],
    "src/pyroscope": ["include/pyroscope", "include/pprof"],
    "src/pprof_http": ["include/pprof_http", "include/pprof"],
    "include/pprof": [],
    "include/pyroscope": ["include/pprof"],
    "include/pprof_http": ["include/pprof"],
    "include/otelpyroscope": ["pprof/trace_context.h", "pprof/labels.h", "pprof/span_record.h",
                              "pprof/export.h"],
}
# Where opentelemetry headers may be included at all; the bridge sees the API only.
OPENTELEMETRY = ["include/otelpyroscope", "tests", "examples", "bench"]
# Everything may be included from here, but what OPENTELEMETRY says.
FREE = ["tests", "examples", "bench"]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
BESIDE = re.compile(r"_(test|fuzz|bench)(_[a-z0-9]+)*\.(cc|h)$")


def folder_of(path):
    """The row of MAY_INCLUDE, or the FREE folder, that a repository path belongs to."""
    for folder in sorted([*MAY_INCLUDE, *FREE], key=len, reverse=True):
        if path.startswith(folder + "/"):
            return folder
    return None


def as_path(header):
    """Repository path of an included project header; None for headers of others."""
    if header.startswith(("src/", "tests/", "bench/", "examples/")):
        return header
    if header.startswith(("pprof/", "pprof_http/", "pyroscope/", "otelpyroscope/")):
        return "include/" + header
    return None


def within(path, folder):
    return path.startswith(folder + "/")


def check_include(path, quote, header):
    """The rule that including `header` from the file `path` breaks, or None."""
    if header.startswith("opentelemetry/"):
        if not any(within(path, folder) for folder in OPENTELEMETRY):
            return "opentelemetry headers belong to include/otelpyroscope alone"
        if within(path, "include") and header.startswith("opentelemetry/sdk/"):
            return "the bridge sees the OpenTelemetry API, never its SDK"
        return None
    folder = folder_of(path)
    if folder is None:
        return "this folder is missing in the table of tools/check_includes.py"
    target = as_path(header)
    if target is None:
        if quote == '"' and folder not in FREE:
            return 'project headers are included by their full path from the root'
        return check_foreign(path, folder, header)
    if folder in FREE or BESIDE.search(path) or within(target, folder):
        return None
    if any(header == allowed or within(target, allowed) for allowed in MAY_INCLUDE[folder]):
        return None
    return f"{folder} may include: {', '.join(MAY_INCLUDE[folder]) or 'nothing of the project'}"


def check_foreign(path, folder, header):
    """Public headers know the standard library alone: <vector>, <cstdint>, but no <x/y.h>."""
    if within(path, "include") and ("/" in header or header.endswith(".h")):
        return "public headers include only public headers and the C++ standard library"
    return None


def check_tree(root):
    violations = []
    for top in ("src", "include", "tests", "examples", "bench"):
        for file in sorted((root / top).rglob("*")):
            path = file.relative_to(root).as_posix()
            if file.suffix not in (".h", ".cc") or path.startswith(("tests/consume/", "tests/data/")):
                continue
            for number, line in enumerate(file.read_text().splitlines(), 1):
                match = INCLUDE.match(line)
                rule = match and check_include(path, match.group(1), match.group(2))
                if rule:
                    violations.append(f"{path}:{number}: {match.group(2)}: {rule}")
    return violations


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    violations = check_tree(root)
    print("\n".join(violations) or "include directions: no violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
