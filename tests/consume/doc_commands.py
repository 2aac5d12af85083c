"""Which commands the documents may name, and whether what they name is there: targets, presets, options, files, routes."""

import json
import os
import re
import shlex
import subprocess

# Programs of others, with the options that the documents use. `go tool pprof` is asked itself.
FOREIGN_OPTIONS = {"curl": {"-s", "-o"}, "alloy": set(), "profilecli": {"--span-selector"}, "xdg-open": set(), "echo": set(),
                   "ulimit": {"-i"}, "pkg-config": {"--cflags", "--libs"}}
PACKAGES_BY_HAND = {"git", "make", "golang-go"}  # what tools/setup cannot install, since it comes with the repository or is a choice
SUBSTITUTES = r"[A-Z_]{2,}|<[a-z]+>"  # words that stand for something


class Commands:
    def __init__(self, root):
        self.root = root
        self.makefile = (root / "Makefile").read_text()
        presets = json.loads((root / "CMakePresets.json").read_text())
        self.presets = {preset["name"] for kind in ("configurePresets", "buildPresets") for preset in presets[kind]}
        self.cmake = {path: path.read_text() for path in root.glob("**/CMakeLists.txt") if "build" not in path.relative_to(root).parts}
        self.variables = (root / "docs" / "environment.md").read_text() + (root / "examples" / "rideshare" / "README.md").read_text()
        self.routes = "".join(path.read_text() for path in (root / "src" / "pprof_http").glob("*.cc") if "test" not in path.name)
        self.pprof_help = None

    def check(self, text):
        """What is wrong with a block of commands, in words."""
        self.folder = self.root
        self.problems = []
        for line in text.replace("\\\n", " ").splitlines():
            for part in re.split(r"\s(?:&&|;|\|)\s", line):
                words = shlex.split(part, comments=True)
                if words:
                    self.check_command(words)
        return self.problems

    def say(self, words):
        self.problems.append(words)

    def need(self, fine, words):
        if not fine:
            self.say(words)

    def check_command(self, words):
        words = [word for word in words if word not in ("&", "sudo")]
        for stop in (">", "<"):
            words = words[:words.index(stop)] if stop in words else words
        while words and re.match(r"\w+=", words[0]):
            self.check_variable(words.pop(0))
        if not words:
            return
        name, rest = words[0], words[1:]
        known = {"make": self.make, "cmake": self.cmake_command, "ctest": self.cmake_command, "go": self.go, "cd": self.cd, "git": self.git,
                 "docker": self.docker, "apt-get": self.apt, "otel-profiling-view": self.viewer}
        if name in known:
            known[name](rest)
        elif name in FOREIGN_OPTIONS:
            self.foreign(name, rest)
        elif "/" in name:
            self.program(name, rest)
        else:
            self.say(f"nobody knows the command {name}")

    def check_variable(self, assignment):
        name = assignment.partition("=")[0]
        self.need(f"`{name}`" in self.variables or f"$({name})" in self.makefile or f"${{{name}" in self.compose(),
                  f"the variable {name} is read by nothing that is documented")

    def compose(self):
        return (self.root / "examples" / "rideshare" / "compose.yaml").read_text()

    def make(self, words):
        for word in words:
            if "=" in word:
                self.check_variable(word)
            else:
                self.need(re.search(rf"^{re.escape(word)}:", self.makefile, re.M), f"make has no target {word}")

    def cmake_command(self, words):
        for option, value in zip(words, words[1:] + [""]):
            if option == "--preset":
                self.need(value in self.presets, f"there is no preset {value}")
            elif option == "--target":
                self.need(any(re.search(rf"add_(executable|custom_target)\({value}\b", text) for text in self.cmake.values()), f"no target {value}")
            elif option.startswith("-D"):
                variable = option[2:].partition("=")[0].partition(":")[0]
                self.need(variable.startswith("CMAKE_") or variable == "BUILD_SHARED_LIBS" or re.search(rf"\b{variable}\b", self.cmake[self.root / "CMakeLists.txt"]),
                          f"CMakeLists.txt knows no {variable}")
            elif option.startswith("-"):
                self.need(option in ("--build", "--install", "--prefix", "-S", "-B", "-j"), f"CMake's {option} is not known here")

    def go(self, words):
        self.need(words[:2] == ["tool", "pprof"], f"go {' '.join(words)}: not known here")
        if self.pprof_help is None:
            ran = subprocess.run(["go", "tool", "pprof", "-help"], capture_output=True, text=True)
            self.pprof_help = ran.stdout + ran.stderr
        for word in words[2:]:
            if word.startswith("-"):
                option = word.partition("=")[0]
                self.need(re.search(rf"^\s+{option}\b", self.pprof_help, re.M), f"go tool pprof has no {option}")
            else:
                self.source(word)

    # A profile that pprof can open: a file, or a route of ours.
    def source(self, word):
        if "://" in word:
            self.route(word)
        else:
            self.need(word.endswith(".pb.gz"), f"{word} is no profile")

    def route(self, url):
        path = "/" + url.partition("://")[2].partition("/")[2].partition("?")[0]
        if re.search(r":(6060|6061)$", url.partition("://")[2].partition("/")[0]):
            last = path.removeprefix("/debug/pprof/")
            self.need(f'"{path}"' in self.routes or f'"{last}"' in self.routes or path in ("/debug/pprof/", "/debug/spans"), f"no route {path}")

    def cd(self, words):
        if words == [self.project()]:
            return
        self.folder = self.folder / words[0]
        self.need(self.folder.is_dir(), f"there is no folder {words[0]}")

    def project(self):
        return re.search(r"^project\((\S+)", self.cmake[self.root / "CMakeLists.txt"], re.M).group(1)

    def git(self, words):
        self.need(words[0] == "clone" and re.fullmatch(rf"(https://\S+/)?\S*{self.project()}(\.git)?|{SUBSTITUTES}", words[1]), f"git {' '.join(words)}")

    def docker(self, words):
        compose = self.compose()
        for word, value in zip(words, words[1:] + [""]):
            if word == "--profile":
                self.need(re.search(rf'profiles: \["?{value}"?\]|profiles:\n\s+- {value}\b', compose), f"compose.yaml has no profile {value}")
        services = set(re.findall(r"^  ([a-z-]+):$", compose.partition("\nservices:")[2], re.M))
        self.need(set(words) - {"pull"} - services <= {"compose", "up", "down", "--build", "--profile"}, f"docker {' '.join(words)}")

    def apt(self, words):
        packages = [word for word in words if not word.startswith("-") and word not in ("install", "update")]
        for package in packages:
            self.need(package in PACKAGES_BY_HAND, f"{package} is not among the packages that are installed by hand")

    def foreign(self, name, words):
        for word in words:
            if word.startswith("-"):
                self.need(word in FOREIGN_OPTIONS[name], f"{name} {word}: not known here")
            elif "://" in word:
                self.route(word)

    def viewer(self, words):
        self.options(words, (self.root / "tools" / "view" / "view.cc").read_text(), "otel-profiling-view")

    def options(self, words, source, name):
        for word in words:
            if word.startswith("-"):
                self.need(f'"{word}"' in source or f"'{word}'" in source, f"{name} has no option {word}")

    # A program of this repository: a script, or what a build leaves.
    def program(self, name, words):
        parts = name.split("/")
        if parts[0] in ("build", "."):
            folder = self.root / "/".join(parts[2:-1])
            if parts[0] == ".":  # made by the reader: the name stands in a CMake block of a document
                return
            lists = folder / "CMakeLists.txt"
            self.need(parts[1] in self.presets and lists.exists() and re.search(rf"(add_executable\(|OUTPUT_NAME ){re.escape(parts[-1])}\b", lists.read_text()),
                      f"no build makes {name}")
            source = "".join(path.read_text() for path in folder.glob("*.cc"))
        else:
            script = self.folder / name
            self.need(os.access(script, os.X_OK), f"{name} is no program")
            source = script.read_text() if script.exists() else ""
        self.options(words, source, name)
        for word in words:
            if word.startswith("build/"):
                self.need(os.path.dirname(word) == "build/demo" or "/".join(word.split("/")[2:-1]), f"{word} is made by nothing")
