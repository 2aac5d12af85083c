#!/usr/bin/env python3
"""Checks that a shared library exports the public API and nothing else.

    exported_symbols.py LIBRARY INCLUDE_FOLDER

Every exported symbol must belong to namespace pprof and to a name that the headers declare.
"""

import pathlib
import re
import subprocess
import sys


def main():
    library, include = sys.argv[1], pathlib.Path(sys.argv[2])
    declared = set()
    for header in include.rglob("*.h"):
        declared |= set(re.findall(r"\w+", re.sub(r"//.*", "", header.read_text())))
    nm = subprocess.run(["nm", "-D", "--defined-only", "-C", library], check=True, capture_output=True, text=True)
    names = [line.split(None, 2)[2] for line in nm.stdout.splitlines()]
    bad = []
    for name in names:
        path = re.match(r"pprof((?:::~?\w+)+)(?:\[abi:\w+\])?\(", name)  # the tag: it returns a std::string
        parts = [] if path is None else [part.lstrip("~") for part in path.group(1).split("::")[1:]]
        # An operator has no word of its own.
        operator = re.match(r"pprof::(\w+)::operator", name)
        if operator:
            parts = [operator.group(1)]
        if not parts or not set(parts) <= declared:
            bad.append(name)
    for name in bad:
        print(f"exported, but no part of the API: {name}", file=sys.stderr)
    if len(names) < 20:
        sys.exit(f"{library}: only {len(names)} symbols, so this is not the library")
    if bad:
        sys.exit(1)
    print(f"{library}: {len(names)} symbols, all of the public API")


if __name__ == "__main__":
    main()
