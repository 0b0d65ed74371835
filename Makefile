# multicluster: `make demo` shows it, `make test` proves it, `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export CGO_ENABLED ?= 0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
STAMP    = -X main.version=$(VERSION)
GO      ?= go
BUILD   := $(GO) build -trimpath
TOOL    := $(GO) tool -modfile=tools/go.mod
# Counts the tests that are skipped. MCS_REQUIRE=root,packets,images (or "all") makes a test fail that is skipped for the lack of it.
TALLY   := $(GO) run ./test/need/tally
# The deadline is for a machine of two cores. What runs real programs is run anew each time (REAL), since Go's cache of
# results does not know of them; two packages at once, since most of their time they wait.
GOTEST  := $(GO) test -timeout 60m
TEST    := $(TALLY) $(GOTEST)
REAL    := $(TEST) -count=1 -p 2

##@ The two commands
.PHONY: demo test
demo: prerequisites build ## The walk-through on two real clusters (KEEP=1 leaves them up to play with)
	@$(GO) run ./test/demo $(if $(KEEP),-keep)

# Not $(MAKE), which `make -n` would run.
test: prerequisites ## All tests: unit, against real API servers, end to end with real packets; ends with how many were skipped
	@$(TALLY) -as "make test" make unit integration e2e

##@ Building
.PHONY: build image man clean
build: ## The programs, into bin/
	@mkdir -p bin
	$(BUILD) -ldflags '-s -w -X github.com/coredns/coredns/coremain.GitCommit=$(VERSION)' -o bin/coredns ./cmd/coredns
	$(BUILD) -ldflags '-s -w $(STAMP)' -o bin/ ./cmd/mcs-controller ./cmd/mcsctl

image: ## Container images, with docker, podman or buildah
	@deploy/image/build.sh

man: ## The man page of the plugin, from its README
	@cd plugin && { sed '1s/.*/# coredns-multicluster 7 "" CoreDNS "CoreDNS Plugins"/' README.md \
	  | $(GO) tool -modfile=../tools/go.mod go-md2man; echo ".\\\" Made by 'make man' from README.md $$(sha256sum <README.md)"; } >coredns-multicluster.7

clean: ## Remove what `make` made here (the compiled control plane stays in the user's cache)
	rm -rf bin dist

##@ Shorter loops
.PHONY: prerequisites control-plane unit integration e2e chaos guards race lint fuzz vulncheck presubmit manifests images images-arm64
prerequisites: ## Say what the machine lacks; as root on Debian, install it
	@test/node/prerequisites.sh

control-plane: ## Compile etcd, kube-apiserver, kube-controller-manager, kube-proxy and kubectl (once; cached)
	@$(GO) run ./test/controlplane/build

unit: ## Tests that need nothing but Go: seconds
	@pkgs=$$($(GO) list ./...) && $(TEST) $$(grep -v /test/ <<<"$$pkgs")

integration: control-plane ## Tests against real API servers
	$(REAL) ./test/controlplane/... ./test/integration/...

e2e: control-plane ## Tests with real pods, packets, kube-proxy and CoreDNS (root)
	$(REAL) ./test/programs/... ./test/node/... ./test/clusterset/... ./test/e2e/... ./test/chaos/...

chaos: control-plane ## Break three clusters at random while they are used (root; CHAOS="-seed 7 -faults 100")
	@$(GO) run ./test/chaos/run $(CHAOS)

guards: control-plane ## Take each guard of SPEC L and X out, and see that a test fails (GUARDS="-run L6")
	@$(GO) run ./test/guards $(GUARDS)

race: control-plane ## The tests of all that shares memory, and CoreDNS itself, under the race detector (needs a C compiler)
	$(TALLY) env CGO_ENABLED=1 $(GOTEST) -race ./plugin/... ./controller/... ./internal/... ./cmd/mcsctl/screen
	$(TALLY) env CGO_ENABLED=1 $(GOTEST) -count=1 -p 1 -race ./test/integration/clusters ./test/integration/fleet ./test/integration/dns

