#!/usr/bin/env python3
"""The checks find what they are for: each test plants a violation. Run by ctest.

    tools/checks_test.py
"""

import importlib.machinery
import importlib.util
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(TOOLS))
sys.dont_write_bytecode = True

import check_handler_symbols
import check_includes
import check_robustness
import check_style


class TempTree(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


def load_tool(name):
    loader = importlib.machinery.SourceFileLoader(name, str(TOOLS / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def load_mutate():
    return load_tool("mutate")


class Mutations(TempTree):
    def problems(self, text, old="a = 1;", new="a = 2;", tests=("a_test",)):
        self.write("src/a.cc", text)
        mutate = load_mutate()
        one = mutate.Mutation("one", "src/a.cc", old, new, list(tests))
        return [p for p in mutate.problems([one], self.root) if "are wanted" not in p]

    def test_text_that_stands_once_is_fine(self):
        self.assertEqual(self.problems("int a = 1;"), [])

    def test_text_that_is_gone_or_there_twice_is_found(self):
        self.assertTrue(self.problems("int a = 3;"))
        self.assertTrue(self.problems("int a = 1; int aa = 1;"))

    def test_no_change_and_no_test_are_found(self):
        self.assertTrue(self.problems("int a = 1;", new="a = 1;"))
        self.assertTrue(self.problems("int a = 1;", tests=()))

    def test_too_few_are_found(self):
        self.assertTrue(load_mutate().problems([], self.root))


class Robustness(unittest.TestCase):
    KNOWN = {"a_test": {"Suite.Case"}}

    def violations(self, cell, running=44):
        rows = [f"| {n} | x | y | {cell if n == 7 else '`a_test: Suite.Case`'} |" for n in range(1, 45)]
        text = f"\n{running} of 44 run here.\n" + "\n".join(rows)
        return check_robustness.check(text, self.KNOWN, {"a_test", "b_test"})

    def test_names_that_exist_are_fine(self):
        self.assertEqual(self.violations("`a_test: Suite.Case`, `b_test` (as `make test` does)"), [])

    def test_names_that_do_not_exist_are_found(self):
        for cell in ("`a_test: Suite.Other`", "`c_test: Suite.Case`", "`c_test`"):
            self.assertEqual(len(self.violations(cell)), 1, cell)

    def test_a_row_without_a_test_must_say_why(self):
        self.assertEqual(len(self.violations("later")), 1)
        self.assertEqual(self.violations("not run: no such machine", 43), [])

    def test_the_count_must_be_true(self):
        self.assertEqual(len(self.violations("not run: no such machine", 44)), 1)


class Soak(unittest.TestCase):
    """Memory of two loads, eight seconds each in turn; in one of them something rises each minute."""

    @staticmethod
    def samples(rounds, in_use=0, free=0):
        lines = []
        for second in range(rounds * 16):
            load = "rising" if second % 16 < 8 else "steady"
            minutes = second / 60 if load == "rising" else 0
            jump = 30000 if second % 97 == 0 else 0
            kib = 10000 + second % 7 * 50 + in_use * minutes + jump
            lines.append((second, second // 16, load, 30000 + kib + free * minutes, kib))
        return lines

    def test_flat_passes_whatever_single_seconds_do(self):
        self.assertTrue(load_tool("soak").judge(self.samples(40))["flat"])

    def test_a_slow_leak_of_one_load_does_not(self):
        verdict = load_tool("soak").judge(self.samples(40, in_use=300))
        self.assertFalse(verdict["flat"])
        self.assertAlmostEqual(verdict["in_use"]["rising"]["kib_a_minute"], 300, delta=20)
        self.assertLess(abs(verdict["in_use"]["steady"]["kib_a_minute"]), 20)

    def test_nor_do_arenas_that_go_on_filling(self):
        verdict = load_tool("soak").judge(self.samples(40, free=300))
        self.assertFalse(verdict["flat"])
        self.assertAlmostEqual(verdict["resident"]["rising"]["kib_a_minute"], 300, delta=20)
        self.assertLess(abs(verdict["in_use"]["rising"]["kib_a_minute"]), 20)

    def test_too_few_rounds_are_no_answer(self):
        with self.assertRaises(ValueError):
            load_tool("soak").judge(self.samples(6))

    def test_lines_are_read_as_the_program_writes_them(self):
        samples, ends = load_tool("soak").read_samples(["7 0 spans 30000 20000", "8 0 - 31000 22000 70"])
        self.assertEqual(samples, [(7, 0, "spans", 30000, 10000)])
        self.assertEqual(ends, [(8, 0, 31000, 9000, 70)])


class IncludeDirections(TempTree):
    def violations(self, path, line):
        self.write(path, line + "\n")
        return check_includes.check_tree(self.root)

    def test_handler_may_not_include_upwards(self):
        found = self.violations("src/pprof/handler/a.cc", '#include "src/pprof/elf/module.h"')
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("src/pprof/handler/a.cc:1:"))

    def test_handler_may_not_include_public_labels(self):
        self.assertTrue(self.violations("src/pprof/handler/a.h", "#include <pprof/labels.h>"))

    def test_handler_may_include_trace_context_and_std(self):
        self.assertEqual(self.violations("src/pprof/handler/a.h", "#include <atomic>\n"
                                         "#include <pprof/trace_context.h>\n#include <signal.h>"), [])

    def test_sampler_may_not_include_symbolize(self):
        self.assertTrue(self.violations("src/pprof/sampler/a.cc", '#include "src/pprof/symbolize/s.h"'))

    def test_opentelemetry_is_kept_out_of_the_profiler(self):
        self.assertTrue(self.violations("src/pprof/profiler/a.cc", "#include <opentelemetry/version.h>"))

    def test_opentelemetry_is_kept_out_of_tests_of_the_profiler(self):
        self.assertTrue(self.violations("src/pprof/labels/a_test.cc", "#include <opentelemetry/version.h>"))

    def test_bridge_sees_the_api_but_not_the_sdk(self):
        self.assertEqual(self.violations("include/otelpyroscope/a.h",
                                         '#include "opentelemetry/trace/tracer.h"'), [])
        self.assertTrue(self.violations("include/otelpyroscope/b.h",
                                        "#include <opentelemetry/sdk/trace/tracer.h>"))

    def test_public_headers_include_no_other_library(self):
        self.assertTrue(self.violations("include/pprof/a.h", "#include <zlib.h>"))

    def test_pull_routes_see_the_public_profiler_alone(self):
        self.assertEqual(self.violations("src/pprof_http/a.cc", "#include <httplib.h>\n"
                                         "#include <pprof/profile_source.h>\n#include <pprof_http/pprof_http.h>"), [])
        self.assertTrue(self.violations("src/pprof_http/b.cc", '#include "src/pprof/profiler/source.h"'))
        self.assertTrue(self.violations("src/pprof_http/c.cc", "#include <pyroscope/pyroscope.h>"))
        self.assertTrue(self.violations("include/pprof_http/d.h", "#include <httplib.h>"))

    def test_unknown_folder_is_reported(self):
        self.assertTrue(self.violations("src/pprof/surprise/a.cc", "#include <vector>"))

    def test_relative_include_is_reported(self):
        self.assertTrue(self.violations("src/pprof/elf/a.cc", '#include "module.h"'))

    def test_tests_may_include_support(self):
        self.assertEqual(self.violations("src/pprof/elf/a_test.cc", '#include "tests/support/x.h"'), [])


class HandlerSymbols(TempTree):
    def archive(self, code, *flags):
        source = self.write("planted.cc", code)
        compiled = self.root / "planted.o"
        subprocess.run(["c++", "-O1", *flags, "-c", str(source), "-o", str(compiled)], check=True)
        archive = self.root / "libplanted.a"
        subprocess.run(["ar", "rcs", str(archive), str(compiled)], check=True)
        return str(archive)

    def problems(self, archive, allow_list):
        allowed = check_handler_symbols.allowed_symbols(self.write("allowed.txt", allow_list))
        return check_handler_symbols.check(check_handler_symbols.needed_symbols(archive), allowed)

    def test_allocation_is_found(self):
        archive = self.archive("int* Make() { return new int(1); }", "-fno-exceptions")
        self.assertEqual(len(self.problems(archive, "")), 1)
        self.assertIn("_Znwm", self.problems(archive, "")[0])

    def test_allowed_symbol_passes_and_unused_line_fails(self):
        archive = self.archive('#include <time.h>\nint Now(timespec* t) { return clock_gettime(0, t); }')
        self.assertEqual(self.problems(archive, "clock_gettime  # POSIX\n"), [])
        self.assertIn("write", self.problems(archive, "clock_gettime  # POSIX\nwrite  # none\n")[0])

    def test_thread_local_lookup_cannot_be_allowed(self):
        archive = self.archive("extern thread_local int x; thread_local int x; int Get() { return x; }",
                               "-fPIC", "-ftls-model=global-dynamic")
        self.assertTrue(self.problems(archive, "__tls_get_addr  # please\n"))

    def test_line_without_a_reason_is_refused(self):
        with self.assertRaises(ValueError):
            check_handler_symbols.allowed_symbols(self.write("allowed.txt", "malloc\n"))


class Style(TempTree):
    def violations(self, path, text):
        self.write(path, text)
        return [line for line in check_style.check_tree(self.root) if "clang-format" not in line]

    def body(self, lines):
        return "".join(f"  Work({i});\n" for i in range(lines))

    def test_long_function_is_found(self):
        found = self.violations("src/a.cc", "void F(int a,\n       int b) {\n" + self.body(39) + "}\n")
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("src/a.cc:2: function of 41 lines"))

    def test_function_of_forty_lines_passes(self):
        self.assertEqual(self.violations("src/a.cc", "void F() {\n" + self.body(38) + "}\n"), [])

    def test_long_function_with_a_reason_passes(self):
        text = "// long: one table\nvoid F() {\n" + self.body(60) + "}\n"
        self.assertEqual(self.violations("src/a.cc", text), [])

    def test_long_member_function_in_a_class_in_a_namespace_is_found(self):
        text = "namespace a {\nclass B {\n  int F() const noexcept {\n" + self.body(40) + "  }\n};\n}\n"
        self.assertEqual(len(self.violations("src/a.cc", text)), 1)

    def test_braces_in_strings_and_comments_do_not_count(self):
        text = 'void F() {\n  P("}{{");  // {\n}\n' + "int g;\n" * 60
        self.assertEqual(self.violations("src/a.cc", text), [])

    def test_long_class_is_no_function(self):
        self.assertEqual(self.violations("src/a.cc", "struct A {\n" + "  int F();\n" * 60 + "};\n"), [])

    def test_long_file_is_found(self):
        self.assertEqual(len(self.violations("src/a.cc", "int g;\n" * 501)), 1)

    def test_note_to_self_is_found(self):
        self.assertEqual(len(self.violations("src/a.cc", "// TO" "DO: later\n")), 1)

    def test_header_needs_a_comment_and_pragma_once(self):
        self.assertEqual(len(self.violations("src/a.h", "int g;\n")), 2)
        self.assertEqual(self.violations("src/a.h", "// What.\n#pragma once\n"), [])

    @unittest.skipUnless(shutil.which("clang-format-14"), "clang-format-14 is not installed")
    def test_format_is_checked(self):
        self.write("src/a.cc", "int   g;\n")
        self.assertTrue(check_style.check_tree(self.root))


if __name__ == "__main__":
    unittest.main()
