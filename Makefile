# The commands of this repository; `make help` lists them. Each works in a clean clone and calls
# tools/setup first, which installs missing packages on Debian 12 and does nothing otherwise.

BUILD := build
JOBS ?= $(shell nproc)
# Seconds that `make check` gives each fuzz target, and `make demo` its program; minutes of `make soak`.
FUZZ_SECONDS ?= 60
DEMO_SECONDS ?= 10
MINUTES ?= 30
# Which tests of arm64 are emulated: those of what depends on the processor, or (ON, `make check`) all.
EMULATE_ALL := OFF
CONFIGURE = cmake --log-level=WARNING --preset
COMPILE = cmake --build --parallel $(JOBS) --preset

.PHONY: help
help:
	@echo 'make demo    run a traced program for ten seconds and show the CPU of its spans'
	@echo '             (with PYROSCOPE_SERVER_ADDRESS=http://host:4040 it pushes them there as well)'
	@echo 'make rideshare    start a traced service and load, and print where to look at them (examples/rideshare)'
	@echo 'make test    build and run all tests, also under the sanitizers and for arm64 under qemu; about 30 minutes'
	@echo 'make check   the long versions of the tests, and fuzzing: FUZZ_SECONDS=$(FUZZ_SECONDS) a target'
	@echo 'make bench   measure the costs; results in $(BUILD)/bench/results.json'
	@echo 'make bench-peers    the same work under this library, gperftools and Go, 6 minutes; results in $(BUILD)/bench/peers.json'
	@echo 'make load    put loads on the profiler and compare with the budgets, 6 minutes; results in $(BUILD)/bench/load.json'
	@echo 'make soak MINUTES=30    all loads in turn; fails if memory grows; results in $(BUILD)/bench/soak.json, soak.svg'
	@echo 'make test-pyroscope PYROSCOPE_URL=http://host:4040    the end-to-end checks against a real server, which keeps the data'
	@echo 'make clean   remove $(BUILD)/'

.PHONY: demo
demo:
	@tools/setup demo
	@$(CONFIGURE) release
	@$(COMPILE) release --target otelprof_demo otelprof_view_program
	@mkdir -p $(BUILD)/demo
	@$(BUILD)/release/examples/demo/otelprof_demo --seconds $(DEMO_SECONDS) --scope root \
	  --out $(BUILD)/demo/profile.pb.gz --summary $(BUILD)/demo/summary.json --spans $(BUILD)/demo/spans.json
	@printf 'the same to look at in a browser: '
	@$(BUILD)/release/tools/view/otel-profiling-view --spans $(BUILD)/demo/spans.json \
	  -o $(BUILD)/demo/profile.html $(BUILD)/demo/profile.pb.gz

.PHONY: rideshare
rideshare:
	@tools/setup demo
	@$(CONFIGURE) release
	@$(COMPILE) release --target rideshare_service rideshare_load
	@examples/rideshare/run $(BUILD)/release/examples/rideshare

# One ctest over all builds, so that one summary counts everything.
.PHONY: test
test: build-all
	@tools/run_tests $(BUILD) --label-exclude long

.PHONY: build-all
build-all:
	@tools/setup test
	@$(CONFIGURE) dev && $(COMPILE) dev
	@$(CONFIGURE) clang && $(COMPILE) clang
	@$(CONFIGURE) asan && $(COMPILE) asan
	@$(CONFIGURE) tsan && $(COMPILE) tsan
	@if tools/setup arm64; then $(CONFIGURE) arm64 -DOTEL_PROFILING_CPP_EMULATE_ALL=$(EMULATE_ALL) && $(COMPILE) arm64; \
	  else rm -rf $(BUILD)/arm64; echo 'arm64 is LEFT OUT: it cannot be built here, see above; the rest is tested without it'; fi

.PHONY: check
check:
	@tools/setup check
	@$(MAKE) --no-print-directory build-all EMULATE_ALL=ON
	@OTELPROF_LONG=1 tools/run_tests $(BUILD)
	@tools/tidy $(BUILD)/clang
	@$(CONFIGURE) fuzz && $(COMPILE) fuzz
	@tools/fuzz $(BUILD)/fuzz $(FUZZ_SECONDS)

.PHONY: bench
bench:
	@tools/setup bench
	@$(CONFIGURE) bench && $(COMPILE) bench
	@mkdir -p $(BUILD)/bench
	@tools/run_bench $(BUILD)/bench-build $(BUILD)/bench/results.json

.PHONY: bench-peers
bench-peers:
	@tools/setup peers
	@$(CONFIGURE) bench && $(COMPILE) bench --target peers_ours peers_gperftools bridge_bench
	@mkdir -p $(BUILD)/bench
	@tools/bench_peers $(BUILD)/bench-build $(BUILD)/bench/peers.json

.PHONY: load
load:
	@tools/setup bench
	@$(CONFIGURE) bench && $(COMPILE) bench --target load
	@mkdir -p $(BUILD)/bench
	@$(BUILD)/bench-build/bench/load/load --json $(BUILD)/bench/load.json

.PHONY: soak
soak:
	@tools/setup bench
	@$(CONFIGURE) bench && $(COMPILE) bench --target soak
	@mkdir -p $(BUILD)/bench
	@tools/soak $(BUILD)/bench-build/bench/load/soak $(MINUTES) $(BUILD)/bench

# The demo pushes to a real server of default limits, whose answers are compared with the demo's own profile; and the
# stand-in server's tests run against it, which shows that it judges as the real one.
.PHONY: test-pyroscope
test-pyroscope:
	@test -n "$(PYROSCOPE_URL)" || { echo 'which server? make test-pyroscope PYROSCOPE_URL=http://host:4040' >&2; exit 2; }
	@tools/setup test
	@$(CONFIGURE) dev && $(COMPILE) dev --target otelprof_demo pprofcheck
	@python3 -B tests/e2e/push/server_test.py $(BUILD)/dev/examples/demo/otelprof_demo \
	  $(BUILD)/dev/tests/pprofcheck/bin/pprofcheck $(BUILD)/dev/tests/e2e/push/server --url $(PYROSCOPE_URL)
	@cd tests/e2e/receiver && PYROSCOPE_URL=$(PYROSCOPE_URL) go test -count=1 -run 'Statuses|Queries' .

.PHONY: clean
clean:
	@rm -rf $(BUILD)
