#!/usr/bin/env python3
"""An outage that fills the queue: the oldest profiles go, counted; memory stays under the cap; the backlog comes at a pace
that the server's rate limit allows.

  outage_test.py RECEIVER DRIVER SHIM
"""
import sys
import time
import unittest

import harness
from faults_test import Scenario
from harness import wait_for

QUEUE_KIB = 16 << 10
LARGEST_REQUEST = 128 << 10  # 128 samples with a label of 1,900 bytes each that does not compress


class Outage(unittest.TestCase):
    @staticmethod
    def fill(scenario):
        for _ in range(5):
            scenario.driver.do("flush", timeout_ms=0)
        return scenario.driver.report()["client"]["lost_queue_full"]

    def drained_a_little(self, scenario):
        """Waits until the queue has room, which only the server makes, and tells what is lost by then."""
        while True:
            client = scenario.driver.report()["client"]
            if client["queue_bytes"] < (QUEUE_KIB << 10) - LARGEST_REQUEST:
                self.assertTrue(scenario.receiver.state()["accepted"])
                return client["lost"]
            time.sleep(0.02)

    def test_a_full_queue_loses_the_oldest_and_drains_below_the_rate_limit(self):
        with Scenario() as scenario:
            scenario.receiver.listen(False)
            # Many profiles, each with 40 KB of tags and samples that do not compress.
            scenario.start(sample_rate=1000, upload_interval_ms=100, tags={f"tag{i}": "v" * 2000 for i in range(20)})
            scenario.driver.work(unique_label_bytes=1900, cpu_us=500, idle_us=0, threads=2)
            before = scenario.driver.report()
            wait_for("a full queue", lambda: self.fill(scenario) >= 3, 90)
            report = scenario.driver.report()
            harness.check_host(self, report)
            self.assertLessEqual(report["client"]["queue_bytes"], QUEUE_KIB << 10)
            self.assertGreater(report["client"]["queue_bytes"], (QUEUE_KIB << 10) * 3 // 4)
            # The queue, and what the profiler and one window's encoding take.
            self.assertLess(report["peak_kib"] - before["peak_kib"], QUEUE_KIB + (64 << 10))
            idle_since = time.time_ns()
            scenario.driver.do("idle")
            scenario.receiver.listen(True)
            # The next try waits for its backoff, up to a minute in which windows go on: each makes older profiles go, but no
            # more than it needs, and once the server is back nothing is lost any more.
            lost = self.drained_a_little(scenario)
            wait_for("the backlog", lambda: scenario.driver.report()["client"]["queue_bytes"] == 0, 60)
            self.assertTrue(scenario.driver.stop()["ok"])
            report, state = scenario.driver.report(), scenario.receiver.state()
            harness.check_books(self, report, state)
            self.assertEqual(state["refused"], [])
            self.assertEqual(state["distinct"], report["client"]["taken"] - report["client"]["lost"])
            self.assertEqual(report["client"]["lost"], lost)
            # What arrived is the newest, without a hole while there was work, and before it the one that was being sent when
            # older ones went.
            times = sorted(profile["time_nanos"] for profile in state["accepted"] if profile["time_nanos"] < idle_since)
            gaps = [later - earlier for earlier, later in zip(times, times[1:])]
            self.assertLess(max(gaps[1:]), 3_000_000_000, [gap for gap in gaps if gap > 1_000_000_000])


if __name__ == "__main__":
    harness.main(sys.argv)
