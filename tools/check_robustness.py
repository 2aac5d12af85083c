#!/usr/bin/env python3
"""Every test that docs/robustness.md names exists; run by ctest.

    tools/check_robustness.py ROOT [BUILD]

A row of the table has four cells: number, what can go wrong, whom it broke, test. Rows are numbered 1 to 44. The last cell
names tests in backticks, `program: Suite.Case` or a name of ctest's, or begins with "not run:". The line "N of 44 run here."
must be true. With BUILD, the names of ctest's are looked up there. Prints one line a violation and exits with 1 if there is any.
"""

import pathlib
import re
import sys

ITEMS = 44
ROW = re.compile(r"^\| *(\d+) *\|(.*)\|(.*)\|(.*)\|$")
CASE = re.compile(r"^\s*TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)", re.M)
PROGRAM = re.compile(r"^(\w+): (\w+)\.(\w+)$")
NOT_TESTS = re.compile(r"^(make \w+|/|\.|\w+\(|process_vm_readv|tools/)")


def cases(root):
    """{file stem: {"Suite.Case", ...}} of all test sources."""
    found = {}
    for top in ("src", "tests"):
        for file in sorted((root / top).rglob("*_test.cc")):
            found.setdefault(file.stem, set()).update(".".join(match) for match in CASE.findall(file.read_text()))
    return found


def ctest_names(build):
    """From the files that ctest reads: asking ctest itself would overwrite the log of the one that runs this."""
    found = set()
    for file in pathlib.Path(build).rglob("CTestTestfile.cmake"):
        found.update(re.findall(r"^add_test\((?:\[=\[)?\"?([^\s\]\"]+)", file.read_text(), re.M))
    return found


def check_name(name, known, names):
    """'' if the test exists, else why not."""
    match = PROGRAM.match(name)
    if not match:
        return "" if names is None or name in names else f"ctest knows no `{name}`"
    program, case = match.group(1), f"{match.group(2)}.{match.group(3)}"
    stem = program if program in known else program.removeprefix("bridge_")
    if case not in known.get(stem, set()):
        return f"there is no `{name}`"
    return "" if names is None or program in names else f"ctest knows no `{program}`"


def check(text, known, names):
    found, running, numbers = [], 0, []
    for row in filter(None, map(ROW.match, text.splitlines())):
        number, cell = int(row.group(1)), row.group(4).strip()
        numbers.append(number)
        if cell.startswith("not run:"):
            continue
        running += 1
        tests = [name for name in re.findall(r"`([^`]+)`", cell) if not NOT_TESTS.match(name)]
        if not tests:
            found.append(f"row {number} names no test and does not say why")
        found += [f"row {number}: {problem}" for name in tests if (problem := check_name(name, known, names))]
    if numbers != list(range(1, ITEMS + 1)):
        found.append(f"rows are numbered {numbers}, not 1 to {ITEMS}")
    if f"\n{running} of {ITEMS} run here." not in text:
        found.append(f"{running} rows run, and the page says something else")
    return found


def main():
    root = pathlib.Path(sys.argv[1])
    names = ctest_names(sys.argv[2]) if len(sys.argv) > 2 else None
    found = check((root / "docs" / "robustness.md").read_text(), cases(root), names)
    print("\n".join(f"docs/robustness.md: {line}" for line in found) or "all tests that the page names exist")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
