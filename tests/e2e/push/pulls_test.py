#!/usr/bin/env python3
"""Ten pulls of different lengths at once, while the push client runs: the total of each is the CPU clock's over its own
window, and what is pushed meanwhile is whole.

  pulls_test.py RECEIVER DRIVER SHIM
"""
import bisect
import concurrent.futures
import sys
import time
import unittest
import urllib.request

import harness
from faults_test import Scenario
from pprof_file import Profile

PERIOD_NS = 10_000_000
BUSY_THREADS = 3  # two that serve requests, one that reads clocks
LENGTHS = [1, 1, 2, 2, 3, 4, 5, 6, 7, 8]


def clock_at(points, wall_ns):
    """The CPU clock at a moment, from the two readings around it: (value, how far off it can be)."""
    after = bisect.bisect_left(points, [wall_ns])
    (wall_1, cpu_1), (wall_2, cpu_2) = points[after - 1], points[after]
    return cpu_1 + (cpu_2 - cpu_1) * (wall_ns - wall_1) / (wall_2 - wall_1), cpu_2 - cpu_1


class Pulls(unittest.TestCase):
    def test_ten_at_once_during_push(self):
        with Scenario() as scenario:
            scenario.start()
            scenario.driver.work(threads=2, cpu_us=3000, idle_us=1000)
            address = scenario.driver.do("serve")["address"]
            time.sleep(0.2)
            with concurrent.futures.ThreadPoolExecutor(len(LENGTHS)) as pool:
                pulled = list(pool.map(lambda number: self.pull(address, number), range(len(LENGTHS))))
            time.sleep(0.2)
            points = scenario.driver.do("timeline")["points"]
            self.assertTrue(scenario.driver.stop()["ok"])
            report, state = scenario.driver.report(), scenario.receiver.state()
            harness.check_books(self, report, state)
            harness.check_host(self, report)
            self.assertEqual(report["client"]["lost"], 0)
            for seconds, profile in zip(LENGTHS, pulled):
                self.check_window(seconds, profile, points)

    @staticmethod
    def pull(address, number):
        time.sleep(0.07 * number)  # so that no two windows have an edge in common
        with urllib.request.urlopen(f"http://{address}/debug/pprof/profile?seconds={LENGTHS[number]}", timeout=60) as answer:
            return Profile(answer.read())

    def check_window(self, seconds, profile, points):
        self.assertAlmostEqual(profile.duration_nanos / 1e9, seconds, delta=0.5)
        (first, first_error), (last, last_error) = (clock_at(points, profile.time_nanos + offset)
                                                    for offset in (0, profile.duration_nanos))
        clock, error = last - first, first_error + last_error
        print(f"{seconds} s: profile {profile.sums[1] / 1e6:.0f} ms, clock {clock / 1e6:.1f} ms (+-{error / 1e6:.1f}), "
              f"{100 * (profile.sums[1] / clock - 1):+.2f} %")
        self.assertEqual(profile.sums[1], profile.sums[0] * PERIOD_NS)
        self.assertLessEqual(abs(profile.sums[1] - clock), 0.02 * clock + BUSY_THREADS * PERIOD_NS + error)
        self.assertGreater(clock, 0.1e9)


if __name__ == "__main__":
    harness.main(sys.argv)
