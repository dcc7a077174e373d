# The one language of continuous integration: what CI runs is `make lint` and `make test`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/target/tools/bin:$(PATH)

TARGET := x86_64-unknown-linux-gnu
EMBEDDED := target/embedded
SHIM := target/$(TARGET)/slim/shim

.PHONY: help up down build lint test soak bench advisories setup-% embedded

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

up: build ## install what is missing, build, start a single-node cluster
	target/release/coracle up

down: ## stop that cluster and its pods
	target/release/coracle down

build: setup-build embedded ## target/release/coracle
	cargo build --release -p coracle --bin coracle

lint: setup-lint ## format, clippy, tidy, licences
	cargo fmt --all --check
	cargo test --quiet -p xtask --test tidy
	cargo clippy --quiet --workspace --all-targets -- -D warnings
	cargo deny --log-level error check licenses bans sources

test: setup-test embedded ## every test of the test tier
	cargo test --workspace

bench: build setup-bench ## figures beside the budgets and peers; SECTIONS="api dns" measures only those
	cargo run --quiet --release -p bench -- $(SECTIONS)

soak: setup-test embedded ## the long tests: figures and rounds that do not fit `make test`
	CORACLE_OLDER="$$(scripts/older)" cargo test --release -p coracle --test survival -- --nocapture older
	cargo test --release --workspace -- --ignored --nocapture --test-threads=1

advisories: setup-lint ## known vulnerabilities in dependencies (fetches a database)
	cargo deny check advisories

setup-%:
	@scripts/setup $*

# The slim programs that the binary carries: static, so that they run in any root file system.
embedded:
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --quiet --profile slim --target $(TARGET) -p shim
	@mkdir -p $(EMBEDDED)
	@cmp -s $(SHIM) $(EMBEDDED)/shim || cp $(SHIM) $(EMBEDDED)/shim
