#!/usr/bin/env python3
"""Shows that the chain from a request to the flame graph of its span is whole: sends twenty requests to the ride-share
service and exits with 0 only if each left behind what it must, and nothing of another one.

  verify.py --service http://127.0.0.1:8080 --tempo http://127.0.0.1:3200 --pyroscope http://127.0.0.1:4040
      a running service and running servers
  verify.py --local build/release/examples/rideshare/rideshare_service
      starts the service itself, takes its profile from /debug/pprof/ and its spans from its exporter; needs no server
"""
import argparse
import collections
import concurrent.futures
import contextlib
import os
import re
import secrets
import subprocess
import sys
import time
import urllib.request

import evidence

SERVICE, PRICING = "rideshare", "rideshare-pricing"
# The function that each lesson is about. Where there is none, the request itself must show no work.
WORK = {
    "/hot-loop": ["FindNearestVehicle"], "/lock": ["BookSeat"], "/io": [], "/allocation": ["PrintReceipts"],
    "/pool": ["ScoreDrivers"], "/coroutine": ["ExpandRoute"], "/short-spans": [], "/downstream": [],
    "/bike": ["FindNearestVehicle"], "/scooter": ["ScoreDrivers", "PrintReceipts"], "/car": ["ExpandRoute", "BookSeat"],
}
ALL_WORK = ["FindNearestVehicle", "BookSeat", "PrintReceipts", "ScoreDrivers", "ExpandRoute", "SnapToRoad", "EstimateSurge"]
VEHICLES = ("/bike", "/scooter", "/car")
PRICED = ("/downstream", "/car")  # ask the pricing service, whose function is EstimateSurge
# Twenty. What stands in one row runs at the same time: threads of the pool then go from request to request.
ROUNDS = [["/lock"] * 3, ["/pool", "/coroutine"] * 3, ["/hot-loop", "/io", "/allocation", "/short-spans"],
          ["/hot-loop", "/allocation", "/downstream"], ["/bike", "/scooter", "/car"]]
UNSAMPLED, UNSAMPLED_TIER = "/hot-loop", "staff"  # the twentieth; neither another request nor the load has this tier
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "work.cc")

Request = collections.namedtuple("Request", "route vehicle tier sampled trace_id caller_id span_id seconds")


def send(service, route, vehicle, tier, sampled=True):
    trace_id, caller_id = secrets.token_hex(16), secrets.token_hex(8)
    request = urllib.request.Request(f"{service}{route}?vehicle={vehicle}", headers={
        "traceparent": f"00-{trace_id}-{caller_id}-0{int(sampled)}", "baggage": f"customer.tier={tier}"})
    began = time.monotonic()
    with urllib.request.urlopen(request, timeout=60) as answer:
        answer.read()
        _, answered_id, span_id, flags = answer.headers["traceresponse"].split("-")
    if answered_id != trace_id or flags != f"0{int(sampled)}":
        raise AssertionError(f"{route}: asked in trace {trace_id}, answered in {answered_id}-{flags}")
    return Request(route, vehicle, tier, sampled, trace_id, caller_id, span_id, time.monotonic() - began)


def send_twenty(service):
    requests = []
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for number, row in enumerate(ROUNDS):
            vehicle, tier = ("bike", "scooter", "car")[number % 3], ("free", "plus")[number % 2]
            requests += pool.map(lambda route: send(service, route, route[1:] if route in VEHICLES else vehicle, tier), row)
    requests.append(send(service, UNSAMPLED, "car", UNSAMPLED_TIER, sampled=False))
    assert len(requests) == 20
    return requests


class Checks:
    """One line for each thing that was found, or not."""

    def __init__(self):
        self.problems = 0

    def that(self, good, what, detail=""):
        if not good:
            self.problems += 1
        print(f"{'ok    ' if good else 'FAILED'} {what}{'' if good or not detail else f': {detail}'}", flush=True)


def ours(functions):
    """Those of ALL_WORK that are among a flame graph's functions."""
    return {name for name in ALL_WORK for function in functions if re.search(rf"\brideshare::{name}\(", function)}


def source_lines(name):
    """First and last line of a function in work.cc."""
    with open(SOURCE, encoding="utf-8") as file:
        lines = file.read().splitlines()
    first = next(at for at, line in enumerate(lines, 1) if re.match(rf"\[\[gnu::noinline\]\] .*\b{name}\(", line))
    last = next(at for at, line in enumerate(lines, 1) if at > first and line == "}")
    return first, last


