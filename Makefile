# Everything that a person or CI does here; each target sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: run test check format install docs clean

run: .venv/.run ## run every shipped scenario against a reference server
	$(BIN)/lockrace run

test: .venv/.dev ## the whole test suite
	$(BIN)/pytest -n 2

check: .venv/.dev ## format, lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: .venv/.dev ## put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.dev ## what the documentation takes from the code: reference, invariants, the contract's table, picture
	$(BIN)/python docs/make_reference.py > docs/reference.md
	$(BIN)/python docs/make_contract.py
	$(BIN)/python -m harness.check.invariants.document > docs/invariants.md
	$(BIN)/python docs/pictures/make.py

install: .venv/.dev ## the command and everything that the tests need, in .venv

.venv/.run: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

.venv/.dev: .venv/.run
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv lockrace-out build dist
