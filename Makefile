# Two commands do everything: `make up` starts a daemon that answers, `make test` tests it.
GO      ?= go
TOOL    := $(GO) tool -modfile=tools/go.mod
STATE   ?=
LISTEN  ?= 127.0.0.1:4766
# SQLite's full-text search carries the memory of agents.
# make build TAGS=gitleaks adds hints at secrets that nobody stored (ADR 13).
TAGS    ?=
comma   := ,
export GOFLAGS := $(GOFLAGS) -tags=sqlite_fts5$(addprefix $(comma),$(TAGS))
GOSKILLS := calendar feed json notes webpage
FUZZTIME ?= 20s
# Tests see loopback only, where the user may create a network namespace.
NETNS   := $(shell [ "$$(id -u)" = 0 ] && unshare -n ip link set lo up 2>/dev/null && echo "unshare -n sh -c 'ip link set lo up; exec \"\$$@\"' sh")

.PHONY: up build skills sign test race fuzz lint vuln bench sabotage check contain clean help

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

check: ## name what this machine lacks
	@command -v $(GO) >/dev/null || { echo "error: Go 1.26 or later is missing"; echo "hint: see https://go.dev/doc/install"; exit 1; }
	@command -v gcc >/dev/null || command -v cc >/dev/null || { echo "error: a C compiler is missing (SQLite needs one)"; echo "hint: apt-get install -y gcc libc6-dev"; exit 1; }
	@command -v bwrap >/dev/null || echo "note: bwrap is absent: modules are compiled under resource limits alone (apt-get install -y bubblewrap)" >&2

build: check ## build bin/glovebox, bin/glovebox-box, which starts boxes faster, and bin/glovebox-relay, which runs in them
	CGO_ENABLED=1 $(GO) build -trimpath -o bin/glovebox ./cmd/glovebox
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/glovebox-box ./sandbox/enter
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o bin/glovebox-relay ./broker/relay

skills: build ## build the Go example skills (the others are checked in)
	@for s in $(GOSKILLS); do bin/glovebox skill build examples/$$s || exit $$?; done

sign: skills ## sign the examples with the key of this machine: the daemon loads nothing else
	@for m in examples/*/skill.manifest.json; do \
	  out=$$(bin/glovebox skill sign $(if $(STATE),--state $(STATE)) $${m%/*} 2>&1) || { echo "$$out" >&2; exit 1; }; done

up: sign ## build, sign, then start the daemon with a demo agent that answers without any key
	bin/glovebox up --config examples/demo.yaml --listen $(LISTEN) $(if $(STATE),--state $(STATE))

test: skills ## vet and test everything, with loopback as the only network
	$(GO) mod download
	cd examples && $(GO) mod download
	$(GO) vet ./...
	$(NETNS) $(GO) test -shuffle=on ./...
	$(NETNS) $(GO) test -shuffle=on -tags=sqlite_fts5,gitleaks ./internal/leaks
	$(NETNS) $(GO) test -tags=sqlite_fts5,gitleaks -run '^TestUnknownSecret' ./host
	cd examples && $(NETNS) $(GO) test -shuffle=on ./...

race: skills ## the same under the race detector
	$(NETNS) $(GO) test -race -shuffle=on ./...

fuzz: ## run every fuzz target for FUZZTIME
	@for pkg in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9_]*' $$pkg/*_test.go | cut -c6- | sort -u); do \
	    echo "== $$pkg $$f"; (cd $$pkg && $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime=10x .) || exit $$?; \
	  done; done

lint: ## vet, staticcheck and the architecture test
	$(GO) vet ./...
	$(TOOL) staticcheck ./...
	$(GO) test ./internal/arch

vuln: ## govulncheck against a local copy of the Go vulnerability database (VULNDB=DIR)
	@if [ -z "$(VULNDB)" ]; then echo "skipped: set VULNDB to a directory made by golang/vulndb's indexdb"; \
	else $(TOOL) govulncheck -db file://$(abspath $(VULNDB)) ./...; fi

bench: skills ## print ratios against a peer in the same run; writes build/bench.json
	@mkdir -p build
	$(GO) run ./internal/bench -glovebox bin/glovebox -out build/bench.json

sabotage: ## remove each control in turn; its test must go red (RUN=pattern for some)
	$(GO) run ./internal/sabotage -run '$(RUN)'

contain: ## attack every part and print what got through; CONTAIN_DATA=DIR adds AgentDojo; writes build/contain.json
	@mkdir -p build
	$(NETNS) $(GO) run ./internal/contain/run -out build/contain.json -source "$$($(GO) env GOROOT)/src" $(if $(CONTAIN_DATA),-data $(CONTAIN_DATA))

oracle: check ## compare our advisories with osv-scanner's, minutes; CONTAIN_DATA=DIR adds the Go database
	cd skills/advisory/testdata/oracle && $(if $(CONTAIN_DATA),CONTAIN_DATA=$(abspath $(CONTAIN_DATA))) $(GO) test -count=1 -timeout 30m ./...

clean: ## remove what was built
	rm -rf bin build
