# Everything a person or the CI does. `make demo` and `make test` need only python3 (3.11 or 3.12) and make;
# `make check` and `make integration` run on 3.13 too.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
# Lambda's runtimes that the template allows. Of the example's image (scikit-learn 1.4.2, pyarrow 17) there are no
# wheels for 3.13, so jobs of the local cloud need 3.11 or 3.12.
PYTHON ?= $(firstword $(shell command -v python3.11 || command -v python3.12 || command -v python3))
PY := .venv/bin/python
UV := .venv/bin/uv
PACKAGES := grep -c ==
IS_TOO_NEW := import sys; sys.exit(sys.version_info < (3, 13))
# What a set-up has chosen, or would choose.
CHOSEN = $(or $(wildcard $(PY)),$(PYTHON))
CORES ?= $(shell nproc)
# Contract and end-to-end tests wait for much of their time; each worker has its own local cloud.
CLOUDS ?= $(shell expr $(CORES) + 1)
# Whole files, in the order that tests/conftest.py puts them in.
BY_FILE := --dist loadfile --no-loadscope-reorder
OFFLINE := --disable-socket --allow-unix-socket
export SAM_CLI_TELEMETRY := 0
# Else each worker and each server of the local cloud would compile all modules, and pytest rewrite all tests.
unexport PYTHONDONTWRITEBYTECODE

# Folders with Python; a user's own projects beside them are none of lint's business.
CODE := layers functions local cli tests benchmarks examples
.PHONY: help setup image fitting-python demo up down check test lint format types unit properties integration contract conform e2e thorough environments clients coverage build bench lock clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## Make the environments from the lock files (the first time takes a minute).

