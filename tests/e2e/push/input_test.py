#!/usr/bin/env python3
"""Whatever the application's names, its number of names, its volume and its clock are: the server refuses nothing for
its shape, and no sample is missing.

  input_test.py RECEIVER DRIVER SHIM
"""
import sys
import unittest

import harness
from faults_test import Scenario, failures, recoveries
from harness import INTERVAL_MS, wait_for

HOSTILE = [b"plain", b"with\x00nul", b"two\nlines", b"tab\tand\rreturn", "emoji \U0001f525 span".encode(), b"broken \xff\xfe utf-8",
           b"cut \xf0\x9f\x94", b"overlong \xc0\xaf", b"surrogate \xed\xa0\x80", b'quotes " and \\', b"x" * 255, b"y" * 2000,
           "é".encode() * 200, b"; DROP TABLE", b"{}[](),=", b" ", b"__name__", b"service_name"]
MIB = 1 << 20
SPAN_NAMES = 1000  # distinct ones a window: docs say so


def hexed(data):
    return (data if isinstance(data, bytes) else data.encode()).hex()


def fill_window(scenario, deliveries):
    """Ends the window once it holds so many sampling signals, however fast the machine is."""
    before = scenario.driver.report()["deliveries"]
    wait_for("samples", lambda: scenario.driver.report()["deliveries"] >= before + deliveries, 120)
    scenario.driver.do("flush", timeout_ms=20000)


def shown(test, scenario, report):
    """The books, and that every sample of the profiler arrived."""
    state = scenario.receiver.state()
    harness.check_books(test, report, state)
    test.assertEqual(state["refused"], [])
    test.assertEqual(report["client"]["lost"], 0)
    test.assertEqual(sum(profile["samples"] for profile in state["accepted"]), report["client"]["samples_taken"])
    return state


def values(scenario, label):
    end = max(profile["time_nanos"] for profile in scenario.receiver.state()["accepted"]) // 1_000_000 + 1000
    return scenario.receiver.query("LabelValues", name=label, start=0, end=end)["names"]


