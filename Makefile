# The tasks of a person who works on Spegel. `make help` lists them.

SWIFT ?= swift
RELEASE := $(SWIFT) build -c release --static-swift-stdlib
BINARY := .build/release/spegel

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the release binary, .build/release/spegel
	$(RELEASE) --product spegel

.PHONY: demo
demo: ## Three nodes on loopback share an image: no root, no containerd, no Kubernetes
	@scripts/demo

.PHONY: test
test: ## Everything that CI runs: lint, unit tests, end-to-end tests
	@scripts/test

.PHONY: test-unit
test-unit: ## Unit and property tests, and the tests against a real containerd where it is installed
	$(SWIFT) test --no-parallel

.PHONY: test-e2e
test-e2e: build ## Three containerd nodes in network namespaces (root, Debian)
	@scripts/test-e2e

.PHONY: bench
bench: build ## Measure a node: size, memory, start, throughput
	@scripts/bench

.PHONY: sim
sim: ## Build .build/release/spegel-sim, which runs thousands of nodes in virtual time
	$(RELEASE) --product spegel-sim

.PHONY: lint
lint: ## Check the format
	$(SWIFT) format lint --strict --recursive --parallel --configuration .swift-format Package.swift Sources Tests

.PHONY: format
format: ## Bring all sources into the format
	$(SWIFT) format --in-place --recursive --parallel --configuration .swift-format Package.swift Sources Tests

.PHONY: clean
clean: ## Remove all that was built
	rm -rf .build .cache
