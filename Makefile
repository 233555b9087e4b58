# Tasks for working on Spegel. `make help` lists them; docs/development.md says what each needs.

SWIFT ?= swift
# Keeps paths of the machine out of the program, so that the same sources make the same program anywhere. Each function has
# a section, so that the linker can put the functions of packaging/functions.order together.
RELEASE := SPEGEL_STATIC=1 $(SWIFT) build -c release --static-swift-stdlib --disable-local-rpath \
	-Xcc -ffile-prefix-map=$(CURDIR)=. -Xcc -ffunction-sections \
	-Xswiftc -file-prefix-map -Xswiftc $(CURDIR)=. -Xswiftc -Xfrontend -Xswiftc -function-sections
BINARY := .build/release/spegel

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the release binary, .build/release/spegel
	$(RELEASE) --product spegel

.PHONY: image
image: build ## Make the container image: an OCI layout in .build/image, and a tar archive
	@scripts/image

.PHONY: demo-program
demo-program:
	$(RELEASE) --product spegel-demo

.PHONY: demo
demo: ## Share an image between three nodes on loopback: no root, containerd or Kubernetes
	@scripts/demo

.PHONY: demo-containerd
demo-containerd: build ## The same with real containerd nodes and an upstream that goes away (root, Debian)
	@scripts/demo-containerd

.PHONY: docs
docs: ## Write the references of flags and metrics in docs/ from the program
	SPEGEL_WRITE_DOCS=1 $(SWIFT) test --filter DocumentationTests

.PHONY: test
test: ## Run everything that CI runs, from lint to the demo
	@scripts/test

.PHONY: test-unit
test-unit: ## Run unit and property tests; with a real containerd if one is installed
	@SWIFT="$(SWIFT)" scripts/test-unit

.PHONY: test-interop
test-interop: ## Test with nodes of go-libp2p and py-libp2p (Linux on x86-64)
	$(SWIFT) build --product interoperation-node
	$(SWIFT) build --product spegel
	@scripts/test-interoperation

.PHONY: test-e2e
test-e2e: build ## Test three containerd nodes in network namespaces (root, Debian)
	@scripts/test-e2e

.PHONY: test-browser
test-browser: build ## Test the page of a node in a headless Chromium (Debian)
	@scripts/test-browser

.PHONY: test-fuzz
test-fuzz: ## Feed every parser with a million mutated inputs (INPUTS=, SEED=, TARGETS=)
	$(RELEASE) --product spegel-fuzz
	.build/release/spegel-fuzz --inputs $(or $(INPUTS),1000000) $(if $(SEED),--seed $(SEED)) $(TARGETS)

.PHONY: fuzz
fuzz: ## Fuzz one parser, guided by coverage, for a minute (TARGET=); a build of its own
	@scripts/fuzz $(TARGET)

.PHONY: test-soak
test-soak: ## Run twelve nodes in one process under churn, ten minutes (DURATION=, SEED=)
	$(RELEASE) --product spegel-soak
	.build/release/spegel-soak --duration $(or $(DURATION),600) $(if $(SEED),--seed $(SEED))

.PHONY: test-load
test-load: build ## Run a thousand clients while nodes fail, ten minutes (DURATION=, SEED=; Python 3)
	@python3 -B Tests/Load/load.py --duration $(or $(DURATION),600) $(if $(SEED),--seed $(SEED))

.PHONY: test-formation
test-formation: build ## Test discovery by Kubernetes, DNS and HTTP, and the Helm chart (root, Debian)
	@scripts/test-formation

.PHONY: order-functions
order-functions: build ## Write packaging/functions.order: the functions of a node at work (valgrind)
	@scripts/order-functions

.PHONY: renew-chart
renew-chart: ## Write the table of the chart's README, and the snapshot of its rendering
	@scripts/renew-chart

.PHONY: bench
bench: build ## Measure a node beside nginx and HAProxy (SECTIONS=), then its parts
	@scripts/bench
	@$(MAKE) --no-print-directory bench-micro

.PHONY: bench-docs
bench-docs: build ## Write the results of the former into docs/performance.md
	@scripts/bench --docs

.PHONY: bench-discovery
bench-discovery: build ## Measure eight nodes with 10,000 blobs each: idle CPU, memory of records
	@scripts/bench-discovery

.PHONY: bench-micro
bench-micro: ## Measure the parts of a node beside references; a build of its own
	SPEGEL_BENCHMARKS=1 $(SWIFT) package --scratch-path .build-bench benchmark run --no-progress

.PHONY: bench-containerd
bench-containerd: build ## Measure a node beside a containerd with 20,000 pieces of content (root)
	@scripts/bench-containerd

.PHONY: sim
sim: ## Build .build/release/spegel-sim, which runs thousands of nodes in virtual time
	$(RELEASE) --product spegel-sim

.PHONY: lint
lint: lint-format lint-imports lint-words ## Check the format, the imports, and the words of texts

.PHONY: lint-format
lint-format:
	$(SWIFT) format lint --strict --recursive --parallel --configuration .swift-format Package.swift Sources Tests Fuzz Benchmarks

.PHONY: lint-imports
lint-imports: ## Find modules that are imported without being depended on (Python 3)
	@SWIFT="$(SWIFT)" scripts/lint-imports

.PHONY: lint-words
lint-words: ## Find words that the project does not use; count those of README (Python 3)
	@scripts/lint-words

.PHONY: format
format: ## Format all sources
	$(SWIFT) format --in-place --recursive --parallel --configuration .swift-format Package.swift Sources Tests Fuzz Benchmarks

.PHONY: clean
clean: ## Remove everything that was built
	rm -rf .build .cache
