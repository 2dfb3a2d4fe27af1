# `make run` and `make test` are all a newcomer needs; everything else is for who works on the code.
.PHONY: help run test coverage test-long check bench cassettes lock clean packages postgresql browser
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 4
# Hundreds of processes are started, and each would compile all modules again where an image forbids keeping that.
export PYTHONDONTWRITEBYTECODE :=

help:
	@echo "make run        install, then play a day at an RTO against sandbox vendors (Ctrl-C ends it)"
	@echo "make test       everything a change must pass: lint, types, tests"
	@echo "make check      lint and types only"
	@echo "make coverage   the same tests, and which branches no test takes"
	@echo "make test-long  the same tests with longer storms"
	@echo "make bench      CPU and latency beside a hand-written adapter"
	@echo "make cassettes  record tests/cassettes again, against the sandbox stand-ins"
	@echo "make lock       refresh requirements.lock from pyproject.toml"

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(MAKE) --no-print-directory packages; }
	$(PYTHON) -m venv $(VENV)
	@# the lock names everything; with --no-deps pip resolves nothing, and a newer release of an extra cannot stop it
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

# Debian packages that a bare machine lacks. Only root can install them.
packages:
	@$(call install,python3-venv)

# The tests start a server of their own. The package would start another, on a machine that asked for none.
POSTGRESQL := $(firstword $(wildcard /usr/lib/postgresql/*/bin/initdb) $(shell command -v initdb))
NO_CLUSTER := /etc/postgresql-common/createcluster.d/lms-gateway.conf
postgresql:
ifeq ($(POSTGRESQL),)
	@[ "$$(id -u)" != 0 ] || { mkdir -p $(dir $(NO_CLUSTER)) && echo 'create_main_cluster = false' > $(NO_CLUSTER); }
	@$(call install,postgresql)
	@rm -f $(NO_CLUSTER)
endif

# The learners' pages are opened in a real browser.
browser:
ifeq ($(and $(shell command -v chromium),$(shell command -v chromedriver)),)
	@$(call install,chromium chromium-driver)
endif

install = if [ "$$(id -u)" = 0 ]; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(1); \
	else echo "Please run first:  sudo apt-get install $(1)"; exit 1; fi

run: $(STAMP)
	$(BIN)/lms-gateway demo

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: postgresql browser $(STAMP)
	@# nothing else has been compiled yet: one process does it beside the type checker, not each worker for itself
	@$(BIN)/python -m pytest --collect-only -qq >/dev/null 2>&1 & $(MAKE) --no-print-directory check && wait
	$(BIN)/python -m pytest -n $(JOBS) --dist=loadgroup --durations=10

coverage: postgresql browser $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) --dist=loadgroup --cov --cov-report=
	$(BIN)/python -m coverage report --fail-under=95 --skip-covered

test-long: postgresql browser check
	LMS_GATEWAY_LONG=1 $(BIN)/python -m pytest -n $(JOBS) --dist=loadgroup --durations=20

bench: $(STAMP)
	$(BIN)/python bench/run.py

cassettes: $(STAMP)
	PYTHONPATH=. $(BIN)/python tests/record_cassettes.py

lock: $(STAMP)
	$(BIN)/python -m uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header --output-file requirements.lock --quiet

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .coverage* build dist *.egg-info
