# make test, make demo: each sets up its own virtual environment from nothing and does that only once.

VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := requirements/constraints-test.txt
INSTALLED := $(VENV)/.installed

# The first interpreter that works and has a version that KneeSeg supports, 3.11 first because the constraints were frozen
# with it; `make PYTHON=/path/to/python3.12 test` overrides.
CANDIDATES := python3.11 python3.12 python3.10 python3
SUPPORTED := import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))
PYTHON ?= $(shell for python in $(CANDIDATES); do \
	"$$python" -c "$(SUPPORTED)" >/dev/null 2>&1 && { echo "$$python"; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help setup test demo lint cmake-lists terminology clean distclean

help: ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1 | \2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do \
		printf '%-18s %s\n' "$$target" "$$text"; done

setup: $(INSTALLED) ## Set up the virtual environment (.venv) with KneeSeg and everything the tests need

$(INSTALLED): pyproject.toml setup.py $(CONSTRAINTS)
	@test -x $(BIN)/python -o -n "$(PYTHON)" || { \
		echo "No Python 3.10, 3.11 or 3.12 with venv was found; install one or run make PYTHON=/path/to/python." >&2; exit 1; }
	$(BIN)/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) setuptools
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) \
		--no-build-isolation --editable '.[test]'
	touch $@

test: $(INSTALLED) ## Run all tests
	$(BIN)/python -m pytest

demo: $(INSTALLED) ## Segment a generated leg and leave the result in demo/
	$(BIN)/kneeseg demo --output demo --overwrite

lint: $(INSTALLED) ## Check style
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS) ruff
	$(BIN)/python -m ruff check KneeSegLib KneeSeg Testing setup.py

cmake-lists: ## Write the lists of files in CMakeLists.txt anew from the tree
	$(or $(wildcard $(BIN)/python),$(PYTHON)) Testing/update_cmake_lists.py

terminology: ## Write Resources/Terminology/KneeSeg.term.json anew from KneeSegLib/anatomy.py
	$(or $(wildcard $(BIN)/python),$(PYTHON)) -m KneeSegLib.io.terminology

clean: ## Remove the demo and what builds leave behind
	rm -rf demo build dist *.egg-info .pytest_cache .ruff_cache

distclean: clean ## Remove the virtual environment too
	rm -rf $(VENV)
