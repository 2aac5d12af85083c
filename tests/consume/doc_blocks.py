#!/usr/bin/env python3
"""Checks every fenced block and every link of the documents; a block of a kind that nobody checks is an error.

    doc_blocks.py REPOSITORY WORK_FOLDER COMPILER INCLUDE_FOLDER CMAKE PREFIX

| block | what is checked |
|---|---|
| cpp | it stands in a program under examples/, or it compiles: by itself if it has main(), else in a function after doc_blocks.h |
| cmake | CMake configures it against the libraries that are installed in PREFIX |
| yaml, alloy | it stands in a file under examples/ |
| sh | doc_commands.py knows each command; targets, presets, options, files and routes are there |
| text | it is what a command prints: the block before it, in the same section, has the command |
"""

import pathlib
import re
import subprocess
import sys

from doc_commands import Commands

BLOCK = re.compile(r"^( *)```(\S*)\n(.*?)^\1```$", re.S | re.M)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|srcset)=\"([^\"]+)\"")
DATA_SOURCE = "examples/rideshare/compose/grafana/provisioning/datasources/tempo.yml"
PREAMBLE = "cmake_minimum_required(VERSION 3.25)\nproject(block LANGUAGES C CXX)\nfind_package(opentelemetry-cpp CONFIG REQUIRED)\n" \
           "add_executable(my-service main.cc)\n"


class Block:
    def __init__(self, document, text, match):
        self.document, self.language = document, match.group(2)
        self.line = text.count("\n", 0, match.start()) + 2
        self.text = re.sub(f"^{match.group(1)}", "", match.group(3), flags=re.M)
        self.before = text[:match.start()]

    def where(self):
        return f"{self.document}:{self.line}"


