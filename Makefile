# make demo: the whole flow on the built-in graph.  make test: lint, types and all tests.
PYTHON ?= python3
BIN := .venv/bin
RUN ?= runs/demo

.PHONY: setup demo test lint format clean

setup: .venv/.installed

# torch first and pinned, so that no other requirement draws in a larger build of it.
.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/.installed-dev: .venv/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(BIN)/grokhop demo -o $(RUN) --force

test: .venv/.installed-dev lint
	$(BIN)/pytest

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build dist
