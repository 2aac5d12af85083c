#!/usr/bin/env python3
"""Makes spans documents for the tests of the viewer page.

    make_document.py PROFILE.json KIND OUT.json

PROFILE.json is the document of a profile (what otel-profiling-view puts into a page). KIND `recorded`: spans for the ids and
names that its samples carry, with children, a failed one, ones without samples and a hostile name. KIND `large`: 100,000
stacks and 10,000 spans, whatever the profile holds. The same every time.
"""

import json
import random
import sys

HOSTILE = '<img src=x onerror="document.title=\'owned\'"></script><script>document.title="owned"</script>'
STATS = [["samples", 408, "stored with a stack"], ["samples_lost", 7, "sum of the lost_* fields"],
         ["timers_refused", 2, "timer_create failed: that thread is not sampled"],
         ["library_cpu_ns", 2262781, "CPU time of the library's own threads"]]


class Table:
    """Gives each text a number."""

    def __init__(self, *first):
        self.rows = list(first)
        self.numbers = {text: i for i, text in enumerate(first)}

    def put(self, text):
        if text not in self.numbers:
            self.numbers[text] = len(self.rows)
            self.rows.append(text)
        return self.numbers[text]


def document(strings, ids, sets, spans, origin, **more):
    return {"version": 1, "origin_ns": origin, "service": "shop", "process": {"pid": 4711, "command": "/srv/shop"},
            "generated_ns": 0, "live": False, "strings": strings.rows, "ids": ids.rows, "label_sets": sets, "spans": spans,
            "dropped": {"spans": 12}, "stats": STATS, "notes": ["profiler started 12 s after the process"],
            "links": {"grafana": "https://grafana.example/sub/", "grafana_datasource": "uid\"}]&x=<1>#"}, **more}


def recorded(profile):
    """A trace a span id: the span of the samples, a parent without samples of its own, and children."""
    strings, ids, chance = Table(""), Table(), random.Random(6)
    sets = [[], [[strings.put("http.route"), strings.put("/<b>bold</b>")]]]
    cpu = {}
    for _, span, name, trace, _, cpu_ns, _ in profile["samples"]:
        if span >= 0 and name > 0 and trace >= -1:
            cpu.setdefault(span, [profile["strings"][name], 0])[1] += cpu_ns
    spans = []
    for number, (span, (name, used)) in enumerate(sorted(cpu.items())):
        own = ids.put(profile["ids"][span])
        trace = ids.put(f"{number + 1:032x}")
        parent = ids.put(f"{0xA000 + number:016x}")
        start = chance.randrange(10 ** 9)
        wall = int(used * (1.2 + chance.random())) + 10 ** 6
        spans.append([parent, trace, -1, strings.put("outer"), start, wall + 2 * 10 ** 6, 0, 1, 1, 0, parent])
        spans.append([own, trace, parent, strings.put(name), start + 10 ** 6, wall, 2 if number % 7 == 3 else 1, 1, 0, 1, own])
    lonely = [("quick", 300_000, 1, "self"), ("waits", 80 * 10 ** 6, 1, "self"), ("unsampled", 10 ** 6, 0, None), (HOSTILE, 10 ** 6, 1, "self"),
              ("part of a root", 10 ** 5, 1, "root")]
    for number, (name, wall, sampled, profiled) in enumerate(lonely):
        own = ids.put(f"{0xB000 + number:016x}")
        spans.append([own, ids.put(f"{0xB000 + number:032x}"), -1, strings.put(name), 10 ** 9, wall, 0, sampled, 1, 0,
                      {"self": own, "root": 0, None: -1}[profiled]])
    return document(strings, ids, sets, spans, profile["origin_ns"])


def large():
    strings, ids, chance = Table(""), Table(), random.Random(7)
    functions = [[strings.put(f"shop::part{i % 40}::Function{i}(int, char)"), strings.put(f"/src/shop/part{i % 40}/file{i % 300}.cc")] for i in range(6000)]
    frames = [[i, 10 + i % 90] for i in range(6000)]
    locations = [[i] for i in range(6000)]
    stacks = set()
    while len(stacks) < 100_000:
        # A tree: each level is one of a few callees of the level above.
        stack = [0]
        for depth in range(chance.randrange(12, 40)):
            stack.append((stack[-1] * 7 + 1 + chance.choice((0, 0, 1, 2, 3)) * (depth + 1)) % 6000)
        stacks.add(tuple(reversed(stack)))
    spans, samples, sets = [], [], [[]]
    names = [strings.put(f"GET /part{i}") for i in range(60)]
    for i in range(10_000):
        root = i % 5 == 0
        spans.append([ids.put(f"{i + 1:016x}"), ids.put(f"{i // 5 + 1:032x}"), -1 if root else ids.put(f"{i - i % 5 + 1:016x}"), names[i % 60],
                      (i // 5) * 10 ** 7 + i % 5 * 10 ** 6, chance.randrange(10 ** 5, 10 ** 8), 2 if i % 97 == 0 else 0, 1, int(root), 0, i])
    ids.rows[:] = ids.rows
    for i, _ in enumerate(stacks):
        span = spans[i % 10_000]
        samples.append([i, span[0], span[3], span[1], 1, 10 ** 7, 0])
    for span in spans:
        span[10] = span[0]
    return document(strings, ids, sets, spans, "1795619711513832543", functions=functions, frames=frames, locations=locations,
                    stacks=[list(stack) for stack in sorted(stacks)], samples=samples, profile={"start_ns": 0, "duration_ns": 10 ** 10, "period_ns": 10 ** 7})


def main():
    with open(sys.argv[1]) as file:
        profile = json.load(file)
    result = large() if sys.argv[2] == "large" else recorded(profile)
    with open(sys.argv[3], "w") as file:
        json.dump(result, file)


if __name__ == "__main__":
    main()
