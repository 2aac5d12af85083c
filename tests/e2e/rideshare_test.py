#!/usr/bin/env python3
"""The ride-share example as it is started without containers, and whether its files agree with each other.

  rideshare_test.py files EXAMPLES_FOLDER          the files; needs docker-compose and PyYAML (Debian: python3-yaml)
  rideshare_test.py run EXAMPLES_FOLDER PROGRAMS   examples/rideshare/run, with load, for some seconds
"""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request


class Files:
    """examples/rideshare, parsed."""

    def __init__(self, examples):
        import yaml
        self.examples, self.folder = examples, os.path.join(examples, "rideshare")
        self.compose = yaml.safe_load(self.composed("config"))
        self.services = self.compose["services"]
        self.yaml = lambda *path: yaml.safe_load(self.text(*path))
        self.code = "".join(self.text("rideshare", name) for name in sorted(os.listdir(self.folder)) if name.endswith(".cc"))
        self.alloy = self.text("rideshare", "compose", "config.alloy")
        self.targets = [dict(re.findall(r'"(\w+)" = "([^"]+)"', line)) for line in self.alloy.splitlines() if "__address__" in line]

    def text(self, *path):
        with open(os.path.join(self.examples, *path), encoding="utf-8") as file:
            return file.read()

    def composed(self, *arguments):
        run = subprocess.run(["docker-compose", "-f", os.path.join(self.folder, "compose.yaml"), *arguments],
                             capture_output=True, text=True, check=False)
        if run.returncode != 0:
            sys.exit(f"rideshare_test: docker-compose {arguments}: {run.stderr}")
        return run.stdout


def check(good, what):
    if not good:
        sys.exit(f"rideshare_test: {what}")


def check_hardening(files):
    optional = {name: service["profiles"] for name, service in files.services.items() if "profiles" in service}
    check(optional == {"alloy": ["pull"]}, f"services that are not in the default profile: {optional}")
    for name, service in files.services.items():
        check(service.get("read_only") is True and service.get("cap_drop") == ["ALL"] and not service.get("privileged")
              and service.get("security_opt") == ["no-new-privileges:true"], f"{name} is not locked down")
        user = str(service.get("user", "0"))
        check(re.fullmatch(r"[1-9]\d*:\d+", user), f"{name} runs as {user}")
        check(re.fullmatch(r"rideshare:local|grafana/\w+:v?\d+\.\d+\.\d+", service["image"]), f"{name}: image {service['image']}")
        check(name == "load" or "healthcheck" in service, f"{name} has no health check")
        for port in service.get("ports", []):
            check(str(port).startswith("127.0.0.1:"), f"{name} is reachable from elsewhere: {port}")
        for volume in service.get("volumes", []):
            source, _, mode = str(volume).split(":")
            check(os.path.exists(source) and mode == "ro", f"{name}: volume {volume}")


def check_at(files, what, address, variable):
    """`address` is host:port of a service of ours that listens there by that variable."""
    host, port = address.split(":")
    check(host in files.services, f"{what}: no service {host}")
    check(files.services[host]["environment"][variable] == f"0.0.0.0:{port}", f"{what}: {host} does not listen on {port}")


def check_addresses(files):
    tempo = files.yaml("rideshare", "compose", "tempo.yaml")
    otlp = tempo["distributor"]["receivers"]["otlp"]["protocols"]["http"]["endpoint"].rsplit(":", 1)[1]
    for name, service in files.services.items():
        environment = service.get("environment", {})
        check(environment.get("OTEL_EXPORTER_OTLP_ENDPOINT") in (None, f"http://tempo:{otlp}"), f"{name}: where spans go")
        check(environment.get("PYROSCOPE_SERVER_ADDRESS") in (None, "http://pyroscope:4040"), f"{name}: where profiles go")
        for what in service.get("depends_on", {}):
            check("healthcheck" in files.services[what], f"{name} waits for the health of {what}, which has no check")
        if "PRICING_ADDRESS" in environment:
            check_at(files, f"{name}: pricing", environment["PRICING_ADDRESS"], "LISTEN_ADDRESS")
    for target in files.services["load"]["environment"]["LOAD_TARGETS"].split(","):
        check_at(files, "load", target, "LISTEN_ADDRESS")
    query = tempo["server"]["http_listen_port"]
    check([str(port).split('/')[0] for port in files.services["tempo"]["ports"]] == [f"127.0.0.1:{port}:{port}" for port in (query, otlp)], "tempo's ports")
    check('url = "http://pyroscope:4040"' in files.alloy, "where Alloy sends profiles")


