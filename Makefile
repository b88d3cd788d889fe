# `make run` and `make test` do all the set-up on a machine with Python 3.11 and make.
PYTHON ?= python3
VENV ?= .venv
PORT ?= 8000
DAGSTER_PORT ?= 3000
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes

.PHONY: run test lint bench lock

run: $(VENV)/run.ok  ## install, make samples on first use, load everything, serve
	@$(BIN)/kho up --port $(PORT) --dagster-port $(DAGSTER_PORT)

test: $(VENV)/dev.ok lint  ## everything that CI runs
	@command -v chromium >/dev/null && command -v mariadb-install-db >/dev/null && ls /usr/lib/*/odbc/libmaodbc.so >/dev/null 2>&1 \
		|| { apt-get update -qq && apt-get install -y -qq chromium mariadb-server odbc-mariadb >/dev/null; }
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/dev.ok
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tests/licences.py

bench: $(VENV)/dev.ok  ## measure, and write docs/benchmarks.md
	$(BIN)/python -m benchmarks

lock: $(VENV)/dev.ok  ## pin anew, after a change of pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --no-strip-extras --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev pyproject.toml -o requirements-dev.lock

$(VENV)/run.ok: requirements.lock pyproject.toml
	@echo "Installing into $(VENV) …"
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@$(PIP) -r requirements.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.ok: requirements-dev.lock pyproject.toml
	@echo "Installing into $(VENV) …"
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@$(PIP) -r requirements-dev.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation -e .
	@touch $(VENV)/run.ok $@
