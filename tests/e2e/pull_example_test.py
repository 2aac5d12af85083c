#!/usr/bin/env python3
"""Runs the pull example as a user would: go tool pprof and an HTTP client read its profile, and the configurations of
examples/ fit the program and each other.

  pull_example_test.py EXAMPLE PPROFCHECK EXAMPLES_FOLDER FOLDER
"""
import json
import os
import re
import subprocess
import sys
import urllib.request


def fail(why):
    sys.exit(f"pull_example_test: {why}")


def start(example):
    program = subprocess.Popen([example, "60"], stdout=subprocess.PIPE, text=True,
                               env=dict(os.environ, PPROF_ADDRESS="127.0.0.1:0"))
    return program, program.stdout.readline().strip()


def check_pulls(url, pprofcheck, folder):
    top = subprocess.run(["go", "tool", "pprof", "-top", "-nodecount=40", url + "profile?seconds=2"], check=True,
                         capture_output=True, text=True).stdout
    if "SortSomething" not in top:
        fail(f"go tool pprof does not know the program's function:\n{top}")
    path = os.path.join(folder, "pulled.pb.gz")
    with urllib.request.urlopen(url + "profile?seconds=2") as answer, open(path, "wb") as file:
        if answer.headers["Content-Type"] != "application/octet-stream":
            fail(f"Content-Type {answer.headers['Content-Type']}")
        file.write(answer.read())
    subprocess.run([pprofcheck, "check", path], check=True)
    labels = json.loads(subprocess.run([pprofcheck, "labels", path], check=True, capture_output=True, text=True).stdout)
    names = {label["key"] for label in labels}
    if names != {"span_id", "trace_id", "span_name"}:
        fail(f"labels of a pulled profile: {sorted(names)}")
    with urllib.request.urlopen(url + "stats") as answer:
        stats = json.load(answer)
    if stats["samples"] == 0 or stats["samples_labelled"] == 0:
        fail(f"stats: {stats}")


def check_configurations(examples):
    def text(*parts):
        with open(os.path.join(examples, *parts), encoding="utf-8") as file:
            return file.read()

    alloy = text("pull", "config.alloy")
    if 'path    = "/debug/pprof/profile"' not in alloy or '"service_name" =' not in alloy:
        fail("config.alloy: path or service_name")
    port = re.search(r'"__address__" = "localhost:(\d+)"', alloy)
    if port is None or f"127.0.0.1:{port.group(1)}" not in text("pull", "pull.cc"):
        fail("config.alloy scrapes another port than the example serves")
    for profile in ("memory", "mutex", "block", "goroutine"):
        if not re.search(rf"profile\.{profile} {{\s*enabled = false", alloy):
            fail(f"config.alloy: profile.{profile} is not switched off")
    tempo, pyroscope = text("grafana", "tempo.yml"), text("grafana", "pyroscope.yml")
    uid = re.search(r"datasourceUid: (\w+)", tempo).group(1)
    if f"uid: {uid}\n" not in pyroscope:
        fail("tempo.yml names another data source than pyroscope.yml defines")
    url = re.search(r'url = "([^"]+)"', alloy).group(1)
    if f"url: {url}\n" not in pyroscope:
        fail("Alloy writes to another Pyroscope than Grafana reads")
    if "profileTypeId: process_cpu:cpu:nanoseconds:cpu:nanoseconds" not in tempo:
        fail("tempo.yml: profileTypeId")


def main():
    example, pprofcheck, examples, folder = sys.argv[1:5]
    check_configurations(examples)
    program, url = start(example)
    try:
        check_pulls(url, pprofcheck, folder)
    finally:
        program.kill()
        program.wait()
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()
