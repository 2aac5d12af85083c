#!/usr/bin/env python3
"""The push client before every kind of bad server: the application is not delayed, memory stays small, the loss is
what the counters say, one line says what is wrong, and it goes on by itself once the server is well.

  faults_test.py RECEIVER DRIVER SHIM
"""
import base64
import os
import re
import sys
import time
import unittest

import harness
from harness import Driver, Receiver, wait_for

USER, PASSWORD = "user-4711", "pass-word-0815"
SECRETS = (USER, PASSWORD, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
HTML = "<html><head><title>Proxy</title></head>\n<body>" + "please log in<br>\n" * 200 + "</body></html>"
MEMORY_KIB = 48 << 10  # growth by the client under a fault, the profiler's own memory included


def status(code, body="", **headers):
    return {"mode": "status", "status": code, "body": body, "headers": headers}


# What each fault is, whether what it hits is lost (drop) or comes through later (retry), and what the line says.
RETRIED = {
    "429": (status(429, '{"code":"resource_exhausted","message":"push rate limit (4 MiB) exceeded"}',
                   **{"Content-Type": "application/json"}), ["429", "push rate limit"]),
    "429 with Retry-After": (status(429, "slow down", **{"Retry-After": "1"}), ["429", "slow down"]),
    "500": (status(500, '{"code":"unknown","message":"disk on fire"}', **{"Content-Type": "application/json"}),
            ["500", "disk on fire"]),
    "500 without a body": (status(500), ["500"]),
    "503": (status(503, "starting up"), ["503", "starting up"]),
    "503 without a body": (status(503), ["503"]),
    "502 with HTML": (status(502, HTML, **{"Content-Type": "text/html"}), ["502"]),
    "408": (status(408), ["408"]),
    "HTML from a proxy": (status(200, HTML, **{"Content-Type": "text/html"}), ["text/html"]),
    "another content type": (status(200, "hello", **{"Content-Type": "text/plain"}), ["text/plain"]),
    "reset": ({"mode": "reset"}, []),
    "reset after the profile was taken": ({"mode": "reset", "accept": True}, []),
    "closed": ({"mode": "close"}, []),
    "closed after the profile was taken": ({"mode": "close", "accept": True}, []),
    "500 after the profile was taken": ({**status(500, "half done"), "accept": True}, ["500"]),
}
DROPPED = {
    "400": (status(400, '{"code":"invalid_argument","message":"profile with labels is bad"}',
                   **{"Content-Type": "application/json"}), ["400", "profile with labels is bad"]),
    "401": (status(401, "no credentials"), ["401", "no credentials"]),
    "401 without a body": (status(401), ["401"]),
    "403": (status(403, "not yours"), ["403", "not yours"]),
    "404": (status(404, "404 page not found"), ["404"]),
    "413": (status(413), ["413"]),
    "422": (status(422, "unprocessable"), ["422", "unprocessable"]),
    "501": (status(501, '{"code":"unimplemented"}', **{"Content-Type": "application/json"}), ["501"]),
    "redirect": ({"mode": "redirect"}, ["307"]),
}


def failures(report):
    return [line for line in harness.lines(report) if " again, " not in line]


def recoveries(report):
    return [line for line in harness.lines(report) if "accepted again" in line]


class Scenario:
    """One driver before one receiver; everything is torn down at the end."""

    def __init__(self, shim=False, environment=None):
        self.receiver = Receiver()
        self.driver = Driver(shim, environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.driver.close()
        self.receiver.close()
        assert code == 0, f"the driver ended with {code}"

    def start(self, **config):
        return self.driver.start(self.receiver.url, basic_auth_user=USER, basic_auth_password=PASSWORD, **config)

    def accepted(self):
        return self.receiver.state()["distinct"]


class Faults(unittest.TestCase):
    def hit(self, scenario, fault):
        """Lets the fault hit for a while between two spells of health; returns the report and state after Stop."""
        scenario.start()
        scenario.driver.work()
        wait_for("a first profile", scenario.accepted)
        before = scenario.driver.report()
        scenario.receiver.faults(fault)
        wait_for("two requests that were hit", lambda: len(self.hits(scenario.receiver.state())) >= 2)
        during = scenario.driver.report()
        scenario.receiver.faults()
        accepted = scenario.accepted()
        wait_for("recovery", lambda: scenario.accepted() >= accepted + 3)
        answer = scenario.driver.stop()
        self.assertTrue(answer["ok"], answer)
        report, state = scenario.driver.report(), scenario.receiver.state()
        harness.check_books(self, report, state)
        harness.check_host(self, before)
        harness.check_host(self, during)
        harness.check_lines(self, report, SECRETS)
        self.assertEqual(state["refused"], [])
        self.assertLess(report["peak_kib"] - before["peak_kib"], MEMORY_KIB)
        return report, state

    @staticmethod
    def hits(state):
        return [request for request in state["requests"] if request["fault"] != "none"]

    def one_line(self, report, words):
        """One line for the fault, with the words, and one of recovery."""
        failed, healed = failures(report), recoveries(report)
        self.assertEqual((len(failed), len(healed)), (1, 1), failed + healed)
        for word in words:
            self.assertIn(word, failed[0])
        self.assertLess(len(failed[0]), 700)

    def check_retried(self, fault, words):
        """What passes is tried again, and nothing is lost."""
        with Scenario() as scenario:
            report, state = self.hit(scenario, fault)
            self.one_line(report, words)
            self.assertEqual(report["client"]["lost"] + report["client"]["unknown"], 0)
            self.assertEqual(state["distinct"], report["client"]["taken"])
            self.assertEqual(state["twins"] > 0, fault.get("accept", False))

    def check_dropped(self, fault, words):
        """What cannot succeed is dropped at once, and counted."""
        with Scenario() as scenario:
            report, state = self.hit(scenario, fault)
            self.one_line(report, words)
            # One request a profile: it is not sent again.
            self.assertEqual(report["client"]["lost_refused"], len(self.hits(state)))
            self.assertEqual(state["distinct"] + report["client"]["lost"], report["client"]["taken"])
            self.assertEqual(state["redirected"], [])

    def test_what_a_failing_server_took_is_never_called_lost(self):
        with Scenario() as scenario:
            scenario.receiver.faults({**status(500, "after it was stored"), "accept": True, "count": 1}, status(400, "now it is bad"))
            scenario.start()
            scenario.driver.work()
            wait_for("a window", lambda: scenario.driver.report()["client"]["taken"] >= 1)
            scenario.driver.do("idle")
            wait_for("its end", lambda: scenario.driver.report()["client"]["queued"] == 0)
            scenario.driver.stop()
            report, state = scenario.driver.report(), scenario.receiver.state()
            self.assertEqual(state["distinct"], 1)
            harness.check_books(self, report, state)

    def test_retry_after_is_obeyed(self):
        with Scenario() as scenario:
            scenario.receiver.faults({**status(429, "wait", **{"Retry-After": "3"}), "count": 1})
            scenario.start()
            scenario.driver.work()
            wait_for("an accepted profile", scenario.accepted)
            first, second = scenario.receiver.state()["requests"][:2]
            self.assertGreaterEqual(second["at_ms"] - first["at_ms"], 2950)

    def test_attempts_become_rarer(self):
        with Scenario() as scenario:
            scenario.receiver.faults(status(503))
            scenario.start()
            scenario.driver.work()
            wait_for("24 windows", lambda: scenario.driver.report()["client"]["taken"] >= 24, 40)
            at = [request["at_ms"] for request in self.hits(scenario.receiver.state())]
            # Doubling from a second, with jitter: 12 s have room for about five.
            self.assertLess(len(at), 13, at)
            self.assertGreater(len(at), 1)

    @unittest.skipUnless(os.environ.get("OTELPROF_LONG"), "takes the retries of a profile, ten minutes")
    def test_a_500_for_the_same_bytes_has_an_end(self):
        with Scenario() as scenario:
            scenario.receiver.faults(status(500, "gzip reset"))
            # One profile: each has tries of its own, and they wait for each other.
            scenario.start(upload_interval_ms=600000)
            self.work_and_flush(scenario, 500)

            def given_up():
                time.sleep(5)  # asking takes CPU time, so that the next window would have samples
                client = scenario.driver.report()["client"]
                return client["lost_given_up"] + client["unknown"] > 0

            wait_for("the end of all tries", given_up, 840)
            requests = len(scenario.receiver.state()["requests"])
            scenario.receiver.faults()
            self.work_and_flush(scenario, 90000)
            wait_for("the next one", scenario.accepted)
            self.assertTrue(scenario.driver.stop(10000)["ok"])
            report = scenario.driver.report()
            harness.check_books(self, report, scenario.receiver.state())
            self.assertLess(requests, 40)

    @staticmethod
    def work_and_flush(scenario, timeout_ms):
        scenario.driver.work()
        time.sleep(0.5)
        scenario.driver.do("idle")
        scenario.driver.do("flush", timeout_ms=timeout_ms)

    def test_down_at_the_start(self):
        with Scenario() as scenario:
            scenario.receiver.listen(False)
            scenario.start()
            scenario.driver.work()
            wait_for("a line", lambda: harness.lines(scenario.driver.report()))
            scenario.receiver.listen(True)
            wait_for("what was taken meanwhile", lambda: scenario.accepted() >= 3)
            self.assertTrue(scenario.driver.stop()["ok"])
            report = scenario.driver.report()
            harness.check_host(self, report)
            self.one_line(report, [scenario.receiver.ports["push"]])
            self.assertEqual(report["client"]["lost"], 0)
            self.assertEqual(scenario.accepted(), report["client"]["taken"])

    def test_down_later_for_a_while(self):
        with Scenario() as scenario:
            scenario.start()
            scenario.driver.work()
            wait_for("a first profile", scenario.accepted)
            scenario.receiver.listen(False)
            taken = scenario.driver.report()["client"]["taken"]
            wait_for("ten windows", lambda: scenario.driver.report()["client"]["taken"] >= taken + 10)
            harness.check_host(self, scenario.driver.report())
            scenario.receiver.listen(True)
            wait_for("the backlog", lambda: scenario.accepted() >= taken + 10, 40)
            self.assertTrue(scenario.driver.stop()["ok"])
            report, state = scenario.driver.report(), scenario.receiver.state()
            self.one_line(report, [])
            self.assertEqual(report["client"]["lost"], 0)
            self.assertEqual(state["distinct"], report["client"]["taken"])
            harness.check_books(self, report, state)

    def test_slow_by_the_byte(self):
        with Scenario() as scenario:
            scenario.receiver.faults({"mode": "slow", "accept": True, "delay_ms": 4})
            scenario.start()
            scenario.driver.work()
            wait_for("two slow answers", lambda: len(self.hits(scenario.receiver.state())) >= 2)
            harness.check_host(self, scenario.driver.report())
            self.assertTrue(scenario.driver.stop(15000)["ok"])
            report, state = scenario.driver.report(), scenario.receiver.state()
            self.assertEqual(harness.lines(report), [])
            self.assertEqual(state["distinct"], report["client"]["taken"])
            self.assertEqual(state["twins"], 0)

    def check_huge(self, code, lines):
        with Scenario() as scenario:
            report, state = self.hit(scenario, {"mode": "huge", "accept": True, "status": code, "size": 100_000_000})
            self.assertEqual(len(failures(report)), lines, report["log"])
            # The rest is not even read: what was written is the buffers of two sockets.
            self.assertLess(max(request["sent"] for request in self.hits(state)), 16 << 20)

    def test_an_answer_of_100_mb_is_not_kept(self):
        self.check_huge(200, 0)  # its head said that the profile was taken

    def test_an_error_of_100_mb_is_not_kept(self):
        self.check_huge(503, 1)

    def test_a_server_that_hangs_does_not_hold_stop_up(self):
        with Scenario() as scenario:
            scenario.receiver.faults({"mode": "hang", "accept": True})
            scenario.start()
            scenario.driver.work()
            wait_for("a few windows", lambda: scenario.driver.report()["client"]["taken"] >= 3)
            harness.check_host(self, scenario.driver.report())
            answer = scenario.driver.stop(1500)
            self.assertEqual(answer["code"], 4, answer)  # kTimeout
            self.assertLess(answer["took_ms"], 2500)
            scenario.receiver.release()
            report = scenario.driver.report()
            self.assertGreater(report["client"]["unknown"], 0)  # it may have been taken, as it was
            harness.check_books(self, report, scenario.receiver.state())

    def test_a_hanging_server_is_given_up_and_tried_again(self):
        with Scenario() as scenario:
            scenario.receiver.faults({"mode": "hang", "count": 1})
            scenario.start()
            scenario.driver.work()
            wait_for("a second attempt", scenario.accepted, 60)
            self.assertTrue(scenario.driver.stop()["ok"])
            report, state = scenario.driver.report(), scenario.receiver.state()
            self.one_line(report, [])
            self.assertEqual(state["distinct"], report["client"]["taken"])
            self.assertEqual(report["client"]["lost"] + report["client"]["unknown"], 0)


class Network(unittest.TestCase):
    def check_unreachable(self, url, words, **config):
        """Never reachable: Start is ok, the application runs, Stop keeps its deadline, all is lost and counted."""
        with Scenario() as scenario:
            scenario.driver.start(url.format(**scenario.receiver.ports), basic_auth_user=USER, basic_auth_password=PASSWORD,
                                  **{name: value(scenario) for name, value in config.items()})
            scenario.driver.work()
            wait_for("a line", lambda: harness.lines(scenario.driver.report()), 40)
            report = scenario.driver.report()
            harness.check_host(self, report)
            answer = scenario.driver.stop(1000)
            self.assertEqual(answer["code"], 4, answer)
            self.assertLess(answer["took_ms"], 2000)
            report = scenario.driver.report()
            harness.check_lines(self, report, SECRETS)
            for word in words:
                self.assertIn(word, harness.lines(report)[0].lower())
            self.assertEqual(report["client"]["lost"], report["client"]["taken"])
            self.assertEqual(scenario.receiver.state()["requests"], [])

    def test_certificate_for_another_name(self):
        self.check_unreachable("https://{tls_wrong_name}", ["certificate"], ca_file=lambda scenario: scenario.receiver.ca_file)

    def test_certificate_by_an_unknown_authority(self):
        self.check_unreachable("https://{tls_unknown}", ["certificate"], ca_file=lambda scenario: scenario.receiver.ca_file)

    def test_certificate_that_expired(self):
        self.check_unreachable("https://{tls_expired}", ["certificate"], ca_file=lambda scenario: scenario.receiver.ca_file)

    def test_certificate_is_verified_without_a_ca_file(self):
        self.check_unreachable("https://{tls}", ["certificate"])

    def test_a_name_that_does_not_exist(self):
        self.check_unreachable("http://no-such-host.invalid:4040", ["no-such-host.invalid"])

    def test_a_port_that_speaks_plain_http(self):
        self.check_unreachable("https://{push}", [])

    def test_tls_works(self):
        with Scenario() as scenario:
            scenario.driver.start("https://" + scenario.receiver.ports["tls"], ca_file=scenario.receiver.ca_file,
                                  basic_auth_user=USER, basic_auth_password=PASSWORD)
            scenario.driver.work()
            wait_for("profiles", lambda: scenario.accepted() >= 2)
            self.assertTrue(scenario.driver.stop()["ok"])
            state = scenario.receiver.state()
            self.assertEqual({request["authorization"] for request in state["requests"]}, {"Basic " + SECRETS[2]})
            self.assertEqual(harness.lines(scenario.driver.report()), [])


def add_tests(table, prefix, check):
    """One test a row."""
    for name, row in table.items():
        setattr(Faults, f"test_{prefix}_" + re.sub(r"\W+", "_", name), lambda self, row=row: check(self, *row))


add_tests(RETRIED, "retried", Faults.check_retried)
add_tests(DROPPED, "dropped", Faults.check_dropped)

if __name__ == "__main__":
    harness.main(sys.argv)
