"""What the tests of the push client share: the stand-in server, the driver program, and the checks that hold
whatever the server does."""
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

INFO, WARNING = 1, 2  # pprof::LogLevel
INTERVAL_MS = 500  # of uploads, short so that tests are


class Tools:
    """Paths, set by the script's arguments."""
    receiver = driver = shim = ""


class Receiver:
    """The stand-in for a Pyroscope server (tests/e2e/receiver)."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.ca_file = os.path.join(self.folder.name, "ca.pem")
        self.process = subprocess.Popen([Tools.receiver, "-ca", self.ca_file], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.ports = json.loads(self.process.stdout.readline())
        self.url = "http://" + self.ports["push"]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)
        self.folder.cleanup()

    def _ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"http://{self.ports['admin']}{path}", data, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def faults(self, *faults):
        self._ask("/faults", list(faults))

    def schedule(self, seed, passing, faults):
        self._ask("/schedule", {"seed": seed, "pass": passing, "faults": faults})

    def listen(self, up):
        self._ask("/listen", up)

    def release(self):
        self._ask("/release", {})

    def set_limits(self, **changes):
        limits = self._ask("/limits")
        limits.update(changes)
        self._ask("/limits", limits)

    def state(self):
        return self._ask("/state")

    def functions(self):
        return self._ask("/functions")

    def query(self, method, **fields):
        return query(self.url, method, **fields)


def query(url, method, **fields):
    """One call of querier.v1 as JSON."""
    request = urllib.request.Request(f"{url}/querier.v1.QuerierService/{method}", json.dumps(fields).encode(),
                                     {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{method}: {error.code} {error.read()[:500]}") from error


class Driver:
    """The program that pushes (driver.cc). Commands are methods; each returns the program's answer."""

    def __init__(self, shim=False, environment=None):
        env = {name: value for name, value in os.environ.items()
               if not name.startswith(("PYROSCOPE_", "OTEL_")) and not name.lower().endswith("_proxy")}
        env.update(environment or {})
        if shim:
            env["LD_PRELOAD"] = Tools.shim
        self.process = subprocess.Popen([Tools.driver], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def do(self, what, timeout=60, **fields):
        # A driver that hangs is killed: the answer is then missing and the test fails.
        watchdog = threading.Timer(timeout, self.process.kill)
        watchdog.start()
        try:
            self.process.stdin.write(json.dumps({"do": what, **fields}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise AssertionError(f"the driver ended during '{what}' with {self.process.wait(10)}")
        return json.loads(line)

    def start(self, url, **config):
        config = {"application_name": "push-test", "server_address": url, "upload_interval_ms": INTERVAL_MS, **config}
        answer = self.do("start", config=config)
        assert answer["ok"], answer
        return answer

    def work(self, **options):
        self.do("work", **options)

    def report(self):
        return self.do("report")

    def stop(self, timeout_ms=5000):
        self.do("idle")
        return self.do("stop", timeout_ms=timeout_ms, timeout=timeout_ms / 1000 + 30)

    def close(self):
        if self.process.poll() is None:
            try:
                self.process.communicate(json.dumps({"do": "exit", "how": "return"}) + "\n", timeout=30)
            except (subprocess.TimeoutExpired, ValueError, BrokenPipeError):
                self.process.kill()
                self.process.communicate()
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()
        return self.process.returncode


def wait_for(what, condition, seconds=20):
    """Polls until the condition gives something true, and returns that."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def lines(report, level=WARNING):
    """What the client said at this level or above."""
    return [entry["line"] for entry in report["log"] if entry["level"] >= level]


def check_books(test, report, state):
    """What holds whatever the server did: the client's counters tell the truth of what arrived, by profiles and by
    samples, and they add up."""
    client = report["client"]
    books = f"{client}, accepted {state['distinct']} distinct, {state['twins']} twins"
    test.assertEqual(client["taken"], client["accepted"] + client["lost"] + client["unknown"] + client["queued"], books)
    test.assertEqual(client["lost"], sum(client["lost_" + why] for why in ("refused", "given_up", "queue_full", "unsent")), books)
    arrived = {profile["key"]: profile["samples"] for profile in state["accepted"]}
    for taken, lost, unknown, accepted in ((client["taken"], client["lost"], client["unknown"], len(arrived)),
                                           (client["samples_taken"], client["samples_lost"], client["samples_unknown"],
                                            sum(arrived.values()))):
        test.assertLessEqual(taken - lost - unknown, accepted, books)
        test.assertLessEqual(accepted, taken - lost, books)
    test.assertEqual(client["windows_failed"], 0)
    test.assertEqual(state["clashes"], 0, "profiles of one series with equal time_nanos: the server would drop one")
    test.assertEqual(state["complaints"], {})


def check_host(test, report):
    """The application's own requests: none was kept waiting, but for a processor."""
    latency = report["latency"]
    test.assertGreater(latency["requests"], 0)
    test.assertLess(latency["worst_blocked_us"], 100_000, latency)
    test.assertLessEqual(latency["blocked_over_10ms"], latency["requests"] // 50 + 1, latency)


def check_lines(test, report, secrets=()):
    for entry in report["log"]:
        test.assertNotIn("\n", entry["line"])
        test.assertLess(len(entry["line"]), 1000, entry["line"])
        for secret in secrets:
            test.assertNotIn(secret, entry["line"])


PARALLEL = 8  # tests at a time: they mostly wait


def all_tests(suite, wanted):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from all_tests(test, wanted)
        elif not wanted or any(word in test.id() for word in wanted):
            yield test


def run_one(test):
    result, began = unittest.TestResult(), time.monotonic()
    test.run(result)
    problems = [text for _, text in result.failures + result.errors]
    print(f"{'FAILED' if problems else 'ok':6} {time.monotonic() - began:5.1f} s  {test.id()}", flush=True)
    return [f"{test.id()}\n{text}" for text in problems]


def main(arguments):
    """RECEIVER DRIVER SHIM, then words of which a test's name must have one. Runs the tests several at a time."""
    Tools.receiver, Tools.driver, Tools.shim = arguments[1:4]
    tests = list(all_tests(unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"]), arguments[4:]))
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        problems = [text for texts in pool.map(run_one, tests) for text in texts]
    print("\n".join(problems))
    print(f"{len(tests) - len(problems)} passed, {len(problems)} failed")
    sys.exit(1 if problems or not tests else 0)
