#!/usr/bin/env python3
"""Keeps the signal handler free of calls that nobody allowed; run by ctest.

    tools/check_handler_symbols.py ARCHIVE ALLOWED_SYMBOLS

Every symbol that the handler's archive needs from elsewhere must stand in the allow-list, one a
line with its reason: `clock_gettime  # async-signal-safe by POSIX`. A line that is not needed is an
error too, so that the list says what the handler does. __tls_get_addr can never be allowed: it may
allocate on a thread's first access. Calls through pointers are not seen by `nm`, hence no virtual
functions in that folder.
"""

import re
import subprocess
import sys

NEVER = {"__tls_get_addr": "thread-local access that may allocate; build with -ftls-model=initial-exec"}
# Made by the linker: an address, not a call.
LINKER_MADE = {"_GLOBAL_OFFSET_TABLE_"}


def needed_symbols(archive):
    """Names that are undefined in some object of the archive and defined in none."""
    lines = subprocess.run(["nm", "-P", archive], check=True, text=True,
                           capture_output=True).stdout.splitlines()
    undefined, defined = set(), set()
    for line in lines:
        fields = line.split()
        if len(fields) < 2 or len(fields[1]) != 1:
            continue
        (undefined if fields[1] in "Uwv" else defined).add(fields[0])
    return undefined - defined - LINKER_MADE


def allowed_symbols(path):
    """The allow-list as {symbol: reason}; a line without a reason is an error."""
    allowed = {}
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip() or line.startswith("#"):
                continue
            match = re.match(r"(\S+)\s+#\s*(\S.*)$", line)
            if not match:
                raise ValueError(f"{path}:{number}: expected `symbol  # reason`")
            allowed[match.group(1)] = match.group(2)
    return allowed


def check(needed, allowed):
    problems = []
    for symbol in sorted(needed | set(allowed)):
        if symbol in NEVER:
            problems.append(f"{symbol}: {NEVER[symbol]}")
        elif symbol not in allowed:
            problems.append(f"{symbol}: the handler calls it, but it is not in the allow-list")
        elif symbol not in needed:
            problems.append(f"{symbol}: in the allow-list, but the handler does not need it")
    return problems


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        needed = needed_symbols(sys.argv[1])
        problems = check(needed, allowed_symbols(sys.argv[2]))
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        sys.exit(f"check_handler_symbols: {error}")
    print("\n".join(problems) or f"handler symbols: {len(needed)} needed, all allowed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