def check_alloy(files):
    scraped = {target["__address__"].split(":")[0] for target in files.targets}
    check(scraped == {name for name, service in files.services.items() if "PPROF_ADDRESS" in service.get("environment", {})},
          f"Alloy scrapes {sorted(scraped)}")
    for target in files.targets:
        check_at(files, "config.alloy", target["__address__"], "PPROF_ADDRESS")
        service = files.services[target["__address__"].split(":")[0]]
        check(target["region"] == service["environment"]["REGION"], f"config.alloy: region {target}")
        name = "rideshare-pricing" if service.get("command") == ["pricing"] else "rideshare"
        check(target["service_name"] == name and f'"{name}"' in files.code, f"config.alloy: service_name {target}")
    settings = files.alloy.split("profiling_config", 1)[1]
    check(settings == files.text("pull", "config.alloy").split("profiling_config", 1)[1], "config.alloy differs from pull's")


def check_grafana(files):
    uids = set()
    for name, port in (("pyroscope", 4040), ("tempo", 3200)):
        ours = files.yaml("rideshare", "compose", "grafana", "provisioning", "datasources", name + ".yml")
        other = files.yaml("grafana", name + ".yml")
        check(ours["datasources"][0].pop("url") == f"http://{name}:{port}", f"data source {name}: url")
        other["datasources"][0].pop("url")
        check(ours == other, f"data source {name} is another one than examples/grafana/{name}.yml")
        uids.add(ours["datasources"][0]["uid"])
    traces = files.yaml("rideshare", "compose", "grafana", "provisioning", "datasources", "tempo.yml")["datasources"][0]
    check(traces["jsonData"]["tracesToProfiles"]["datasourceUid"] in uids, "tracesToProfiles: datasourceUid")
    # What README.md says of services without containers beside these servers.
    readme = files.text("rideshare", "README.md")
    for variable, service in (("OTEL_PROFILING_GRAFANA_URL", "grafana"), ("PYROSCOPE_SERVER_ADDRESS", "pyroscope"),
                              ("OTEL_EXPORTER_OTLP_ENDPOINT", "tempo")):
        port = re.search(rf"{variable}=http://127.0.0.1:(\d+)", readme).group(1)
        published = [str(one).split("/")[0] for one in files.services[service]["ports"]]
        check(f"127.0.0.1:{port}:{port}" in published, f"README.md: {variable}")
    check("pyroscope" in uids, "the data source that the page links to unless told otherwise")
    dashboard = json.loads(files.text("rideshare", "compose", "grafana", "dashboards", "rideshare.json"))
    targets = [target for panel in dashboard["panels"] for target in panel["targets"]]
    check(targets and {target["datasource"]["uid"] for target in targets} <= uids, "the dashboard's data sources")
    labels = {label for target in targets for label in target.get("groupBy", [])}
    for label in labels - {"span_name"}:  # that one is the library's
        check(f'{{"{label}", ' in files.code, f"the dashboard groups by {label}, which no profile has")
    for target in targets:
        check("profileTypeId" not in target or target["profileTypeId"] == traces["jsonData"]["tracesToProfiles"]["profileTypeId"],
              "the dashboard's profile type")
    provider = files.yaml("rideshare", "compose", "grafana", "provisioning", "dashboards", "rideshare.yml")["providers"][0]
    check(any(f":{provider['options']['path']}:" in str(volume) for volume in files.services["grafana"]["volumes"]),
          "the folder of dashboards")