def content(text):
    """The lines of a file that say something: neither empty nor a comment, without the indentation that all of them share."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not re.match(r"\s*(#(?!include)|//)", line)]
    shared = min((len(line) - len(line.lstrip()) for line in lines), default=0)
    return [line[shared:] for line in lines]


def stands_in(wanted, text):
    """Whether the lines follow each other in the text, all at one indentation."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip() and not re.match(r"\s*(#(?!include)|//)", line)]
    return bool(wanted) and any(content("\n".join(lines[at:at + len(wanted)])) == wanted for at in range(len(lines)))


class Checker:
    def __init__(self, repository, work, compiler, include, cmake, prefix):
        self.root, self.work = pathlib.Path(repository), pathlib.Path(work)
        self.compiler, self.include, self.cmake, self.prefix = compiler, include, cmake, prefix
        self.failures, self.snippets, self.counts = [], [], {}
        self.commands = Commands(self.root)
        self.examples = [path for path in sorted((self.root / "examples").rglob("*")) if path.is_file()]
        self.work.mkdir(parents=True, exist_ok=True)

    def fail(self, where, words):
        self.failures.append(f"{where}: {words}")

    def in_example(self, block, *suffixes):
        wanted = content(block.text)
        return any(stands_in(wanted, path.read_text()) for path in self.examples if path.suffix in suffixes)

    def compile(self, name, source):
        file = self.work / name
        file.write_text(source)
        ran = subprocess.run([self.compiler, "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-unused-variable",
                              "-Wno-unused-but-set-variable", f"-I{self.include}", str(file)],
                             capture_output=True, text=True)
        if ran.returncode != 0:
            self.fail(name, f"does not compile:\n{ran.stderr[:4000]}")

    def check_cpp(self, block):
        line = f'#line {block.line} "{block.document}"\n'
        if re.search(r"^int main\(", block.text, re.M):
            self.compile(f"main_{len(self.snippets)}.cc", line + block.text)
        elif not self.in_example(block, ".cc", ".h"):
            body = re.sub(r"^#include.*$", lambda found: "", block.text, flags=re.M)
            includes = "".join(found + "\n" for found in re.findall(r"^#include.*$", block.text, re.M))
            self.snippets.append(f"{includes}void Block{len(self.snippets)}();\nvoid Block{len(self.snippets)}() {{\n{line}{body}}}\n")

    def check_cmake(self, block):
        folder = self.work / f"cmake_{pathlib.Path(block.document).stem}_{block.line}"
        folder.mkdir(exist_ok=True)
        (folder / "main.cc").write_text("int main() {}\n")
        (folder / "CMakeLists.txt").write_text(block.text if "project(" in block.text else PREAMBLE + block.text)
        ran = subprocess.run([self.cmake, "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}",
                              f"-DCMAKE_CXX_COMPILER={self.compiler}"], capture_output=True, text=True)
        if ran.returncode != 0:
            self.fail(block.where(), f"CMake says\n{ran.stderr}")

    def check_config(self, block):
        if not self.in_example(block, ".yml", ".yaml", ".alloy"):
            self.fail(block.where(), "no file under examples/ has these lines")
        found = re.search(r"^ *tracesToProfiles:.*", block.text, re.S | re.M)
        if found and not stands_in(content(found.group()), (self.root / DATA_SOURCE).read_text()):
            self.fail(block.where(), f"tracesToProfiles is not that of {DATA_SOURCE}")

    def check_sh(self, block):
        for words in self.commands.check(block.text):
            self.fail(block.where(), words)

    def check_text(self, block):
        above = list(BLOCK.finditer(block.before))
        if not above or above[-1].group(2) != "sh" or re.search(r"^#", block.before[above[-1].end():], re.M):
            self.fail(block.where(), "output whose command is not the block before it in the same section")

    def check(self, block):
        kinds = {"cpp": self.check_cpp, "cmake": self.check_cmake, "yaml": self.check_config, "alloy": self.check_config,
                 "sh": self.check_sh, "text": self.check_text}
        self.counts[block.language] = self.counts.get(block.language, 0) + 1
        if block.language in kinds:
            kinds[block.language](block)
        else:
            self.fail(block.where(), f"nobody checks a block of kind '{block.language}'; there are {', '.join(kinds)}")

    def check_links(self, document, text):
        for link in (one or other for one, other in LINK.findall(BLOCK.sub("", text))):
            target, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            path = (self.root / document).parent / target if target else self.root / document
            if not path.exists():
                self.fail(document, f"{link} leads nowhere")
            elif anchor and anchor not in anchors(path.read_text()):
                self.fail(document, f"{link}: no such heading")

    def check_document(self, path):
        document, text = str(path.relative_to(self.root)), path.read_text()
        for found in re.finditer(r"^\n {4,}(?![-*\d])\S.*$", BLOCK.sub("\n", text), re.M):
            self.fail(document, f"an indented block, which nobody checks: {found.group().strip()}")
        for match in BLOCK.finditer(text):
            self.check(Block(document, text, match))
        if len(re.findall(r"^ *```", text, re.M)) != 2 * len(BLOCK.findall(text)):
            self.fail(document, "a fence is not closed")
        self.check_links(document, text)

    def run(self):
        documents = [self.root / "README.md", self.root / "CONTRIBUTING.md", *sorted((self.root / "docs").glob("*.md")),
                     *sorted((self.root / "examples").glob("*/README.md"))]
        for path in documents:
            self.check_document(path)
        prelude = pathlib.Path(__file__).with_name("doc_blocks.h")
        self.compile("snippets.cc", f'#include "{prelude}"\n' + "".join(self.snippets))
        for failure in self.failures:
            print(failure)
        print(f"{len(documents)} documents; blocks: " + ", ".join(f"{count} {kind}" for kind, count in sorted(self.counts.items())))
        return 1 if self.failures or not all(self.counts.get(kind) for kind in ("cpp", "cmake", "yaml", "sh")) else 0


def anchors(text):
    """The names by which a link reaches the headings."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


if __name__ == "__main__":
    sys.exit(Checker(*sys.argv[1:]).run())
