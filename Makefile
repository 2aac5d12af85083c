# The commands of this repository; `make help` lists them. Each works in a clean clone and calls
# tools/setup first, which installs missing packages on Debian 12 and does nothing otherwise.

BUILD := build
JOBS ?= $(shell nproc)
# Seconds that `make check` gives each fuzz target, and `make demo` its program.
FUZZ_SECONDS ?= 60
DEMO_SECONDS ?= 10
CONFIGURE = cmake --log-level=WARNING --preset
COMPILE = cmake --build --parallel $(JOBS) --preset

.PHONY: help
help:
	@echo 'make demo    run a traced program for ten seconds and show the CPU of its spans'
	@echo 'make test    build and run all tests, also under the sanitizers; about 17 minutes'
	@echo 'make check   the long versions of the tests, and fuzzing: FUZZ_SECONDS=$(FUZZ_SECONDS) a target'
	@echo 'make bench   measure the costs; results in $(BUILD)/bench/results.json'
	@echo 'make clean   remove $(BUILD)/'

.PHONY: demo
demo:
	@tools/setup demo
	@$(CONFIGURE) release
	@$(COMPILE) release --target otelprof_demo
	@mkdir -p $(BUILD)/demo
	@$(BUILD)/release/examples/demo/otelprof_demo --seconds $(DEMO_SECONDS) --scope root \
	  --out $(BUILD)/demo/profile.pb.gz --summary $(BUILD)/demo/summary.json

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

.PHONY: check
check:
	@tools/setup check
	@$(MAKE) --no-print-directory build-all
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

.PHONY: clean
clean:
	@rm -rf $(BUILD)
