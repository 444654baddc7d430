# make demo | make test | make check      (needs Python 3.9 or newer; everything else is installed into $(VENV))
#
# PYTHON=python3.13 VENV=.venv-3.13   another interpreter, in an environment of its own
# ARGS="tests/words -k url"           what pytest is told

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
# Exact versions that pip has to install beside the package; see test-oldest.
PINS ?=

ifeq ($(OS),Windows_NT)
PY = $(VENV)/Scripts/python
else
PY = $(VENV)/bin/python
endif

STAMP = $(PY) -c "open('$@', 'w').close()"
DECLARED = setup.cfg pyproject.toml

.PHONY: demo test check test-oldest bench clean

demo: $(VENV)/.installed
	$(PY) -m esri_http demo

test: $(VENV)/.installed-test
	$(PY) -m pytest $(ARGS)

check: $(VENV)/.installed-test $(VENV)/.installed-lint
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pytest -q tests/house

# All tests again, with the oldest version of every dependency that setup.cfg allows.
test-oldest:
	$(MAKE) test VENV=.venv-oldest PINS="$$($(PYTHON) tests/support/oldest_pins.py)"

bench: $(VENV)/.installed-bench
	$(PY) -m tests.bench $(ARGS)

clean:
	$(PYTHON) -c "import glob, shutil; [shutil.rmtree(path, True) for pattern in ('.venv*', 'build', 'dist', '*.egg-info', '.*_cache', '.hypothesis') for path in glob.glob(pattern)]"

$(VENV)/.made:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 9) and 'esri_http needs Python 3.9 or newer; say make PYTHON=python3.11, for example')"
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(STAMP)

$(VENV)/.installed: $(VENV)/.made $(DECLARED)
	$(PY) -m pip install --quiet --disable-pip-version-check --editable . $(PINS)
	@$(STAMP)

$(VENV)/.installed-%: $(VENV)/.made $(DECLARED)
	$(PY) -m pip install --quiet --disable-pip-version-check --editable ".[$*]" $(PINS)
	@$(STAMP)
