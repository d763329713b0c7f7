# Each target works by itself from a fresh clone: nothing is needed but Python 3.11+, pip and make.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Tests run in a process a core, the tests of a file in the same one.
SHARED = -n logical --maxprocesses 4 --dist loadfile
# Tests that need nothing but this environment.
HERE = not slow and not gpu and not network and not browser and not cluster and not gate

.PHONY: run test test-browser test-cluster check gate install example
run: $(VENV)/installed
	$(BIN)/python runner.py --all

# While one works: what takes little time. `make check` runs the thorough tests too.
test: $(VENV)/installed-dev
	$(BIN)/python -m pytest $(SHARED) -m "$(HERE) and not thorough"

# Needs chromium on the PATH, and nothing from the internet once the extra is installed.
test-browser: $(VENV)/installed-browser
	$(BIN)/python -m pytest -m browser tests/reports tests/bench/deploy

# Needs PostgreSQL's initdb and pg_ctl, and openssl; starts servers and Dask workers of its own on 127.0.0.1.
test-cluster: $(VENV)/installed-dev
	$(BIN)/python -m pytest $(SHARED) -m "cluster and not slow" tests/cluster tests/bench/store

# What CI runs: style, types, tests.
check: $(VENV)/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest $(SHARED) -m "$(HERE)"

# Did a change make one of the four nets worse? Minutes; stored runs are reused.
gate: $(VENV)/installed
	$(BIN)/python runner.py --all --check

install: $(VENV)/installed-dev

# The published example: a real study on MNIST, about ten minutes on two cores.
example: $(VENV)/installed
	$(BIN)/python runner.py --all --dataset mnist --study example --results results/example
	rm -rf docs/example
	mkdir -p docs/example
	cp -r results/example/report.html results/example/report.md results/example/figures docs/example/

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-dev: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	touch $@ $(VENV)/installed

$(VENV)/installed-browser: $(VENV)/installed-dev
	$(BIN)/python -m pip install --quiet --editable ".[dev,browser]"
	touch $@
