# make demo | make test | make check      (needs Python 3.9 or newer; everything else is installed into $(VENV))
# make servers test-servers               the tests with real servers and a real browser, which come from Debian
# make test-embedding                     the tests with what stands for the hosts that we are a guest in: Dask
# make test-oldest test-servers-oldest    the same tests with the oldest versions of what we stand on
# make matrix                             the tests on every Python, with old and new urllib3 and the rest; ARGS=--quick: on few
# make vendor zipapp                      what is built for toolboxes, and the command line in one file; see vendor/README.md
# make lambda-layer PYTHON=3.13 ARCH=arm64   layers for AWS Lambda functions, whatever Python builds them; or ARCH=x86_64
#
# PYTHON=python3.13 VENV=.venv-3.13   another interpreter, in an environment of its own
# ARGS="tests/words -k url"           what pytest is told

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
ARCH ?= x86_64

# A bare version, PYTHON=3.13, is the interpreter of that name, and of a layer what it is for.
ifneq ($(filter 3.%,$(PYTHON)),)
LAYER_PYTHON := $(PYTHON)
override PYTHON := $(if $(filter lambda-layer,$(MAKECMDGOALS)),python3,python$(PYTHON))
else
LAYER_PYTHON = $(shell $(PY) -c "import sys; print('%d.%d' % sys.version_info[:2])")
endif

# Exact versions that pip has to install beside the package; see test-oldest.
PINS ?=

ifeq ($(OS),Windows_NT)
PY = $(VENV)/Scripts/python
else
PY = $(VENV)/bin/python
endif

STAMP = $(PY) -c "open('$@', 'w').close()"
DECLARED = setup.cfg pyproject.toml

# What the tests against real servers need: Debian packages. Add those of a new one here.
SERVER_PACKAGES = chromium chromium-driver \
    apache2-bin apache2-utils libapache2-mod-auth-gssapi gss-ntlmssp lighttpd lighttpd-mod-authn-gssapi lighttpd-mod-openssl \
    samba samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind python3-samba \
    nginx-light squid-openssl microsocks krb5-kdc krb5-admin-server krb5-user slapd ldap-utils \
    dbus gnome-keyring \
    curl faketime libnss-wrapper python3 \
    $(KERBEROS_BUILD_PACKAGES)
# The extra `kerberos` has no wheels for Linux.
KERBEROS_BUILD_PACKAGES = gcc libc6-dev libkrb5-dev python3-dev

# What the tests against real servers need besides; empty for those that do without Kerberos on our side.
SERVER_EXTRAS = kerberos

.PHONY: demo test check test-oldest servers test-servers test-servers-oldest test-embedding vendor zipapp lambda-layer bench matrix clean

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

test-servers-oldest:
	$(MAKE) test-servers VENV=.venv-oldest PINS="$$($(PYTHON) tests/support/oldest_pins.py)"

# Python 3.9 to 3.13 with each urllib3 and the ends of the rest: environments of its own, one corner after the other. Its options
# are those of tests/support/matrix.py; whatever else is in ARGS is for pytest.
matrix:
	$(PYTHON) -m tests.support.matrix $(ARGS)

servers:
	@sh tests/servers/install.sh $(SERVER_PACKAGES)
	$(MAKE) $(VENV)/.installed-test $(VENV)/.installed-kerberos

# The tests that `make test` skips where a server (or browser) is not installed; here a skip is a failure.
test-servers: $(VENV)/.installed-test $(SERVER_EXTRAS:%=$(VENV)/.installed-%)
	REAL_SERVERS=required $(PY) -m pytest -m real_server --ignore=tests/embedding $(ARGS)

# Those that it skips without the packages of such hosts; the same holds.
test-embedding: $(VENV)/.installed-test $(VENV)/.installed-test-embedding
	REAL_SERVERS=required $(PY) -m pytest -m real_server tests/embedding tests/readme $(ARGS)

# What is built besides the wheel, into dist/: one folder for a toolbox, zipped; the command line in one file.
vendor: $(VENV)/.installed-vendor
	$(PY) -m vendor folder

zipapp: $(VENV)/.installed-vendor
	$(PY) -m vendor zipapp

lambda-layer: $(VENV)/.made
	$(PY) -m vendor.layers $(LAYER_PYTHON) $(ARCH)

bench: $(VENV)/.installed-bench
	$(PY) -m tests.bench $(ARGS)

clean:
	$(PYTHON) -c "import glob, shutil; [shutil.rmtree(path, True) for pattern in ('.venv*', 'build', 'dist', '*.egg-info', '.*_cache', '.hypothesis') for path in glob.glob(pattern)]"

$(VENV)/.made:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 9) and 'esri_http needs Python 3.9 or newer; say make PYTHON=python3.11, for example')"
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(STAMP)

# What setuptools says of installing from the working tree is no news to anybody here.
$(VENV)/.installed $(VENV)/.installed-%: export PYTHONWARNINGS = ignore

$(VENV)/.installed: $(VENV)/.made $(DECLARED)
	$(PY) -m pip install --quiet --disable-pip-version-check --editable . $(PINS)
	@$(STAMP)

$(VENV)/.installed-%: $(VENV)/.made $(DECLARED)
	$(PY) -m pip install --quiet --disable-pip-version-check --editable ".[$*]" $(PINS)
	@$(STAMP)
