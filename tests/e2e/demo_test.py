#!/usr/bin/env python3
"""Runs the demo under each scope and checks what it leaves behind: the summary's numbers against each other, the profile
with the reference reader, and the very span that the demo names in `go tool pprof`.

  demo_test.py DEMO PPROFCHECK FOLDER
"""
import json
import os
import re
import subprocess
import sys

SECONDS = 4


def fail(why):
    sys.exit(f"demo_test: {why}")


def run_demo(demo, folder, scope):
    profile = os.path.join(folder, f"demo-{scope}.pb.gz")
    summary = os.path.join(folder, f"demo-{scope}.json")
    spans = os.path.join(folder, f"demo-{scope}-spans.json")
    out = subprocess.run([demo, "--seconds", str(SECONDS), "--scope", scope, "--out", profile, "--summary", summary,
                          *(["--spans", spans] if scope == "root" else [])],  # as in `make demo`
                         check=True, capture_output=True, text=True, timeout=120).stdout
    with open(summary, encoding="utf-8") as file:
        return out, profile, json.load(file)


def check_totals(summary):
    clock = summary["process_cpu_ns"] - summary["library_cpu_ns"]
    # Within 1 % or one period (10 ms) a thread, of which there are six.
    allowed = max(0.01 * clock, 6 * 10e6)
    if abs(summary["profile_cpu_ns"] - clock) > allowed:
        fail(f"profile {summary['profile_cpu_ns']} ns, clock {clock} ns")
    if summary["samples"] * 10_000_000 != summary["profile_cpu_ns"] or summary["samples_lost"] != 0:
        fail(f"{summary['samples']} samples, {summary['profile_cpu_ns']} ns, {summary['samples_lost']} lost")


def check_spans(summary, scope):
    spans = summary["spans"]
    roots = [span for span in spans if span["span_id"] == span["root_span_id"]]
    if len(roots) < 20 or len(spans) <= len(roots):
        fail(f"{len(spans)} spans, {len(roots)} roots")
    for span in spans:
        is_root = span["span_id"] == span["root_span_id"]
        own_id = span["sampled"] and (scope == "all" or (scope == "root" and is_root))
        if (span["profile_cpu_ns"] is not None) != own_id:
            fail(f"scope {scope}: profile_cpu_ns of {span}")
    if scope == "none":
        return
    # Summed up over many spans chance is small: what the profile says of the sampled requests against their own clocks.
    sampled_roots = {root["span_id"] for root in roots if root["sampled"]}
    measured = sum(span["cpu_ns"] for span in spans if span["root_span_id"] in sampled_roots)
    profiled = sum(span["profile_cpu_ns"] or 0 for span in spans)
    if abs(profiled - measured) > 0.05 * measured + 6 * 10e6:
        fail(f"scope {scope}: spans used {measured} ns of CPU time, the profile says {profiled}")


def check_pprof(out, profile):
    command = re.search(r"go tool pprof -tagfocus='(span_id=\^[0-9a-f]{16}\$)'", out)
    if command is None:
        fail("the demo names no span")
    top = subprocess.run(["go", "tool", "pprof", "-top", "-lines", "-nodecount=200", "-tagfocus=" + command.group(1), profile],
                         check=True, capture_output=True, text=True).stdout
    if not re.search(r"demo::\w+.*work\.cc:\d+", top):
        fail(f"no function of the demo with its line in the slowest span:\n{top}")


def check_stacks(summaries):
    stacks = sum(summary["stacks"] for summary in summaries)
    complete = sum(summary["stacks_complete"] for summary in summaries)
    print(f"{complete} of {stacks} stacks reach the thread's entry")
    if stacks < 100 or complete < 0.999 * stacks:
        fail("too few stacks reach the thread's entry")


def main():
    demo, pprofcheck, folder = sys.argv[1:4]
    summaries = []
    for scope in ("root", "all", "none"):
        out, profile, summary = run_demo(demo, folder, scope)
        summaries.append(summary)
        check_totals(summary)
        check_spans(summary, scope)
        subprocess.run([pprofcheck, "check", profile], check=True)
        for needed in ("GET /report", "GET /healthz", "(no span)", "ratio"):
            if needed not in out:
                fail(f"'{needed}' is not in the demo's output")
        if scope == "root":
            check_pprof(out, profile)
    check_stacks(summaries)
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()
