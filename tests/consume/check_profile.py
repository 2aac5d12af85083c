#!/usr/bin/env python3
"""Runs a program that writes a profile and checks the file: gzip, and with these strings inside.

    check_profile.py FILE [--contains TEXT]... -- COMMAND...

Used by the consumer tests. What stands in a profile is tested elsewhere; here it only must be there.
"""

import gzip
import os
import subprocess
import sys


def main():
    split = sys.argv.index("--")
    path, wanted, command = sys.argv[1], sys.argv[2:split], sys.argv[split + 1:]
    if os.path.exists(path):
        os.remove(path)
    subprocess.run(command, check=True)
    with open(path, "rb") as file:
        packed = file.read()
    if packed[:2] != b"\x1f\x8b":
        sys.exit(f"{path}: not gzip, starts with {packed[:8]!r}")
    profile = gzip.decompress(packed)
    for text in (b"samples", b"cpu", b"nanoseconds", *(word.encode() for word in wanted if word != "--contains")):
        if text not in profile:
            sys.exit(f"{path}: {len(profile)} bytes, but no '{text.decode()}' in it")
    print(f"{path}: {len(packed)} bytes, {len(profile)} unpacked")


if __name__ == "__main__":
    main()