def has_lines(flames, name):
    """True when the function's frames have its file and lines of it. Line 0 is DWARF's for code that belongs to no line, which
    clang gives some of an optimised loop's; not all may be such."""
    frames = [frame for frame in flames.frames if re.search(rf"\brideshare::{name}\(", frame.function)]
    first, last = source_lines(name)
    return any(frame.line for frame in frames) and all(
        frame.file.endswith("rideshare/work.cc") and (frame.line == 0 or first <= frame.line <= last) for frame in frames)


def check_flames(checks, what, flames, expected):
    found = ours(flames.functions)
    checks.that(found == set(expected), f"{what}: its own work and nobody else's", f"expected {expected}, found {sorted(found)}")
    for name in expected:
        checks.that(has_lines(flames, name), f"{what}: {name} has file and line")


def check_span(checks, source, request):
    """The request's span in the traces: by OpenTelemetry's HTTP conventions, child of the caller, with the profile's id."""
    what = f"GET {request.route} {request.span_id}"
    spans = {span.span_id: span for span in source.spans(request.trace_id)}
    span = spans.get(request.span_id)
    checks.that(span is not None, f"{what}: the trace has the span")
    if span is None:
        return
    checks.that(span.attributes.get("pyroscope.profile.id") == request.span_id, f"{what}: pyroscope.profile.id", span.attributes)
    checks.that(span.parent_id == request.caller_id, f"{what}: child of the caller's span", span.parent_id)
    wanted = {"http.request.method": "GET", "http.route": request.route, "url.path": request.route, "url.scheme": "http",
              "http.response.status_code": 200}
    got = {name: span.attributes.get(name) for name in wanted}
    checks.that((span.service, span.name, got) == (SERVICE, f"GET {request.route}", wanted), f"{what}: HTTP conventions", span)


def check_pricing(checks, source, request):
    """The slow downstream service: a span of its own, below the client's, with the work that the caller does not show."""
    spans = {span.span_id: span for span in source.spans(request.trace_id)}
    prices = [span for span in spans.values() if span.service == PRICING]
    checks.that(len(prices) == 1, f"GET {request.route}: one span of {PRICING}", prices)
    for price in prices:
        client = spans.get(price.parent_id)
        checks.that(client is not None and client.service == SERVICE and client.parent_id == request.span_id,
                    f"GET {request.route}: the price's span hangs below the request's client span", client)
        check_flames(checks, f"GET /price of {request.route}", source.span(PRICING, price.trace_id, price.span_id), ["EstimateSurge"])


def span_flames(source, request):
    return source.span(SERVICE, request.trace_id, request.span_id, vehicle=request.vehicle, customer_tier=request.tier)


def unsampled_flames(source):
    """The tier says which request it was; the samples have no ids."""
    return source.flames(SERVICE, span_name=f"GET {UNSAMPLED}", vehicle="car", customer_tier=UNSAMPLED_TIER)


def check_request(checks, source, request):
    check_span(checks, source, request)
    flames = span_flames(source, request)
    check_flames(checks, f"GET {request.route} {request.span_id}", flames, WORK[request.route])
    if request.route == "/io":
        checks.that(request.seconds >= 0.15 and flames.cpu_ns <= 50e6, "GET /io: waits, and has next to no samples",
                    f"{request.seconds:.3f} s, {flames.cpu_ns} ns of CPU")
    if request.route in PRICED:
        check_pricing(checks, source, request)


def check_rest(checks, source, requests):
    waits = [span.attributes.get("rideshare.lock_wait_us", 0) for request in requests if request.route == "/lock"
             for span in source.spans(request.trace_id)]
    checks.that(max(waits, default=0) >= 1000, "GET /lock: of three at a time, one waited for the mutex", waits)
    check_flames(checks, "process ping, all of its name", source.flames(SERVICE, span_name="process ping"), ["SnapToRoad"])
    unsampled = requests[-1]
    checks.that(not source.spans(unsampled.trace_id), "unsampled: no span is exported")
    check_flames(checks, "unsampled: by span_name", unsampled_flames(source), WORK[UNSAMPLED])
    by_id = source.span(SERVICE, unsampled.trace_id, unsampled.span_id)
    checks.that(not by_id.functions, "unsampled: nothing by its ids")


