# Two commands do everything on a fresh machine: `make run` and `make test`. The others are their parts.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
SCENARIO ?= scenarios/quick.toml
OUT ?= results/$(basename $(notdir $(SCENARIO)))-$(shell date -u +%Y%m%dT%H%M%SZ)

.PHONY: help run test check lint docs bench deps media build fuzz image test-kube soak

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

run: deps media build ## install what is missing, build, measure the paper's five scenarios and LISP, print the table (some nine minutes)
	target/release/xrbench run $(SCENARIO) --out $(OUT)

test: deps media ## every test: units, properties, whole processes
	$(CARGO) test --locked --workspace --no-fail-fast

check: lint docs ## formatting, lints, documentation; the fuzz targets build

lint: deps
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

docs: deps
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --locked --workspace --no-deps --document-private-items --quiet
	$(CARGO) check --locked --manifest-path fuzz/Cargo.toml --target-dir target --quiet

bench: deps media build ## performance bounds, with their figures; wants a quiet machine
	scripts/bench.sh

fuzz: ## every fuzz target for a minute each (instrumented by the toolchain that is there)
	scripts/fuzz.sh

deps: ## install what is missing from Debian
	@scripts/deps.sh

media: ## fetch the test video and check it
	@scripts/media.sh

build: ## optimised programs in target/release
	$(CARGO) build --locked --release --workspace --bins

image: ## the images of the programs, with sizes, archives and bills of materials in target/images
	scripts/image.sh

test-kube: deps build ## images and manifests on two real clusters of this machine, which are started and taken down
	scripts/test-kube.sh

soak: deps media ## a thousand SIGKILLs over every program: nothing recorded is lost; half an hour (XR_SOAK_KILLS, XR_SOAK_SEED)
	XR_SOAK_KILLS=$${XR_SOAK_KILLS:-1000} $(CARGO) test --locked --workspace --test it soak -- --nocapture
