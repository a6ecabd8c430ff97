# make repro   set up everything in .venv and run the main job
# make test    set up everything and run the tests
# make test-slow   the slow, browser, Ray and S3 tests too
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: repro test test-slow lint clean

repro: $(INSTALLED)
	dvc repro $(ARGS)

test: $(INSTALLED)
	pytest $(ARGS)

test-slow: $(INSTALLED)
	python -m pip install --quiet -c constraints.txt -e '.[dev,ray,s3]'
	pytest -m "(slow or browser or ray) and not gpu" $(ARGS)

lint: $(INSTALLED)
	ruff check .
	ruff format --check .
	mypy
	lint-imports

clean:
	rm -rf $(VENV) .work

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Discern needs Python 3.11 to 3.13; run: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@git --version >/dev/null 2>&1 || { echo "git is missing; on Debian and Ubuntu: apt-get install git"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade -c constraints.txt pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $(INSTALLED)
