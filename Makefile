PYTHON ?= python3
PY := .venv/bin/python
export PYTHONPATH := $(CURDIR):$(CURDIR)/libs
SET_UP := $(PYTHON) deploy/local/set_up.py

.DEFAULT_GOAL := help
.PHONY: help setup triton demo test test-all lint fmt protos schema bench lock install clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what the services need and generate the stubs
	@$(SET_UP) main

triton: ## Install Triton from its wheel
	@$(SET_UP) triton

demo: ## Set everything up and render the example film
	@$(SET_UP) main triton
	@bin/continuity demo

test: ## Set everything up and run the tests
	@$(SET_UP) main triton
	$(PY) -m pytest -q -n auto --dist loadfile $(TEST_ARGS)

lint: ## Check style, types, room rules and protos
	@$(SET_UP) main buf
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-cache
	$(PY) protos/generate.py --image .buf-image.binpb
	.buf/node_modules/.bin/buf lint .buf-image.binpb --config protos/buf.yaml

fmt: ## Format the code
	@$(SET_UP) main
	$(PY) -m ruff check --fix-only -q .
	$(PY) -m ruff format .

protos: ## Generate the protobuf stubs
	@$(SET_UP) stubs

bench: ## Measure, print a table, write docs/benchmarks
	@$(SET_UP) main triton
	$(PY) -m tests.bench $(BENCH_ARGS)

lock: ## Make the lock files anew from requirements/*.in
	@$(SET_UP) lock

install: ## Link the command into ~/.local/bin
	@$(SET_UP) main triton
	@mkdir -p $(HOME)/.local/bin && ln -sf $(CURDIR)/bin/continuity $(HOME)/.local/bin/continuity
	@echo "installed $(HOME)/.local/bin/continuity"

clean: ## Remove what was built here; downloads stay under ~/.cache/continuity
	rm -rf .venv .venv-triton .triton .buf .buf-image.binpb libs/continuity/api libs/buf out dist build
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
