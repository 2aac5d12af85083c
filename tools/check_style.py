#!/usr/bin/env python3
"""Keeps the rules of CONTRIBUTING.md that a script can see; run by ctest.

    tools/check_style.py [ROOT]

Files of at most 500 lines, functions of at most 40 (counted from the line with the opening brace to
the closing one; a line `// long: reason` above the function lifts that), no notes to self, headers
with `#pragma once` and an opening comment. With clang-format-14 in PATH also the format. Prints one
line a violation and exits with 1 if there is any.
"""

import pathlib
import re
import shutil
import subprocess
import sys

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 40
FOLDERS = ("src", "include", "tests", "examples", "bench", "tools", "cmake")
CODE = (".cc", ".h")
TEXT = (".py", ".cmake", ".txt", ".sh", ".go", ".s", ".c", "")
# Written in two halves, so that this file does not find itself.
NOTES = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")

LITERAL = re.compile(r"""//.*?$|/\*.*?\*/|R"(?P<d>[^()\\\s]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|(?<!\w)'(?:\\.|[^'\\\n])+'""",
                     re.S | re.M)
# What opens a brace that is not a function's: these words start its declaration.
NOT_FUNCTION = re.compile(r"^(template\s*<.*?>\s*)?(typedef\s+)?(inline\s+)?(namespace|class|struct|union|enum|extern)\b", re.S)


def blank(text):
    """The code without comments and literals, with the same line numbers."""
    return LITERAL.sub(lambda match: re.sub(r"[^\n]", " ", match.group(0)), text)


def is_function(declaration):
    """True when the text before an opening brace is a function's signature."""
    text = re.sub(r"^\s*#.*$", "", declaration, flags=re.M).strip()
    text = re.sub(r"\[\[.*?\]\]|alignas\s*\([^()]*\)|__attribute__\s*\(\(.*?\)\)", " ", text).strip()
    if not text or "(" not in text:
        return False
    head = NOT_FUNCTION.match(text)
    if head and not (head.group(4) == "extern" and "(" in text):
        return bool(re.match(r"^(struct|class|union|enum)\b[^{;]*\)\s*(const|noexcept|override)*\s*$", text))
    return not text.endswith("=")


def functions(code):
    """(first, last) line of every function body; bodies inside bodies are part of the outer one."""
    found = []
    stack = []  # for each open brace: the position of a function's body, or None
    inside = False
    declaration = 0  # where the text before the next brace starts
    for position, character in enumerate(code):
        if character == "{":
            body = not inside and is_function(code[declaration:position])
            stack.append(position if body else None)
            inside = inside or body
        elif character == "}" and stack:
            opened = stack.pop()
            if opened is not None:
                inside = False
                found.append((code.count("\n", 0, opened) + 1, code.count("\n", 0, position) + 1))
        if character in "{};" and not inside:
            declaration = position + 1
    return found


def signature_line(lines, first):
    """The line where the signature that ends on line `first` starts, going up to a blank line."""
    while first >= 2 and lines[first - 2].strip() and not lines[first - 2].rstrip().endswith((";", "}", "{", ":")) \
            and not lines[first - 2].lstrip().startswith(("//", "#")):
        first -= 1
    return first


def check_functions(path, text):
    lines = text.splitlines()
    for first, last in functions(blank(text)):
        above = lines[signature_line(lines, first) - 2].strip() if first >= 2 else ""
        if last - first + 1 > MAX_FUNCTION_LINES and not re.match(r"// long: \S+", above):
            yield f"{path}:{first}: function of {last - first + 1} lines (at most {MAX_FUNCTION_LINES})"


def check_header(path, text):
    if "#pragma once" not in text:
        yield f"{path}:1: header without #pragma once"
    if not text.startswith("//"):
        yield f"{path}:1: a header opens with a comment: what it is and who uses it"


def check_text(path, text, suffix):
    lines = text.splitlines()
    if len(lines) > MAX_FILE_LINES:
        yield f"{path}:1: file of {len(lines)} lines (at most {MAX_FILE_LINES})"
    for number, line in enumerate(lines, 1):
        if NOTES.search(line):
            yield f"{path}:{number}: note to self: finish it or write an issue"
    if suffix in CODE:
        yield from check_functions(path, text)
    if suffix == ".h":
        yield from check_header(path, text)


def source_files(root):
    for top in FOLDERS:
        for file in sorted((root / top).rglob("*")):
            path = file.relative_to(root).as_posix()
            if path.startswith("tests/data/") or "/corpus/" in path or "/testdata/" in path or "__pycache__" in path or not file.is_file():
                continue
            if file.suffix in CODE + TEXT:
                yield file, path


def check_format(root):
    """What clang-format would change; nothing when it is not installed."""
    program = shutil.which("clang-format-14")
    files = [path for file, path in source_files(root) if file.suffix in CODE]
    if not program or not files:
        return []
    run = subprocess.run([program, "--dry-run", "-Werror", *files], cwd=root, text=True,
                         capture_output=True, check=False)
    return [line for line in run.stderr.splitlines() if "error:" in line]


def check_tree(root):
    violations = []
    for file, path in source_files(root):
        try:
            text = file.read_text()
        except UnicodeDecodeError:
            continue
        violations.extend(check_text(path, text, file.suffix))
    return violations + check_format(root)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    violations = check_tree(root)
    print("\n".join(violations) or "style: no violations")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
