# The few commands people type. CARGO_TARGET_DIR is respected.
SHELL := /bin/bash
.DEFAULT_GOAL := help
programs := tentaculo operator switch madre mock-provider vx11
target := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)

.PHONY: run test fuzz-api dist bench profile contracts try-local-model help

run: ## build the release and start everything in one process; Ctrl-C stops
	@command -v cargo >/dev/null || { echo "Rust is missing: install it from https://rustup.rs"; exit 1; }
	@command -v cc >/dev/null || { echo "a C compiler is missing: install gcc or clang (Debian: apt-get install gcc)"; exit 1; }
	cargo build --release --locked --package vx11
	@exec $(target)/release/vx11 up

test: ## everything: format, lints, unit and in-process tests, contracts, black-box tests
	@tests/run.sh

fuzz-api: ## send each service hundreds of requests a route, others each time, and compare what it answers with its document
	@tests/prepare.sh
	cargo build --locked --workspace --bins
	VX11_SCHEMATHESIS_EXAMPLES=$${EXAMPLES:-200} VX11_SCHEMATHESIS_SEED=$${SEED:-$$RANDOM} cargo test --locked --package vx11-tests --test blackbox openapi::

dist: ## build what images hold: optimised, by the profile in deploy/pgo
	RUSTFLAGS="-Cprofile-use=$(CURDIR)/deploy/pgo/vx11.profdata" cargo build --profile dist --locked $(addprefix --bin ,$(programs))

bench: ## load the optimised build: throughput, latency, CPU and memory, beside the bare provider and nginx
	@command -v nginx >/dev/null || { echo "nginx is missing (Debian: apt-get install nginx-light)"; exit 1; }
	@$(MAKE) --no-print-directory dist
	cargo build --profile dist --locked --bin bench
	@$(target)/dist/bench

profile: ## train the profile anew, after large changes (needs llvm-profdata)
	@deploy/pgo/train.sh

contracts: ## write proto-free-contracts/openapi, docs/errors.md and docs/*permissions.md anew
	cargo run --locked --package vx11 -- openapi proto-free-contracts/openapi
	UPDATE_DOCS=1 cargo test --locked --quiet --package vx11-contracts --lib catalogue
	UPDATE_DOCS=1 cargo test --locked --quiet --package vx11-operator --lib table_of_routes

try-local-model: ## chat with a real model on this machine (builds llama.cpp's server once)
	@deploy/try-local-model.sh

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18
