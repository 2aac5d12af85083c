"""What the tests of the push client share: the stand-in server, the driver program, and the checks that hold
whatever the server does."""
import json
import os
import subprocess
import tempfile
import threading
import time
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
    """What holds whatever the server did: the client's counters tell the truth of what arrived."""
    client = report["client"]
    taken, lost, unknown = client["taken"], client["lost"], client["unknown"]
    books = f"{client}, accepted {state['distinct']} distinct, {state['twins']} twins"
    test.assertLessEqual(taken - lost - unknown, state["distinct"], books)
    test.assertLessEqual(state["distinct"], taken - lost, books)
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
