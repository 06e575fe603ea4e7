# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check
STAMP = $(VENV)/.xaieval-installed

.PHONY: help demo test check format parity bench screenshots demo-assets install clean

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.xaieval-base: pyproject.toml | $(VENV)/bin/python
	$(PIP) install -q -c constraints.txt -e .
	@touch $@

$(STAMP): $(VENV)/.xaieval-base
	$(PIP) install -q -c constraints.txt -e '.[dev]'
	@touch $@

install: $(STAMP) ## own virtual environment with everything

demo: $(VENV)/.xaieval-base ## install, then open the dashboard on the built-in study
	$(VENV)/bin/xaieval demo $(DEMO_ARGS)

test: $(STAMP) ## install, then run the whole test suite, browser tests included
	$(VENV)/bin/python -m pytest $(TEST_ARGS)

check: $(STAMP) ## formatting, lint and types
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

format: $(STAMP) ## put the code into the house format
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

$(VENV)/.xaieval-parity: $(STAMP)
	$(PIP) install -q -c constraints.txt -e '.[parity]'
	@touch $@

parity: $(VENV)/.xaieval-parity ## every method against its oracle; writes docs/parity.md
	$(VENV)/bin/python -m benchmarks.parity $(PARITY_ARGS)

bench: $(VENV)/.xaieval-parity ## the benchmarks, as ratios in one run (BENCH_ARGS=--quick for a short one)
	$(VENV)/bin/python -m benchmarks $(BENCH_ARGS)

demo-assets: $(STAMP) ## train and run the built-in study again (about half an hour on two cores)
	rm -rf assets/demo
	$(VENV)/bin/xaieval train demo --out assets/demo
	$(VENV)/bin/xaieval run demo --out assets/demo
	$(VENV)/bin/xaieval sanity demo --out assets/demo --device cpu
	$(VENV)/bin/xaieval sensitivity demo --out assets/demo --device cpu

screenshots: $(STAMP) ## take docs/images/*.png from the running dashboard (SHOTS="batch help" for some)
	$(VENV)/bin/python docs/make_screenshots.py $(SHOTS)

clean: ## remove the environment and caches
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
