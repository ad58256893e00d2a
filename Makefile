# The habits by name. Needs make and python3.11 or later with venv; everything else is installed into .venv.

# Settings, if you keep some here: docs/settings.md.
-include .env
export

PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
ARGS ?=
PIP := .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes
PY := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help run demo verify test lint conformance bench bench-scale bench-trail faults guards shots reset lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.installed ## start everything on this machine; Ctrl-C stops it
	@$(PY) manage.py dev $(ARGS)

demo: .venv/.installed ## tell the whole story, from an agent's request to the verified trail, and exit
	@$(PY) manage.py demo $(ARGS)

test: .venv/.installed-dev ## run the tests; ARGS="-k refund" chooses some
	@$(PY) -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

verify: .venv/.installed ## verify the trail of the run that is live in this checkout
	@$(PY) manage.py verify_audit $(ARGS)

lint: .venv/.installed-dev ## style, types, who may import whom, the contract with agents, the API's document
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy .
	@.venv/bin/lint-imports
	@$(PY) manage.py contract check
	@$(PY) manage.py openapi check

conformance: .venv/.installed-dev .venv/conformance/.installed ## the official MCP conformance suite against the real door and pages
	@CONFORMANCE_INSTALLED=.venv/conformance $(PY) -m pytest -s tests/conformance/suite.py $(ARGS)

guards: .venv/.installed-dev ## disable each guard in turn and see that its test fails
	@$(PY) -m tests.guarantees.guards $(ARGS)

bench: .venv/.installed-dev ## how fast the door is, as ratios within one run; ARGS="--flame flame.svg"
	@$(PY) -m tests.bench $(ARGS)

bench-trail: .venv/.installed-dev ## how long it takes to prove 100,000 events, and what recording one adds to a filing
	@$(PY) -m tests.bench.trail $(ARGS)

bench-scale: .venv/.installed-dev ## how pages answer at a million events and a million requests; takes minutes and 6 GB
	@$(PY) -m tests.bench.scale $(ARGS)

faults: .venv/.installed-dev ## 300 approvals while everything is killed in turn, counted in the shop's ledger; ARGS="--seed 7"
	@$(PY) -m tests.faults $(ARGS)

shots: .venv/.installed-dev ## a picture of every page, at three widths, in both themes
	@$(PY) -m tests.shots $(ARGS)

reset: ## empty the data folder
	@if [ -x $(PY) ]; then $(PY) manage.py dev --reset; else echo "Nothing is installed, so nothing has run here."; fi

lock: ## pin what pyproject.toml asks for, with hashes
	@command -v .venv/bin/uv >/dev/null || { echo "This needs uv once: .venv/bin/python -m pip install uv"; exit 1; }
	.venv/bin/uv export -q --no-header --no-emit-project --no-annotate --no-dev --group embedded -o requirements.lock
	.venv/bin/uv export -q --no-header --no-emit-project --no-annotate --group dev -o requirements-dev.lock
	@rm -f uv.lock

.venv/.installed: requirements.lock | .venv/bin/python
	@echo "Installing what the product needs into .venv (once, and when requirements.lock changes) ..."
	@$(PIP) -r requirements.lock
	@touch $@

.venv/.installed-dev: requirements-dev.lock .venv/.installed
	@echo "Installing what the tests need into .venv (once, and when requirements-dev.lock changes) ..."
	@$(PIP) -r requirements-dev.lock
	@touch $@

.venv/conformance/.installed: tests/conformance/package.json tests/conformance/package-lock.json | .venv/bin/python
	@command -v npm >/dev/null || { echo "The suite comes by npm: apt-get install nodejs npm"; exit 1; }
	@echo "Installing the conformance suite and its own Node into .venv/conformance (once, and when it is pinned anew) ..."
	@mkdir -p .venv/conformance && cp tests/conformance/package.json tests/conformance/package-lock.json .venv/conformance/
	@cd .venv/conformance && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed: apt-get install python3 python3-venv"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$(PYTHON) is not Python 3.11 or later: name one, as in make run PYTHON=python3.11"; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) comes without venv: apt-get install python3-venv"; exit 1; }
	@echo "Making a virtual environment in .venv with $(PYTHON) ..."
	@"$(PYTHON)" -m venv .venv
