# Each target sets up what it needs: on a fresh machine Python and make are enough.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt
READY  := $(VENV)/.ready

# Figures are written to files, wherever this runs.
export MPLBACKEND ?= Agg

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-slow lint types format bench docs clean

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | awk -F '\t' '{printf "make %-10s %s\n", $$1, $$2}'

demo: $(READY)  ## Run the tour; figures go to figures/
	$(BIN)/python -m examples.tour
	@echo "The figures are in $(CURDIR)/figures"

# A process per core, each with one thread, is faster than threads for tensors this small.
test test-slow: export OMP_NUM_THREADS := 1
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist worksteal

test: lint types  ## Lint, types and every test that is not slow
	$(PYTEST)

test-slow: $(READY)  ## The long statistical tests
	$(PYTEST) -m slow || test $$? -eq 5  # 5: there is none

lint: $(READY)  ## Style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Only a machine that cannot run node at all goes without this check, and is told so.
types: export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
types: $(READY)  ## Static types
	@if $(BIN)/pyright --version >/dev/null 2>&1; then \
		echo "$(BIN)/pyright"; \
		$(BIN)/pyright --pythonpath $(BIN)/python; \
	else \
		echo "types: SKIPPED, pyright needs node and none runs here; '$(BIN)/pyright' says why"; \
	fi

format: $(READY)  ## Rewrite the sources in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# make bench BENCH="--threads 1 --only spins"; '$(BIN)/python -m benchmarks --help' lists the options.
BENCH ?= --threads 1 2
bench: $(VENV)/.benchmarks  ## Side by side with peers; tables go to benchmarks/results/
	$(BIN)/python -m benchmarks $(BENCH)

# Examples run side by side, a process per core. Whatever is made on the way is below build/.
docs: export OMP_NUM_THREADS := 1
docs: $(VENV)/.docs  ## Build the site, with every example run, into site/
	@mkdir -p build/docs
	$(BIN)/sphinx-build -c docs -d build/doctrees -j auto -W --keep-going --quiet build/docs site
	@echo "The site is $(CURDIR)/site/index.html"

clean:  ## Remove the environment, caches and everything built
	rm -rf $(VENV) build dist figures site *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
		echo "Python 3.10 or newer is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo missing)." \
			"Name another one: make PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV) (a few minutes the first time)"
	@$(PYTHON) -m venv $(VENV) || { \
		echo "$(PYTHON) cannot make a virtual environment; on Debian and Ubuntu: apt install python3-venv"; \
		exit 1; }
	$(PIP) -e '.[test]'
	@touch $@

$(VENV)/.%: $(READY)
	$(PIP) -e '.[$*]'
	@touch $@
