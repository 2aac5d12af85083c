#!/usr/bin/env python3
"""The demo pushes to a Pyroscope server, and the server's public query API must answer with the very numbers of the
profile that the demo wrote to a file: for the slowest span, its trace, its operation and in total.

  server_test.py DEMO PPROFCHECK FOLDER --url http://host:4040     a real server (make test-pyroscope)
  server_test.py DEMO PPROFCHECK FOLDER --receiver PROGRAM         the stand-in of this repository
"""
import argparse
import collections
import json
import os
import re
import subprocess
import sys
import time

import harness

SECONDS = 5
CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
SERVICE = "otelprof-demo"
PERIOD_NS = 10_000_000
NODES = 1 << 20  # so that the server merges nothing under "other"
NAMELESS = re.compile(r"^(0x[0-9a-f]+|.*\+0x[0-9a-f]+)$")  # a frame without a name, in a file and in a push


def fail(why):
    sys.exit(f"server_test: {why}")


class Run:
    """One run of the demo: what it says of itself, and what the server has of it."""

    def __init__(self, options, url, scope):
        self.url, self.pprofcheck = url, options.pprofcheck
        self.profile = os.path.join(options.folder, f"server-{scope}.pb.gz")
        summary = os.path.join(options.folder, f"server-{scope}.json")
        self.start = int(time.time() * 1000) - 1
        subprocess.run([options.demo, "--seconds", str(SECONDS), "--scope", scope, "--out", self.profile,
                        "--summary", summary], check=True, stdout=subprocess.DEVNULL, timeout=120,
                       env={**os.environ, "PYROSCOPE_SERVER_ADDRESS": url, "PYROSCOPE_UPLOAD_INTERVAL": "2s"})
        self.end = int(time.time() * 1000) + 1
        with open(summary, encoding="utf-8") as file:
            self.summary = json.load(file)
        roots = [span for span in self.summary["spans"] if span["span_id"] == span["root_span_id"] and span["sampled"]]
        self.slowest = max(roots, key=lambda span: span["profile_cpu_ns"] or 0)
        self.children = [span for span in self.summary["spans"] if span["root_span_id"] == self.slowest["span_id"]
                         and span is not self.slowest]

    def local(self, *labels):
        """Folded stacks of the file: functions, root first, to nanoseconds."""
        arguments = [argument for label in labels for argument in ("-label", label)]
        text = subprocess.run([self.pprofcheck, "stacks", self.profile, *arguments], check=True, capture_output=True,
                              text=True).stdout
        stacks = collections.Counter()
        for line in text.splitlines():
            stack, samples = line.rsplit(" ", 1)
            stacks[canonical(stack.split(";"))] += int(samples) * PERIOD_NS
        return stacks

    def ask(self, method, selector=None, **fields):
        selector = selector or f'{{service_name="{SERVICE}"}}'
        answer = harness.query(self.url, method, profileTypeID=CPU, labelSelector=selector, start=self.start, end=self.end,
                               maxNodes=NODES, **fields)
        return folded(answer["flamegraph"])

    def span(self, span_id):
        return self.ask("SelectMergeSpanProfile", spanSelector=[span_id])


def canonical(names):
    return tuple("?" if NAMELESS.match(name) else name.replace(";", ":") for name in names)


def folded(graph):
    """The stacks of a flame graph with CPU time of their own, by where their bars lie."""
    stacks = collections.Counter()
    above = [(0, int(graph.get("total", 0)), ())]  # (start, end, stack) of the bars one level up
    for depth, level in enumerate(graph.get("levels", [])):
        bars, at = [], 0
        values = [int(value) for value in level["values"]]
        for offset, total, own, name in zip(*[iter(values)] * 4):
            start = at + offset
            at = start + total
            parent = next(stack for first, last, stack in above if first <= start and start + total <= last)
            stack = parent if depth == 0 else parent + (graph["names"][name],)
            bars.append((start, at, stack))
            if own > 0:
                stacks[canonical(stack)] += own
        above = bars
    return stacks


def same(what, server, local):
    if server == local and local:
        return
    detail = "\n".join(f"  server {server[stack]} local {local[stack]}: {';'.join(stack)[-200:]}"
                       for stack in sorted(set(server) | set(local)) if server[stack] != local[stack])
    fail(f"{what}: the server has {sum(server.values())} ns, the file {sum(local.values())}\n{detail[:4000]}")


def check_spans(run, scope):
    slowest = run.slowest
    same(f"scope {scope}, slowest span", run.span(slowest["span_id"]), run.local("span_id=" + slowest["span_id"]))
    same(f"scope {scope}, its trace", run.ask("SelectMergeStacktraces", traceIdSelector=[slowest["trace_id"]]),
         run.local("trace_id=" + slowest["trace_id"]))
    operation = f'{{service_name="{SERVICE}", span_name="{slowest["name"]}"}}'
    same(f"scope {scope}, its operation", run.ask("SelectMergeStacktraces", operation), run.local("span_name=" + slowest["name"]))


def check_children(run, scope):
    """A child's id gives nothing under the default scope, and its own profile under --scope all."""
    busy = [span for span in run.summary["spans"] if span["span_id"] != span["root_span_id"] and span["sampled"]]
    if not busy:
        fail("the demo made no children")
    if scope == "root":
        for child in run.children or busy[:1]:
            if run.span(child["span_id"]):
                fail(f"child {child['span_id']} has a profile of its own under scope root")
        return
    child = max(busy, key=lambda span: span["profile_cpu_ns"] or 0)
    same("scope all, a child", run.span(child["span_id"]), run.local("span_id=" + child["span_id"]))


def check_totals(run, scope):
    # The pushed windows begin before the file's and end after it; what lies between has no labels.
    labelled = f'{{service_name="{SERVICE}", span_name!=""}}'
    local = run.local()
    server = run.ask("SelectMergeStacktraces", labelled)
    names = {line["value"] for line in labels_of(run) if line["key"] == "span_name"}
    of_names = collections.Counter()
    for name in names:
        of_names.update(run.local("span_name=" + name))
    same(f"scope {scope}, all operations", server, of_names)
    total = sum(run.ask("SelectMergeStacktraces").values())
    if not sum(local.values()) <= total <= sum(local.values()) * 1.02 + 10 * PERIOD_NS:
        fail(f"scope {scope}: the server has {total} ns in total, the file {sum(local.values())}")


def labels_of(run):
    return json.loads(subprocess.run([run.pprofcheck, "labels", run.profile], check=True, capture_output=True, text=True).stdout)


def check_all(options, url):
    for scope in ("root", "all"):
        run = Run(options, url, scope)
        check_spans(run, scope)
        check_children(run, scope)
        check_totals(run, scope)
    types = harness.query(url, "ProfileTypes", start=run.start, end=run.end)["profileTypes"]
    if CPU not in [entry["ID"] for entry in types]:
        fail(f"profile types {types}")


def check_receiver(state):
    if state["refused"] or state["complaints"] or state["twins"] or state["clashes"]:
        fail(f"the receiver was not content: {state['refused'][:3]} {state['complaints']} {state['twins']} {state['clashes']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("demo", "pprofcheck", "folder"):
        parser.add_argument(name)
    parser.add_argument("--url")
    parser.add_argument("--receiver")
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    if options.url:
        check_all(options, options.url.rstrip("/"))
    else:
        harness.Tools.receiver = options.receiver
        receiver = harness.Receiver()
        try:
            check_all(options, receiver.url)
            check_receiver(receiver.state())
        finally:
            receiver.close()
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()
