# Two commands are enough: "make demo" shows a workflow run, "make test" proves
# everything. Both do all set-up themselves; the rest is for people who work here.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The version in the binary comes from the tags; a tarball without git says "dev".
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -X tenon.version=$(VERSION)

# One place for what generates code.
GENERATE := go run -C tools/modelgen .

GOLANGCI_VERSION := v2.15.0
GOLANGCI := .cache/bin/golangci-lint-$(GOLANGCI_VERSION)

.PHONY: help build check test bench generate demo dist lint clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/tenon
	@go build -trimpath -buildvcs=false -ldflags "$(LDFLAGS)" -o bin/tenon ./cmd/tenon

check: ## before each commit: format, vet, laws of the house, short unit tests (under a minute when warm)
	@unformatted=$$(gofmt -l $$(find . \( -name .git -o -name .cache -o -name testdata \) -prune -o -name '*.go' -print)); \
	if [ -n "$$unformatted" ]; then echo "not gofmt'ed:"; echo "$$unformatted"; exit 1; fi
	@go vet ./...
	@go test ./internal/testkit/archtest
	@go test -short ./...

test: ## every test, with all set-up; prints minutes per lane
	@scripts/test

demo: ## set up, build, and run the example workflow to its end
	@scripts/prerequisites python
	@$(MAKE) --no-print-directory build
	./bin/tenon run examples/weather

bench: ## measure against the targets and the peer, in one run
	@scripts/prerequisites python
	@scripts/setup clients bench
	@$(MAKE) --no-print-directory build
	@bench/run

generate: ## regenerate the API model and the list of linked packages
	$(GENERATE)
	@if [ -d cmd/tenon ]; then \
	GOOS=linux GOARCH=amd64 CGO_ENABLED=0 go list -deps \
	-f '{{if .Module}}{{if not .Module.Main}}{{.ImportPath}}{{end}}{{end}}' ./cmd/tenon \
	| LC_ALL=C sort > docs/linked.txt; fi

dist: ## reproducible release archives with checksums, licences and SBOM
	@VERSION='$(VERSION)' LDFLAGS='$(LDFLAGS)' scripts/dist

# Kept out of check and test: building the linter alone takes minutes on two cores.
# The laws that matter most are in archtest, which takes a second.
lint: $(GOLANGCI) ## golangci-lint at its pinned version (built on first use)
	@$(GOLANGCI) run ./...

$(GOLANGCI):
	@GOBIN=$(CURDIR)/.cache/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	@mv .cache/bin/golangci-lint $@

clean: ## remove what was built; the caches stay
	@rm -rf bin dist