def is_utf8(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class Names(unittest.TestCase):
    def test_span_names(self):
        with Scenario() as scenario:
            scenario.start(sample_rate=1000)
            scenario.driver.work(names_hex=[hexed(name) for name in HOSTILE], cpu_us=3000, idle_us=500, threads=2)
            wait_for("profiles", lambda: scenario.accepted() >= 6)
            self.assertTrue(scenario.driver.stop()["ok"])
            shown(self, scenario, scenario.driver.report())
            names = values(scenario, "span_name")
            self.assertIn("plain", names)
            self.assertIn("emoji \U0001f525 span", names)
            self.assertIn("service_name", names)

    def test_user_labels(self):
        with Scenario() as scenario:
            scenario.start(sample_rate=1000)
            for name in HOSTILE:
                pairs = [[hexed(name), hexed(b"value")], [hexed(b"good"), hexed(name)], [hexed(b"other"), hexed(b"as it is")]]
                accepted = scenario.accepted()
                scenario.driver.work(labels_hex=pairs, cpu_us=3000, idle_us=500)
                wait_for("profiles", lambda least=accepted + 1: scenario.accepted() >= least)
            self.assertTrue(scenario.driver.stop()["ok"])
            shown(self, scenario, scenario.driver.report())
            self.assertEqual(values(scenario, "other"), ["as it is"])
            self.assertIn("emoji \U0001f525 span", values(scenario, "good"))

    def test_values_of_tags(self):
        with Scenario() as scenario:
            tags = {f"tag{i}": value for i, value in enumerate(name for name in HOSTILE if is_utf8(name))}
            scenario.start(tags_hex={hexed(name): hexed(value) for name, value in tags.items()})
            scenario.driver.work()
            wait_for("profiles", lambda: scenario.accepted() >= 2)
            self.assertTrue(scenario.driver.stop()["ok"])
            series = shown(self, scenario, scenario.driver.report())["accepted"][0]["series"]
            for name, value in tags.items():
                self.assertEqual(series[name], value.decode())

    def test_tags_that_cannot_be_are_an_error_of_start(self):
        with Scenario() as scenario:
            bad = [(b"tag", value) for value in HOSTILE if not is_utf8(value)] + [(name, b"v") for name in (b"", b"a b", b"\xff", b"n\x00")]
            for name, value in bad:
                answer = scenario.driver.do("start", config={"application_name": "a", "server_address": scenario.receiver.url,
                                                             "tags_hex": {hexed(name): hexed(value)}})
                self.assertEqual((answer["ok"], answer["code"], answer["running"]), (False, 1, False), (name, value, answer))
                self.assertIn("tag", answer["message"])

    def test_more_labels_than_the_server_takes(self):
        with Scenario() as scenario:
            scenario.start(tags={f"tag{i}": "v" for i in range(20)}, sample_rate=1000)
            scenario.driver.work(labels_hex=[[hexed(f"label{i}"), hexed("v")] for i in range(20)], cpu_us=5000, idle_us=500)
            wait_for("profiles", lambda: scenario.accepted() >= 3)
            self.assertTrue(scenario.driver.stop()["ok"])
            state = shown(self, scenario, scenario.driver.report())
            # The ids are no series labels and stay; so does the operation's name.
            self.assertTrue(values(scenario, "span_name"))
            self.assertTrue(all(profile["series"]["tag19"] == "v" for profile in state["accepted"]))

    def test_100000_distinct_span_names(self):
        with Scenario() as scenario:
            scenario.start(sample_rate=1000, upload_interval_ms=120000)
            before = scenario.driver.report()
            scenario.driver.work(distinct_names=1 << 40, cpu_us=20, idle_us=0, threads=2)
            wait_for("100,000 spans", lambda: scenario.driver.report()["spans"] >= 100_000, 90)
            # Longer ones, so that nearly each sample has a name of its own.
            scenario.driver.work(distinct_names=1 << 40, cpu_us=3000, idle_us=0, threads=2)
            fill_window(scenario, 2 * SPAN_NAMES)
            self.assertTrue(scenario.driver.stop()["ok"])
            report = scenario.driver.report()
            state = shown(self, scenario, report)
            harness.check_host(self, report)
            self.assertGreater(report["client"]["span_names_merged"], 0)
            most = max(profile["span_names"] for profile in state["accepted"])
            self.assertGreaterEqual(most, SPAN_NAMES)
            self.assertLessEqual(most, SPAN_NAMES + 2)  # "other" and none
            self.assertIn("other", values(scenario, "span_name"))
            self.assertLess(report["peak_kib"] - before["peak_kib"], 96 << 10)


class Volume(unittest.TestCase):
    def test_a_window_of_more_than_1_mib_is_split(self):
        with Scenario() as scenario:
            scenario.start(sample_rate=1000, upload_interval_ms=120000)
            # Each sample brings a label of 1900 bytes of its own.
            scenario.driver.work(unique_label_bytes=1900, cpu_us=500, idle_us=0, threads=2)
            fill_window(scenario, 1000)
            self.assertTrue(scenario.driver.stop(20000)["ok"])
            report = scenario.driver.report()
            self.assertGreater(report["client"]["splits"], 0)
            sizes = [profile["raw_bytes"] for profile in shown(self, scenario, report)["accepted"]]
            self.assertGreater(max(sizes), MIB // 2)
            self.assertLessEqual(max(sizes), MIB)
            self.assertEqual(report["client"]["taken"], report["client"]["windows"] + report["client"]["splits"])


class Clock(unittest.TestCase):
    def step(self, seconds):
        """Steps the wall clock in the middle of a window and back later."""
        with Scenario(shim=True) as scenario:
            scenario.start()
            scenario.driver.work()
            wait_for("a first profile", scenario.accepted)
            self.assertTrue(scenario.driver.do("step_clock", seconds=seconds)["ok"])
            taken = scenario.driver.report()["client"]["taken"]
            wait_for("windows", lambda: scenario.driver.report()["client"]["taken"] >= taken + 4)
            harness.check_host(self, scenario.driver.report())
            self.assertTrue(scenario.driver.do("step_clock", seconds=-seconds)["ok"])
            accepted = scenario.accepted()
            wait_for("windows", lambda: scenario.accepted() >= accepted + 4)
            answer = scenario.driver.stop()
            self.assertTrue(answer["ok"], answer)
            report, state = scenario.driver.report(), scenario.receiver.state()
            harness.check_books(self, report, state)
            self.assertEqual(state["distinct"] + report["client"]["lost"], report["client"]["taken"])
            self.assertLess(max(profile["duration_nanos"] for profile in state["accepted"]), 20 * INTERVAL_MS * 1_000_000)
            return report, state

    def test_an_hour_ahead_is_refused_counted_and_over_when_the_clock_is_right(self):
        report, state = self.step(3600)
        self.assertGreaterEqual(report["client"]["lost"], 3)
        self.assertEqual({refused["reason"] for refused in state["refused"]}, {"not_in_ingestion_window"})
        self.assertEqual((len(failures(report)), len(recoveries(report))), (1, 1), harness.lines(report))
        self.assertIn("ingestion window", failures(report)[0])
        self.assertIn("clock", failures(report)[0])

    def test_an_hour_behind(self):
        report, state = self.step(-3600)
        self.assertEqual({refused["reason"] for refused in state["refused"]} - {"not_in_ingestion_window"}, set())
        self.assertLessEqual(len(failures(report)), 1)

    def test_small_steps_back_never_give_equal_times(self):
        with Scenario(shim=True) as scenario:
            scenario.start()
            scenario.driver.work()
            for least in range(1, 9):
                wait_for("a profile", lambda least=least: scenario.accepted() >= least)
                self.assertTrue(scenario.driver.do("step_clock", seconds=-1)["ok"])
            self.assertTrue(scenario.driver.stop()["ok"])
            state = shown(self, scenario, scenario.driver.report())
            times = [profile["time_nanos"] for profile in state["accepted"]]
            self.assertEqual(len(set(times)), len(times))


if __name__ == "__main__":
    harness.main(sys.argv)
