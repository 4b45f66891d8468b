# Each target sets up what it needs in a virtual environment of its own (.venv), from nothing and only once.

VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := requirements/constraints-test.txt
# One stamp for each extra that was installed: `make demo` does not wait for what only tests or linters need.
TRAINING := $(VENV)/.training
INSTALLED := $(VENV)/.test
LINTERS := $(VENV)/.dev
LOWEST := .venv-lowest
# From file to surfaces in CT and MR, cancelling, every refusal, and the networks that ship.
LOWEST_TESTS := $(addprefix Testing/,test_import.py test_compatibility.py bundles/test_shipped_bundles.py io networks surfaces \
	cli/test_doctor_command.py cli/test_failing.py cli/test_segment_command.py cli/test_stopping.py cli/test_streaming.py \
	cli/test_surfaces_command.py exporting/test_dicom_seg.py exporting/test_export.py inference pipelines)
CODE := KneeSegLib KneeSeg Testing setup.py

# The first interpreter that works and has a version that KneeSeg supports, 3.11 first because the constraints were frozen
# with it; `make PYTHON=/path/to/python3.12 test` overrides.
CANDIDATES := python3.11 python3.12 python3.10 python3
SUPPORTED := import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] < (3, 13))
PYTHON ?= $(shell for python in $(CANDIDATES); do \
	"$$python" -c "$(SUPPORTED)" >/dev/null 2>&1 && { echo "$$python"; break; }; done)
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(CONSTRAINTS)

LICENCES := MIT;BSD;Apache;ISC;PSF;Python Software Foundation;MPL;Mozilla;HPND;LGPL;Unlicense;Zlib
# KneeSeg itself; MedPy (GPL) is compared with in tests and shipped to nobody; the others name theirs in a way that no
# tool reads: Apache-2.0 each.
OTHER_LICENCES := kneeseglib MedPy dynamic_network_architectures

.DEFAULT_GOAL := help
.PHONY: help setup test coverage test-lowest faults fuzz hashes check-hashes sbom licences docs demo lint types index-repository cmake-lists terminology clean distclean

help: ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1 | \2/p' $(MAKEFILE_LIST) | while IFS='|' read -r target text; do \
		printf '%-22s %s\n' "$$target" "$$text"; done

setup: $(INSTALLED) ## Set up the virtual environment (.venv) with KneeSeg and everything the tests need

$(TRAINING) $(INSTALLED) $(LINTERS): pyproject.toml setup.py $(CONSTRAINTS)
	@test -x $(BIN)/python -o -n "$(PYTHON)" || { \
		echo "No Python 3.10, 3.11 or 3.12 with venv was found; install one or run make PYTHON=/path/to/python." >&2; exit 1; }
	$(BIN)/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear $(VENV)
	$(PIP_INSTALL) setuptools
	$(PIP_INSTALL) --no-build-isolation --editable '.[$(@:$(VENV)/.%=%)]'
	touch $@

test: $(INSTALLED) ## Run all tests, a file at a time on each core
	$(PYTEST)

coverage: $(INSTALLED) ## Run all tests and print which lines none of them reaches
	$(PYTEST) --cov --cov-report term:skip-covered

test-lowest: $(LOWEST)/.installed ## Run what matters on the oldest versions allowed, by hand before a release (3 GB of packages)
	OMP_NUM_THREADS=2 $(LOWEST)/bin/python -m pytest $(LOWEST_TESTS)

$(LOWEST)/.installed: pyproject.toml setup.py requirements/constraints-lowest.txt
	python3.11 -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade setuptools
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-build-isolation \
		--constraint requirements/constraints-lowest.txt --editable . pytest nibabel
	touch $@

faults: $(INSTALLED) ## End runs at every call of the system and at random moments: results stay whole (minutes; FAULTS="--scan FILE")
	OMP_NUM_THREADS=1 $(BIN)/python -m Testing.faults.campaign $(FAULTS)

fuzz: $(INSTALLED) ## Try damaged files of every format for an hour (SECONDS=3600, SEED=time); what fails is kept as a test
	OMP_NUM_THREADS=1 $(BIN)/python -m Testing.fuzz --seconds $(or $(SECONDS),3600) $(if $(SEED),--seed $(SEED))

build/report.json: pyproject.toml $(CONSTRAINTS) | $(LINTERS)
	mkdir -p build
	$(PIP_INSTALL) --dry-run --ignore-installed --no-build-isolation --report $@ '.[dev]'

hashes: build/report.json ## Write requirements/hashes.txt: the SHA-256 of what the constraints pin, after these were renewed
	$(BIN)/python -m Testing.supply.hashes write $<

check-hashes: build/report.json ## Ask the index for what would be installed and hold it against requirements/hashes.txt
	$(BIN)/python -m Testing.supply.hashes check $<

sbom: $(LINTERS) ## Write build/sbom.json: every installed package with version, licence and origin, as pip knows them
	mkdir -p build
	$(BIN)/python -m pip inspect --local > build/sbom.json

licences: $(LINTERS) ## Fail where an installed package has a licence that KneeSeg may not be built on
	$(BIN)/pip-licenses --from=mixed --partial-match --allow-only="$(LICENCES)" --ignore-packages $(OTHER_LICENCES)

docs: $(INSTALLED) ## Build the documentation as a site in build/site
	$(BIN)/python -m mkdocs build --strict --quiet

demo: $(TRAINING) ## Segment a generated leg and leave the result in demo/
	$(BIN)/kneeseg demo --output demo --overwrite

lint: $(LINTERS) ## Check style and format
	$(BIN)/python -m ruff check $(CODE)
	$(BIN)/python -m ruff format --check $(CODE)

types: $(LINTERS) ## Check types by pyright's standard rules
	$(BIN)/basedpyright

index-repository: ## Write what Slicer's extensions index gets into build/index-repository, and say what is missing
	$(or $(wildcard $(BIN)/python),$(PYTHON)) -m Testing.index_repository

cmake-lists: ## Write the lists of files in CMakeLists.txt anew from the tree
	$(or $(wildcard $(BIN)/python),$(PYTHON)) Testing/update_cmake_lists.py

terminology: ## Write Resources/Terminology/KneeSeg.term.json anew from the table of structures
	$(or $(wildcard $(BIN)/python),$(PYTHON)) -m KneeSegLib.io.terminology

clean: ## Remove the demo and what builds and tests leave behind
	rm -rf demo build dist *.egg-info .pytest_cache .ruff_cache .coverage

distclean: clean ## Remove the virtual environment too
	rm -rf $(VENV) $(LOWEST)