def check_nothing_else(checks, source, requests):
    """Of a service that nobody else asks: all work of the scenarios is in these requests' spans."""
    lost = ours(source.without_span(SERVICE).functions) | ours(source.without_span(PRICING).functions)
    checks.that(not lost, "no work without a span", sorted(lost))
    known = {(request.span_id if request.sampled else "", request.tier, request.vehicle) for request in requests}
    for name in set(ALL_WORK) - {"SnapToRoad", "EstimateSurge"}:
        strangers = [sample.labels for sample in source.samples[SERVICE] if name in ours(frame.function for frame in sample.frames)
                     and tuple(sample.labels.get(key, "") for key in ("span_id", "customer_tier", "vehicle")) not in known]
        checks.that(not strangers, f"{name} ran in these requests only, with their labels", strangers[:3])


@contextlib.contextmanager
def running(program, *arguments, **environment):
    """The service on free ports; gives its addresses."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYROSCOPE_"))}
    process = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True, env={
        **inherited, "LISTEN_ADDRESS": "127.0.0.1:0", "PPROF_ADDRESS": "127.0.0.1:0", "PYROSCOPE_PROFILING_ENABLED": "false",
        **environment})
    try:
        ready = re.fullmatch(r"\S+ (\S+) profiles (\S+/debug/)\S*\n", process.stdout.readline())
        if not ready:
            raise AssertionError(f"{program} did not start")
        yield ready.group(1), ready.group(2) + "pprof/"
    finally:
        process.terminate()
        try:
            code = process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    if code != 0:
        raise AssertionError(f"{program} ended with {code}")


def verify_local(checks, program):
    receiver = evidence.Receiver()
    export = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}
    with running(program, "pricing", **export) as (pricing, pricing_pages), \
            running(program, PRICING_ADDRESS=pricing, **export) as (service, pages):
        source = evidence.Local(receiver, {SERVICE: pages, PRICING: pricing_pages})
        evidence.wait_until("the services are ready", lambda: evidence.answers(service + "/healthz"), 30)
        requests = []
        for seconds in (8, 30, 60):  # longer, if the machine was too busy
            if source.window(seconds, lambda: requests.__setitem__(slice(None), send_twenty(service))):
                break
        else:
            raise TimeoutError("twenty requests took longer than a minute")
    receiver.close()  # after the processes, whose end sends the last spans
    for request in requests[:-1]:
        check_request(checks, source, request)
    check_rest(checks, source, requests)
    check_nothing_else(checks, source, requests)


def arrived(source, requests):
    """True when the servers have all that check_request and check_rest look for. They get it window by window."""
    for request in requests[:-1]:
        spans = source.spans(request.trace_id)
        if request.span_id not in [span.span_id for span in spans]:
            return False
        if not set(WORK[request.route]) <= ours(span_flames(source, request).functions):
            return False
        prices = [source.span(PRICING, span.trace_id, span.span_id) for span in spans if span.service == PRICING]
        if request.route in PRICED and not any(ours(price.functions) for price in prices):
            return False
    return bool(ours(unsampled_flames(source).functions) and ours(source.flames(SERVICE, span_name="process ping").functions))


def verify_servers(checks, options):
    for what in (options.service + "/healthz", options.tempo + "/ready", options.pyroscope + "/ready"):
        evidence.wait_until(what, lambda url=what: evidence.answers(url), options.wait)
    source = evidence.Servers(options.tempo, options.pyroscope)
    requests = send_twenty(options.service)
    # Whatever has not come by then, the checks name.
    with contextlib.suppress(TimeoutError):
        evidence.wait_until("all is there", lambda: arrived(source, requests), options.wait, pause=2)
    for request in requests[:-1]:
        check_request(checks, source, request)
    check_rest(checks, source, requests)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--local", metavar="PROGRAM")
    parser.add_argument("--service")
    parser.add_argument("--tempo")
    parser.add_argument("--pyroscope")
    parser.add_argument("--wait", type=int, default=90, help="seconds for the servers to be ready and to have what was sent")
    options = parser.parse_args()
    if not options.local and not (options.service and options.tempo and options.pyroscope):
        parser.error("either --local, or --service, --tempo and --pyroscope")
    checks = Checks()
    try:
        verify_local(checks, options.local) if options.local else verify_servers(checks, options)
    except (AssertionError, OSError) as error:
        checks.that(False, str(error))
    print("all is as it must be" if checks.problems == 0 else f"{checks.problems} problems")
    return 1 if checks.problems else 0


if __name__ == "__main__":
    sys.exit(main())