# The control plane's module is one file that calls Kubernetes: staticcheck would read all of that. -trimpath is how it is built.
lint: presubmit ## gofmt, vet, staticcheck and the rules of the house, in every module
	@out=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); test -z "$$out" || { echo "not gofmt'ed: $$out"; exit 1; }
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	$(GO) -C deploy/validate vet ./...
	cd deploy/validate && $(GO) tool -modfile=../../tools/go.mod staticcheck ./...
	$(GO) -C test/controlplane/binaries vet -trimpath ./...

manifests: control-plane ## Render deploy/ with kustomize and Helm, apply it to real API servers, run under its identities
	$(TALLY) $(GO) -C deploy/validate test -timeout 60m -count=1 -p 1 ./...

images: ## Build the container images with buildah, run them unpacked and ask them (root)
	@test/node/prerequisites.sh images
	$(REAL) -skip '^TestOtherPlatform$$' ./test/image

images-arm64: ## Build an image for another platform than this machine's: minutes (root)
	@test/node/prerequisites.sh images
	$(REAL) -run '^TestOtherPlatform$$' ./test/image

presubmit: ## The rules of the house, and the tests of the gates themselves
	$(TEST) -count=1 ./test/presubmit ./test/guards ./test/bench/drive ./test/need/... ./test/nightly

FUZZTIME ?= 1m
fuzz: ## Fuzz every parser for FUZZTIME each, from the inputs that earlier runs found (kept in Go's build cache)
	@failed=; n=0; for pkg in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -h '^func Fuzz' $$pkg/*_test.go | sed 's/func \(Fuzz[A-Za-z0-9_]*\).*/\1/'); do \
	    n=$$((n + 1)); echo "fuzzing $$pkg $$f for $(FUZZTIME)"; \
	    $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) $$pkg || failed="$$failed $$f"; done; done; \
	  echo "the inputs found are in $$($(GO) env GOCACHE)/fuzz"; \
	  test $$n -gt 0 || { echo "there is nothing to fuzz"; exit 1; }; \
	  test -z "$$failed" || { echo "failed:$$failed; commit the inputs, if any, that were written below testdata/fuzz"; exit 1; }

vulncheck: ## Known vulnerabilities in what is used (needs the vulnerability database)
	$(TOOL) govulncheck ./...

# What takes too long for each change, a target a word. CONTRIBUTING.md says what `make nightly` keeps from night to night.
NIGHTLY := demo images-arm64 bench bench-dns bench-latency bench-controller bench-withdrawal scale fuzz chaos guards
.PHONY: nightly
nightly: prerequisites ## What takes too long for each change, each target of it whatever becomes of the others: hours (root; NIGHTLY="fuzz chaos")
	@MCS_REQUIRE=all CHAOS=$${CHAOS--faults 100} $(GO) run ./test/nightly $(NIGHTLY)

##@ Measuring
.PHONY: bench bench-dns bench-latency bench-controller bench-withdrawal scale
bench: ## Go benchmarks of the hot paths, with allocations
	$(GO) test -run '^$$' -bench . -benchmem ./plugin/... ./controller/...

bench-dns: control-plane ## This CoreDNS beside the stock one: CPU per query, memory, start, changes, in one run
	$(GO) run ./test/bench/dns

bench-latency: control-plane ## How long a change takes to reach DNS, kube-proxy's rules and curl (root)
	$(GO) run ./test/bench/latency

bench-controller: control-plane ## The controller against a loop of the same writes, in one run
	$(GO) run ./test/bench/controller

bench-withdrawal: control-plane ## How long the endpoints of a dead provider stay, with 2,000 services
	$(GO) run ./test/bench/withdrawal

scale: control-plane ## What many clusters cost: one real consumer, 2 to 200 simulated providers (SCALE="-sizes 20x500")
	$(GO) run ./test/bench/scale $(SCALE)

##@ Help
.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n\033[1m%s\033[0m\n", substr($$0, 5)} /^[a-zA-Z0-9_-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST) \
	  | if [ -t 1 ]; then cat; else sed 's/\x1b\[[0-9;]*m//g'; fi; echo
