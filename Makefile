# A thin front: each target is one command that also works by hand. CMake does the building.

PREFIX  ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60
SOAK_REQUESTS ?= 1000000

.DEFAULT_GOAL := build
.PHONY: help build run test lint fuzz soak bench install clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

build: ## the optimised program: build/release/sallyport
	@tools/setup.sh build
	@tools/build.sh release

run: ## build it, make certificates, start a demo backend and the proxy
	@tools/setup.sh run
	@tools/build.sh release
	@tools/run.sh

test: ## everything: unit, end to end, sanitizers, corpus replay
	@tools/setup.sh test
	@tools/test.sh

lint: ## format, layers, clang-tidy, cppcheck, both compilers
	@tools/setup.sh lint
	@tools/check.sh

fuzz: ## each fuzzer for FUZZ_SECONDS
	@tools/setup.sh fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tools/fuzz.sh

soak: ## SOAK_REQUESTS mixed requests through the proxy to nginx
	@tools/setup.sh soak
	@tools/build.sh release
	@/usr/bin/python3 tests/e2e/soak.py --requests $(SOAK_REQUESTS)

bench: ## beside nginx, haproxy and others: docs/benchmarks.md (about three hours)
	@tools/setup.sh bench
	@bench/run

install: build ## into DESTDIR and PREFIX
	@DESTDIR="$(DESTDIR)" cmake --install build/release --prefix "$(PREFIX)"

clean: ## remove what was built
	rm -rf build