def check_texts(files):
    readme, docker = files.text("rideshare", "README.md"), files.text("rideshare", "Dockerfile")
    run, page = files.text("rideshare", "run"), re.search(r'kLocalPage = "([^"]+)"', files.code).group(1)
    check(f"readonly kPage={page}\n" in run, "run and service.cc print different pages")
    for name in set(re.findall(r'Setting\(\s*"(\w+)"', files.code)) | set(re.findall(r"\$\{(\w+):-", run)):
        check(f"`{name}`" in readme, f"README.md does not name {name}")
    for route in re.findall(r'route\("(/[\w-]+)"', files.code):
        check(f"`{route}`" in readme, f"README.md does not name {route}")
    cmake = files.text("rideshare", "CMakeLists.txt")
    for program in ("rideshare_service", "rideshare_load"):
        check(f"add_executable({program} " in cmake and docker.count(program) >= 2, f"the Dockerfile and {program}")
    check(set(re.findall(r"^FROM (\S+)", docker, re.M)) == {"debian:12.11-slim"} and "USER 10001:10001" in docker, "Dockerfile")


def check_document(files):
    """The code of docs/pools-and-coroutines.md is that of the programs which are tested."""
    def lines(text):
        return [line.strip() for line in text.splitlines() if line.strip()]

    folder = os.path.join(files.examples, "handover")
    programs = [lines(files.text("handover", name)) for name in sorted(os.listdir(folder)) if name.endswith(".cc")]
    blocks = re.findall(r"```cpp\n(.*?)```", files.text("..", "docs", "pools-and-coroutines.md"), re.S)
    check(len(blocks) >= 5, "docs/pools-and-coroutines.md has no code")
    for block in map(lines, blocks):
        check(any(program[at:at + len(block)] == block for program in programs for at in range(len(program))),
              f"docs/pools-and-coroutines.md has code that no program has: {block[0]}")


def check_files(examples):
    files = Files(examples)
    for one in (check_hardening, check_addresses, check_alloy, check_grafana, check_texts, check_document):
        one(files)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    return ports


def check_run(examples, programs):
    """`run` starts everything, the load is answered, and Ctrl-C ends all of it."""
    service, pages, pricing, pricing_pages = free_ports(4)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYROSCOPE_"))}
    process = subprocess.Popen([os.path.join(examples, "rideshare", "run"), programs], stdout=subprocess.PIPE, text=True,
                               start_new_session=True, env={**inherited, "LISTEN_ADDRESS": service, "PPROF_ADDRESS": pages,
                                                            "PRICING_ADDRESS": pricing, "PRICING_PPROF_ADDRESS": pricing_pages})
    try:
        line = ""
        while not line.startswith("look at"):
            line = process.stdout.readline()
            check(line, "run ended before it was ready")
        with urllib.request.urlopen(line.split()[2], timeout=10) as page:
            check(page.status == 200, "the page that run prints")
        time.sleep(4)
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=100)
        load = re.search(r"^(\d+) requests answered, 0 failed$", rest, re.M)
        check(load and int(load.group(1)) >= 3, f"the load said: {rest}")
        for address in (service, pages, pricing, pricing_pages):
            with socket.socket() as one:
                host, port = address.split(":")
                check(one.connect_ex((host, int(port))) != 0, f"something still listens on {address}")
    finally:
        if process.poll() is None:
            process.terminate()  # ends what it started
            process.wait(30)


def main():
    if sys.argv[1] == "files":
        check_files(sys.argv[2])
    else:
        check_run(sys.argv[2], sys.argv[3])
    print("1 passed, 0 failed")


if __name__ == "__main__":
    main()
