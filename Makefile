PYTHON ?= python3
PY := .venv/bin/python
export PYTHONPATH := $(CURDIR):$(CURDIR)/libs
REPLICAS ?= 2
SET_UP := $(PYTHON) -m deploy.local.set_up

.DEFAULT_GOAL := help
.PHONY: help setup triton demo test test-infra test-engine lint fmt protos asyncapi bench lock install clean
.PHONY: bench-gpu chaos infra-up infra-down infra-status up-distributed down-distributed

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what the services need and generate the stubs
	@$(SET_UP) main

triton: ## Install Triton from its wheel
	@$(SET_UP) triton

demo: ## Set everything up and render the example film
	@$(SET_UP) main triton
	@bin/continuity demo

test: ## Set everything up and run the tests that need no servers
	@$(SET_UP) main triton
	$(PY) -m pytest -q -n auto --dist loadfile -m "not infra and not engine" --ignore tests/engine $(TEST_ARGS)

test-infra: ## Run the tests against real Kafka, MinIO and a MongoDB stand-in
	@$(SET_UP) main triton infra proxy
	$(PY) -m pytest -q -m infra --ignore tests/engine $(TEST_ARGS)

test-engine: ## Run the diffusion engine's tests; installs torch with CUDA's libraries, 6 GB, the first time
	@$(SET_UP) main triton engine-tests
	.venv-engine-dev/bin/python -m pytest -q -n 2 --dist loadfile -c tests/engine/pytest.ini $(TEST_ARGS) tests/engine
	$(PY) -m pytest -q -m engine --ignore tests/engine $(TEST_ARGS)

lint: ## Check style, types, room rules, protos and the AsyncAPI document
	@$(SET_UP) main buf
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports --no-cache
	$(PY) protos/generate.py --image .buf-image.binpb
	.buf/node_modules/.bin/buf lint .buf-image.binpb --config protos/buf.yaml
	$(PY) -m deploy.local.asyncapi_schema

fmt: ## Format the code
	@$(SET_UP) main
	$(PY) -m ruff check --fix-only -q .
	$(PY) -m ruff format .

protos: ## Generate the protobuf stubs
	@$(SET_UP) stubs

bench: ## Measure, print a table, write docs/benchmarks
	@$(SET_UP) main triton infra bench engine
	$(PY) -m tests.bench $(BENCH_ARGS)

bench-gpu: ## Measure SDXL at full size with random weights on this machine's GPU (BENCH_PYTHON has torch and diffusers)
	@test -n "$(BENCH_PYTHON)" || $(SET_UP) main triton engine
	$(or $(BENCH_PYTHON),.venv-engine/bin/python) -m tests.bench.gpu $(BENCH_ARGS)

chaos: ## Kill, cut and fill whatever there is while 2,000 shots are rendered, then check that nothing is lost
	@$(SET_UP) main triton infra proxy
	@$(PY) -m tests.chaos $(CHAOS_ARGS)

infra-up: ## Start Kafka, MinIO and a MongoDB stand-in, without Docker
	@$(SET_UP) main infra
	@$(PY) -m deploy.local.infra up

infra-down: ## Stop them; their data stay
	@$(PY) -m deploy.local.infra down

infra-status: ## Say which of them runs where
	@$(PY) -m deploy.local.infra status

up-distributed: ## Run every service as processes of its own (REPLICAS=2), behind one address
	@$(SET_UP) main triton infra proxy
	@CONTINUITY_DISTRIBUTED_REPLICAS=$(REPLICAS) $(PY) -m deploy.local.supervisor up

down-distributed: ## Drain and end them; the servers go on
	@$(PY) -m deploy.local.supervisor down

asyncapi: protos ## Write docs/asyncapi.yaml from the topics and the protos
	$(PY) -m continuity.messaging.asyncapi

lock: ## Make the lock files anew from requirements/*.in
	@$(SET_UP) lock

install: ## Link the command into ~/.local/bin
	@$(SET_UP) main triton
	@mkdir -p $(HOME)/.local/bin && ln -sf $(CURDIR)/bin/continuity $(HOME)/.local/bin/continuity
	@echo "installed $(HOME)/.local/bin/continuity"

clean: ## Remove what was built here; downloads stay under ~/.cache/continuity
	rm -rf .venv .venv-bench .venv-engine .venv-engine-dev .venv-triton .triton .buf .buf-image.binpb libs/continuity/api libs/buf out dist build
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
