# The commands of the house. Only Python >= 3.11 and make are needed; the rest is set up in .venv on first use.
# A stamp file in .venv remembers what was installed for which pyproject.toml, so that later calls start at once.

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Tests of one file stay in one process: what they set up together is set up once.
PARALLEL := -n auto --dist loadfile
ARGS ?=
SOAK_SECONDS ?= 60
SCENARIOS ?= ../shared/scenarios

# Looked up only when a recipe uses it: asking each candidate costs more than a warm `make run` may take.
PYTHON ?= $(shell for candidate in python3.13 python3.12 python3.11 python3; do \
	$$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$candidate && break; \
	done)

.PHONY: help run test check fmt bench soak scenarios clean

help: ## what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp ## the offline default backtest; more flags with ARGS='...'
	@$(BIN)/python -m core.run --mode backtest $(ARGS)

test: $(VENV)/test.stamp ## all tests but the soak, a process per core; more flags with ARGS='...'
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

check: $(VENV)/dev.stamp ## format, lint, types, tests: what a change must pass
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

fmt: $(VENV)/dev.stamp ## format, and mend what lint can mend
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

bench: $(VENV)/run.stamp ## speed and memory against the peers, as ratios; ARGS='--only books --reps 1'
	$(BIN)/python benchmarks/run.py $(ARGS)

soak: $(VENV)/test.stamp ## the long tests, SOAK_SECONDS each (default 60)
	ANYCLOCK_SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/python -m pytest -m soak $(ARGS)

scenarios: $(VENV)/run.stamp ## every scenario file in SCENARIOS
	$(BIN)/python -m core.run scenario $(SCENARIOS) $(ARGS)

clean: ## remove what was set up and cached (not runs/)
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "anyclock needs Python 3.11 or newer and found none as python3.13, python3.12," \
		"python3.11 or python3. Install one, or name yours: make PYTHON=/path/to/python" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is not Python 3.11 or" \
		"newer. Name one that is: make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "setting up $(VENV) with $(PYTHON) (once)" >&2
	@"$(PYTHON)" -m venv --clear $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) could not make a virtual environment;" \
		"on Debian and Ubuntu install python3-venv" >&2; exit 1; }

# Each later stamp installs more than the ones before it, so it renews those too.
$(VENV)/run.stamp: pyproject.toml | $(BIN)/python
	@echo "installing anyclock into $(VENV) (once per pyproject.toml)" >&2
	@$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/test.stamp: pyproject.toml | $(BIN)/python
	@echo "installing anyclock and its tests' needs into $(VENV) (once per pyproject.toml)" >&2
	@$(PIP_INSTALL) -e '.[test]'
	@touch $(VENV)/run.stamp $@

$(VENV)/dev.stamp: pyproject.toml | $(BIN)/python
	@echo "installing anyclock, its tests' needs, ruff and mypy into $(VENV) (once per pyproject.toml)" >&2
	@$(PIP_INSTALL) -e '.[test,dev]'
	@touch $(VENV)/run.stamp $(VENV)/test.stamp $@
