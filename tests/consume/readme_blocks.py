#!/usr/bin/env python3
"""Writes the README's program and its CMakeLists.txt into a folder, so that a test builds them.

    readme_blocks.py README.md FOLDER

The first ```cpp block becomes main.cc, the first ```cmake block CMakeLists.txt.
"""

import pathlib
import re
import sys


def first_block(text, language):
    match = re.search(rf"^```{language}\n(.*?)^```$", text, re.S | re.M)
    if not match:
        sys.exit(f"README.md has no ```{language} block")
    return match.group(1)


def main():
    readme, folder = pathlib.Path(sys.argv[1]).read_text(), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for language, name in (("cpp", "main.cc"), ("cmake", "CMakeLists.txt")):
        (folder / name).write_text(first_block(readme, language))


if __name__ == "__main__":
    main()
