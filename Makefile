# What there is to do: `make help`. All of it needs only make and Python >= 3.11 with venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -q
LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header

.DEFAULT_GOAL := help
.PHONY: help run test check docs bench profile growth loadtest chaos chaos-mutants lock clean
.DELETE_ON_ERROR:

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

run: $(VENV)/.run ## start the whole service here, with its own PostgreSQL and Valkey; Ctrl-C stops it
	@exec $(BIN)/millstream up $(ARGS)

test: $(VENV)/.dev ## run the tests; ARGS="-k name" picks some, ARGS="-n 0" runs them one by one
	@exec $(BIN)/python -m pytest -n 4 --dist worksteal $(ARGS)

check: $(VENV)/.dev ## style, types, the direction of imports, generated documents
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m cli docs --check

docs: $(VENV)/.run ## write the documents that are generated from the code
	@$(BIN)/python -m cli docs

bench: $(VENV)/.dev ## measure on this machine
	@exec $(BIN)/python -m loadtest.bench $(ARGS)

profile: $(VENV)/.dev ## show where the CPU time of a job goes
	@exec $(BIN)/python -m loadtest.profile $(ARGS)

growth: $(VENV)/.dev ## measure what jobs cost as their number grows
	@exec $(BIN)/python -m loadtest.growth $(ARGS)

loadtest: $(VENV)/.run ## put load on the running service and check every job; ARGS="--rate 2000 --report load.html"
	@exec $(BIN)/python -m loadtest $(ARGS)

chaos: $(VENV)/.run ## break everything around the jobs for five minutes and check that none is lost
	@exec $(BIN)/python -m chaos $(ARGS)

chaos-mutants: $(VENV)/.run ## make the service wrong in many ways and see that the check finds each
	@exec $(BIN)/python -m chaos.mutants $(ARGS)

lock: $(VENV)/.dev ## choose the newest versions that fit and write them down
	@$(PIP) uv
	@$(LOCK) --upgrade --extra embedded --extra handlers --extra load -o constraints.txt pyproject.toml
	@$(LOCK) --upgrade --extra embedded --extra handlers --extra load --extra dev -c constraints.txt -o constraints-dev.txt pyproject.toml
	@$(LOCK) --upgrade --extra handlers -c constraints.txt -o constraints-image.txt pyproject.toml
	@echo 'hatchling>=1.27' | $(LOCK) --upgrade -o constraints-build.txt -

clean: ## remove the virtual environment and caches; jobs (.millstream, output) stay
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .bench .chaos
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The locked packages come first, each checked against its hashes, then the project itself: pip has no hash for a folder.
$(VENV)/.run: pyproject.toml constraints.txt $(VENV)/bin/python
	@echo "Installing millstream into $(VENV) ..."
	@$(PIP) --require-hashes -r constraints.txt
	@$(PIP) --no-deps -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run constraints-dev.txt
	@echo "Installing what tests and checks need ..."
	@$(PIP) --use-pep517 --require-hashes -r constraints-dev.txt
	@touch $@

$(VENV)/bin/python:
	@test -w . || { echo "This folder cannot be written to, and .venv belongs into it. Clone millstream into a folder of yours."; exit 1; }
	@command -v $(PYTHON) > /dev/null || { \
		echo "millstream needs Python 3.11 or newer, and there is no $(PYTHON) here. Name one: make run PYTHON=/path/to/python3"; \
		exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "millstream needs Python 3.11 or newer; this is `$(PYTHON) --version`. Name another: make run PYTHON=python3.12"; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
		echo "This Python lacks venv. On Debian and Ubuntu: apt install python3-venv. Or name another: make run PYTHON=..."; \
		exit 1; }
	@$(PYTHON) -m venv $(VENV)
