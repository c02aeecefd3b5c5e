# `make run` serves routes.yaml, `make test` checks everything. Both install what they need on Debian.

FILE ?= routes.yaml
RELEASE = -c release --product sluice --static-swift-stdlib -Xswiftc -cross-module-optimization
SLUICE = .build/release/sluice
RUNS ?= 5
SECONDS ?= 3
ONLY ?=

.PHONY: run build test lint format unit fuzz validate reference interop bench deb clean help need-build need-deb need-test need-bench

help:
	@echo "make run     install what is missing, build, serve $(FILE)"
	@echo "make test    everything: lint, unit tests, examples, interop, conformance"
	@echo "make build   the release binary, $(SLUICE)"
	@echo "make fuzz    the readers of foreign bytes under libFuzzer, a minute each (SECONDS=600 ONLY=\"json resp\")"
	@echo "make bench   a comparison with other servers, some 20 minutes (RUNS=5 SECONDS=3 ONLY=echo)"
	@echo "make deb     a Debian package, .build/deb/sluice_*.deb"
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
	cd examples/environments && ../../$(SLUICE) validate --strict routes.yaml -f production.yaml -f staging.yaml

reference: build
	python3 Tests/Interop/reference.py

interop: build need-test
	Tests/Interop/run.sh

bench: build need-bench
	Tests/Bench/run.sh --runs $(RUNS) --seconds $(SECONDS) --only "$(ONLY)" $(BENCH)

# Debian's package of the program, with its unit and its manual pages: .build/deb/sluice_*.deb.
# Without `clean`, what an earlier one has left would be packed again, whatever has changed since.
deb: need-build need-deb
	debian/rules clean binary

clean:
	swift package clean
	rm -rf .build/interop .build/bench

need-build:
	@Tests/need.sh libssl-dev libyaml-dev pkg-config zlib1g-dev

need-deb:
	@Tests/need.sh debhelper dpkg-dev

need-test:
	@Tests/need.sh chromium curl haproxy nginx openssl postgresql pushpin python3-venv redis-server systemd

need-bench:
	@Tests/need.sh libnginx-mod-nchan libuv1 nginx openssl python3-venv redis-server util-linux
