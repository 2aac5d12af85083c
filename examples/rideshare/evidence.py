"""Where verify.py finds what a request left behind: in the processes themselves and the spans that they export (Local), or
in Tempo and Pyroscope (Servers). Both answer the same questions."""
import base64
import collections
import http.server
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/e2e/push"))
import pprof_file  # noqa: E402

CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
ZERO_ID = "0" * 16

# attributes: name to text or number
Span = collections.namedtuple("Span", "service trace_id span_id parent_id name attributes")
# functions: every function of the stacks; frames: pprof_file.Frame of each; cpu_ns: of all samples
Flames = collections.namedtuple("Flames", "functions frames cpu_ns")


def get(url, timeout=30, headers=None):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=timeout) as answer:
        return answer.read()


def wait_until(what, condition, seconds, pause=0.2):
    """What `condition` returns, once that is true."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(pause)


def answers(url):
    try:
        get(url, 5)
        return True
    except (urllib.error.URLError, OSError):
        return False


def field(entry, camel):
    """OTLP's JSON has lowerCamelCase names; the C++ exporter writes those of the .proto file unless told otherwise."""
    snake = "".join("_" + letter.lower() if letter.isupper() else letter for letter in camel)
    return entry.get(camel, entry.get(snake))


def hex_id(text, size):
    """OTLP's JSON has ids in hexadecimal, Tempo's in base64."""
    if not text:
        return ""
    return text.lower() if len(text) == 2 * size else base64.b64decode(text).hex()


def attributes_of(entry):
    found = {}
    for attribute in field(entry, "attributes") or []:
        value = attribute["value"]
        number = field(value, "intValue")
        found[attribute["key"]] = int(number) if number is not None else field(value, "stringValue")
    return found


def spans_of(trace):
    for resource in field(trace, "resourceSpans") or trace.get("batches") or []:
        service = attributes_of(resource.get("resource", {})).get("service.name")
        for scope in field(resource, "scopeSpans") or []:
            for span in scope["spans"]:
                parent = hex_id(field(span, "parentSpanId"), 8)
                yield Span(service, hex_id(field(span, "traceId"), 16), hex_id(field(span, "spanId"), 8),
                           "" if parent == ZERO_ID else parent, span["name"], attributes_of(span))


class Receiver:
    """Takes spans as Tempo would: OTLP/HTTP, in JSON."""

    def __init__(self):
        spans = self.spans = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                spans.extend(spans_of(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Local:
    """`pages`: service to the address of its /debug/pprof/. Its profile is taken while the requests run."""

    def __init__(self, receiver, pages):
        self.receiver, self.pages, self.samples = receiver, pages, {}

    def window(self, seconds, work):
        """Runs `work` while the profiles of the next `seconds` are taken. False: it took longer than the window."""
        def pull(service, url):
            self.samples[service] = pprof_file.samples(get(f"{url}profile?seconds={seconds}", seconds + 60))

        pulls = [threading.Thread(target=pull, args=page) for page in self.pages.items()]
        for one in pulls:
            one.start()
        time.sleep(0.5)  # the windows are open
        end = time.monotonic() + seconds - 1
        work()
        in_time = time.monotonic() < end
        for one in pulls:
            one.join()
        return in_time and len(self.samples) == len(self.pages)

    def spans(self, trace_id):
        return [span for span in self.receiver.spans if span.trace_id == trace_id]

    def flames(self, service, **labels):
        """Of the samples with these labels; an empty value: without that label."""
        return self._flames(service, lambda sample: all(sample.labels.get(key, "") == value for key, value in labels.items()))

    def _flames(self, service, wanted):
        found = [sample for sample in self.samples[service] if wanted(sample)]
        frames = [frame for sample in found for frame in sample.frames]
        return Flames({frame.function for frame in frames}, frames, sum(sample.values[1] for sample in found))

    def span(self, service, trace_id, span_id, **labels):
        return self.flames(service, span_id=span_id, trace_id=trace_id, **labels)

    def without_span(self, service):
        """What carries no span_name: work that nobody is told to have done."""
        return self.flames(service, span_name="")


class Servers:
    """Tempo and Pyroscope, by their public APIs."""

    def __init__(self, tempo, pyroscope):
        self.tempo, self.pyroscope = tempo, pyroscope
        self.start = int(time.time() * 1000) - 60_000

    def spans(self, trace_id):
        try:
            trace = json.loads(get(f"{self.tempo}/api/traces/{trace_id}", headers={"Accept": "application/json"}))
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise
        return list(spans_of(trace.get("trace", trace)))

    def _ask(self, method, **fields):
        fields = {"profileTypeID": CPU, "start": self.start, "end": int(time.time() * 1000) + 60_000, **fields}
        request = urllib.request.Request(f"{self.pyroscope}/querier.v1.QuerierService/{method}", json.dumps(fields).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def flames(self, service, trace_id="", **labels):
        """As Local.flames, but a server's selector has no span_id: a span is found by `span`."""
        selector = "".join(f', {name}="{value}"' for name, value in labels.items())
        which = {"traceIdSelector": [trace_id]} if trace_id else {}
        profile = self._ask("SelectMergeProfile", labelSelector=f'{{service_name="{service}"{selector}}}', **which)
        texts = profile.get("stringTable", [""])
        functions = {entry["id"]: (texts[int(entry.get("name", 0))], texts[int(entry.get("filename", 0))])
                     for entry in profile.get("function", [])}
        frames = [pprof_file.Frame(*functions[line["functionId"]], int(line.get("line", 0)))
                  for location in profile.get("location", []) for line in location.get("line", [])]
        cpu = sum(int(value) for sample in profile.get("sample", []) for value in sample["value"][:1])
        return Flames({frame.function for frame in frames}, frames, cpu)

    def span(self, service, trace_id, span_id, **labels):
        """What Grafana shows at the span, with the files and lines that the profile of its trace has."""
        graph = self._ask("SelectMergeSpanProfile", labelSelector=f'{{service_name="{service}"}}',
                          spanSelector=[span_id]).get("flamegraph", {})
        lines = self.flames(service, trace_id, **labels)
        names = set(graph.get("names", [])) - {"total"}
        return Flames(names, [frame for frame in lines.frames if frame.function in names], int(graph.get("total", 0)))
