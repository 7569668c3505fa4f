# The two commands of this project are `make demo` and `make test`; each sets up what is missing.
# Nothing here names a package index: pip uses what the machine has configured.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup environment binaries demo up test bench fmt clean format-check lint types contracts dependencies unit integration e2e

help: ## Show what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1|/' | column -t -s '|'

setup: environment binaries ## Make the virtual environment and get the control plane's programs

environment:
	@PYTHON=$(PYTHON) tools/setup.sh

binaries: environment
	@$(BIN)/python -m tenantry.controlplane.binaries

demo: setup ## Show the main job, end to end, on the embedded control plane
	@$(BIN)/python tools/demo.py

up: setup ## Run the demo's platform in the foreground, until Ctrl-C
	@$(BIN)/python tools/up.py

bench: setup ## Measure speed and memory
	@$(BIN)/python -m bench

fmt: environment ## Format the code, mend what ruff can mend, write the generated pages and chart files anew
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@$(BIN)/python tools/write_reference.py
	@$(BIN)/python tools/chart.py

test: setup ## Run every check and test
	@tools/test.sh $(BIN)

clean: ## Remove the virtual environment and what tools cache; the programs in the user's cache stay
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
