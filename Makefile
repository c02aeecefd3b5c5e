# `make run` serves routes.yaml, `make test` checks everything. Both install what they need on Debian.

FILE ?= routes.yaml
RELEASE = -c release --product sluice --static-swift-stdlib -Xswiftc -cross-module-optimization
SLUICE = .build/release/sluice
RUNS ?= 5
SECONDS ?= 3
ONLY ?=

.PHONY: run build test lint format unit fuzz validate reference interop bench clean help need-build need-test need-bench

help:
	@echo "make run     install what is missing, build, serve $(FILE)"
	@echo "make test    everything: lint, unit tests, examples, interop, conformance"
	@echo "make build   the release binary, $(SLUICE)"
	@echo "make fuzz    the readers of foreign bytes under libFuzzer, a minute each (SECONDS=600 ONLY=\"json resp\")"
	@echo "make bench   a comparison with other servers, some 20 minutes (RUNS=5 SECONDS=3 ONLY=echo)"
	@echo "make format  lay out the sources as .swift-format says"
	@echo "make reference  write the tables of keys and codes in docs/reference.md, from Sources/GatewayConfig/Keys and Sources/Sessions/Refusals"
	@echo "make clean   remove what was built"

run: build
	$(SLUICE) serve $(FILE)

build: need-build
	swift build $(RELEASE)

test: need-build need-test
	Tests/run.sh

lint:
	swift format lint --strict --recursive --parallel Package.swift Sources Tests
	python3 Tests/imports.py

format:
	swift format format --in-place --recursive --parallel Package.swift Sources Tests

unit: need-build
	swift test --disable-xctest

# SECONDS has another default for make bench.
fuzz: SECONDS = 60
fuzz: need-build
	Tests/Fuzz/run.sh $(SECONDS) $(ONLY)

validate: build
	for file in routes.yaml examples/*/routes.yaml; do $(SLUICE) validate --strict $$file || exit 1; done

reference: build
	python3 Tests/Interop/reference.py

interop: build need-test
	Tests/Interop/run.sh

bench: build need-bench
	Tests/Bench/run.sh --runs $(RUNS) --seconds $(SECONDS) --only "$(ONLY)" $(BENCH)

clean:
	swift package clean
	rm -rf .build/interop .build/bench

need-build:
	@Tests/need.sh libssl-dev libyaml-dev pkg-config zlib1g-dev

need-test:
	@Tests/need.sh chromium curl haproxy nginx openssl postgresql pushpin python3-venv redis-server

need-bench:
	@Tests/need.sh libnginx-mod-nchan libuv1 nginx openssl python3-venv redis-server util-linux