.venv/.ready: $(wildcard requirements/*.txt) pyproject.toml
	@echo "setting up .venv from the lock files: a minute or two the first time, by an index such as PyPI; seconds after a change"
	@mkdir -p .venv && date +%s > .venv/.began
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12), (3, 13)))' || \
	  { echo "Sluice needs Python 3.11, 3.12 or 3.13; $(or $(PYTHON),python3) is `"$(PYTHON)" --version 2>/dev/null || echo "not there"`. Name another: make PYTHON=..."; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "$(PYTHON) makes no virtual environments: on Debian and Ubuntu install python3-venv"; exit 1; }
	@test -x $(UV) || echo "  pip and uv ..."
	@test -x $(UV) || $(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@cp $(UV) .venv/uv && for env in lambda sam data; do \
	  echo "  packages for $$env: `$(PACKAGES) requirements/$$env.txt` ..."; \
	  test -x .venv/envs/$$env/bin/python || .venv/uv venv --quiet --python $(PY) .venv/envs/$$env; \
	  .venv/uv pip sync --quiet --compile-bytecode --python .venv/envs/$$env requirements/$$env.txt || exit 1; \
	done
	@echo "  packages for the command, the local cloud and tests: `$(PACKAGES) requirements/dev.txt` ..."
	@.venv/uv pip sync --quiet --compile-bytecode --python .venv requirements/dev.txt
	@.venv/uv pip install --quiet --python .venv --no-deps --no-build-isolation --editable .
	@echo "  data for the example ..."
	@.venv/envs/data/bin/python examples/reviews/get_data.py --out .sluice/data/reviews
	@if ! $(PY) -c '$(IS_TOO_NEW)'; then \
	  echo "  what the examples' jobs run in, scikit-learn and xgboost ..."; \
	  $(PY) -m sluice_local.sagemaker.containers.prebuild sagemaker-scikit-learn:1.4-2-cpu-py3 examples/reviews/src/requirements.txt; \
	  $(PY) -m sluice_local.sagemaker.containers.prebuild sagemaker-xgboost:3.2-0; \
	fi
	@echo "set up in $$((`date +%s` - `cat .venv/.began`)) s"
	@touch $@

image: fitting-python setup

# Before set-up, which takes a minute or two.
fitting-python:
	@! "$(CHOSEN)" -c '$(IS_TOO_NEW)' 2>/dev/null || \
	  { echo "The example's image has no wheels for `"$(CHOSEN)" --version`: $(if $(wildcard $(PY)),make clean && )make PYTHON=python3.12"; exit 1; }

demo: image ## Play the whole loop on this machine: upload, retrain, approve, deploy, alarm, rollback.
	@.venv/bin/sluice demo $(ARGS)

up: setup ## Start the local cloud with its saved state, and deploy the template to it.
	@.venv/bin/sluice up

down: ## Stop the local cloud; its state is kept.
	@test ! -x .venv/bin/sluice || .venv/bin/sluice down

check: setup ## Run lint, types and unit, while you change something: a minute on two cores.
	@$(MAKE) --no-print-directory --jobs=$(CORES) --output-sync=target lint types
	@$(MAKE) --no-print-directory unit

test: check properties integration contract e2e ## What must always hold; `make clients` and `make thorough` play the rest.

lint: setup .venv/.template ## Check style, direction of imports, and the template.
	$(PY) -m ruff check $(CODE)
	$(PY) -m ruff format --check $(CODE)
	.venv/bin/lint-imports --no-logo

# The template's linters take most of lint's time: they run again when what they read has changed.
.venv/.template: template.yaml samconfig.toml $(wildcard statemachines/*) .venv/.ready
	@# W1100: YAML merges need the package command, which sam deploy is.
	.venv/bin/cfn-lint --ignore-checks W1100 -- template.yaml
	.venv/envs/sam/bin/sam validate --region us-east-1
	@touch $@

format: setup ## Rewrite the code in the house style.
	$(PY) -m ruff check --fix $(CODE)
	$(PY) -m ruff format $(CODE)

types: setup ## mypy --strict.
	$(PY) -m mypy

unit: setup ## Domain and handlers, in seconds, with sockets blocked.
	$(PY) -m pytest tests/unit $(OFFLINE) -q -n $(CORES) --dist worksteal

properties: setup ## The unit tests that hypothesis makes examples for, with all of these.
	$(PY) -m pytest tests/unit -m hypothesis --hypothesis-profile=all $(OFFLINE) -q -n $(CORES) --dist worksteal

integration: setup ## The engine, adapters against moto, state machines and template against their rules.
	$(PY) -m pytest tests/integration --hypothesis-profile=all $(OFFLINE) -q -n $(CORES) --dist worksteal

contract: image ## The local cloud against statements about AWS.
	$(PY) -m pytest tests/local -q -n $(CLOUDS) $(BY_FILE) -m "not thorough"

conform: setup ## Ask ENDPOINT (a URL, or "aws" for the account at hand) what the contract tests say of AWS.
	@test -n "$(ENDPOINT)" || { echo 'name an endpoint: make conform ENDPOINT=aws, or the URL of a cloud'; exit 1; }
	@echo "$(ENDPOINT) is asked some fifty requests, which read or are refused: they make nothing, and AWS bills none of them"
	$(PY) -m pytest tests/local -q -n 0 -m conform --endpoint $(ENDPOINT)

e2e: image ## The deployed stack on the local cloud, through public interfaces only.
	$(PY) -m pytest tests/e2e -q -n $(CORES) $(BY_FILE) -m "not thorough"
	@echo "left out, as together they take half an hour and more: 'make thorough' plays the other tests with a cloud"

thorough: image environments ## The tests with a cloud that `make test` and `make clients` leave out: half an hour and more.
	$(PY) -m pytest tests/local tests/e2e tests/clients -q -n $(CORES) $(BY_FILE) -m thorough

# They are heavy, so what needs no client does not make their environments. Their modules are compiled as they are
# imported: to compile all of them takes ten times as long.
CLIENTS := sdk2 sdk3 cli1
environments: $(CLIENTS:%=.venv/envs/%/.ready) .venv/envs/cli2/.ready ## Make the environments of `make clients`.

clients: image environments ## The lecture's pipeline by both SageMaker SDKs and AWS CLIs, as people have them, against the local cloud.
	$(PY) -m pytest tests/clients -q -n $(CORES) --dist loadgroup -m "not thorough"

$(CLIENTS:%=.venv/envs/%/.ready): .venv/envs/%/.ready: requirements/%.txt .venv/.ready
	@test -x $(@D)/bin/python || .venv/uv venv --quiet --python $(PY) $(@D)
	@.venv/uv pip sync --quiet --python $(@D) $<
	@touch $@

.venv/envs/cli2/.ready: tests/clients/cli2.sh .venv/.ready
	@$< $(CURDIR)/$(@D)
	@touch $@

coverage: setup ## List branches of deciding code that no unit test takes (pyproject.toml lists exceptions).
	@mkdir -p .coverage
	$(PY) -m pytest tests/unit tests/integration/engine --hypothesis-profile=all $(OFFLINE) -q -n $(CORES) --dist worksteal --cov --cov-report=term:skip-covered --cov-report=html

# Look only for these, and try them: a shim may stand for a Python that is not installed.
RUNTIME ?= $(firstword $(foreach v,3.12 3.13 3.11,$(shell PATH="$(CURDIR)/.venv/bin:$$PATH" python$(v) -c 'print("python$(v)")' 2>/dev/null)))
ARCHITECTURE ?= arm64
build: setup ## sam build, for RUNTIME (the Python there is) and ARCHITECTURE (arm64 or x86_64).
	@test -n "$(RUNTIME)" || { echo "there is no python3.12, python3.13 or python3.11 to build with"; exit 1; }
	PATH="$(CURDIR)/.venv/bin:$$PATH" PYTHON_RUNTIME=$(RUNTIME) LAMBDA_ARCHITECTURE=$(ARCHITECTURE) \
	  .venv/envs/sam/bin/sam build --cached --parallel --parameter-overrides PythonRuntime=$(RUNTIME) Architecture=$(ARCHITECTURE)
	@$(PY) -m sluice_cli.built .aws-sam/build/template.yaml PythonRuntime=$(RUNTIME) Architecture=$(ARCHITECTURE)

bench: setup ## Measure; prints tables (see docs/benchmarks.md).
	$(PY) benchmarks/loop.py
	$(PY) benchmarks/validation.py --quick
	$(PY) benchmarks/growth.py --quick
	$(PY) benchmarks/imports.py --quick

COMPILE := $(UV) pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11
lock: setup ## Resolve the lock files again.
	$(COMPILE) --universal pyproject.toml --group functions --group local --group dev -o requirements/dev.txt
	@for name in lambda sam data bootstrap $(CLIENTS) $(notdir $(basename $(wildcard requirements/bench-*.in))); do \
	  $(COMPILE) --universal requirements/$$name.in -o requirements/$$name.txt || exit 1; done
	$(COMPILE) --python-platform x86_64-manylinux2014 -c requirements/dev.txt layers/common/requirements.in -o layers/common/requirements.txt
	$(COMPILE) --python-platform x86_64-manylinux_2_28 -c requirements/dev.txt layers/data/requirements.in -o layers/data/requirements.txt
	$(COMPILE) --python-platform x86_64-manylinux2014 -c requirements/dev.txt layers/archives/requirements.in -o layers/archives/requirements.txt
	$(COMPILE) --python-platform x86_64-manylinux2014 -c requirements/dev.txt layers/signing/requirements.in -o layers/signing/requirements.txt
	$(COMPILE) --python-platform x86_64-manylinux2014 -c requirements/dev.txt layers/installer/requirements.in -o layers/installer/requirements.txt

clean: down ## Remove everything that can be rebuilt.
	rm -rf .venv .sluice .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
