# `make demo` and `make test` are all a newcomer needs; both set up first, and setting up twice costs nothing.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
DEV_STAMP := $(VENV)/.dev-setup-stamp
# Tested sets without CUDA: where pip is offered a CPU build of torch (PIP_FIND_LINKS, an index of your own) it takes it.
# The first is what sweeptui needs to run, the second adds what its tests need.
LOCK := requirements.lock
DEV_LOCK := requirements-dev.lock
# SkyPilot wants an older click and an older protobuf than all else, so its tests have an environment of their own.
SKY_LOCK := requirements-skypilot.lock
SKY_VENV := .venv-skypilot
SKY_STAMP := $(SKY_VENV)/.setup-stamp
# Tests wait for processes and terminals about half of their time.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(min(8, (3 * (os.cpu_count() or 1) + 1) // 2))')
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: setup dev-setup demo test slow skypilot-test skypilot-slow check docs snapshots screenshots \
  skypilot-screenshots lock clean help

help:
	@echo "make demo   set up, then run sweeptui ppo --max-trials 10"
	@echo "make test   set up, then run the tests"
	@echo "make slow   the tests that need minutes"
	@echo "make skypilot-test  sweeps on the real SkyPilot and a Slurm that the tests start; needs root and Debian's slurm"
	@echo "make skypilot-slow  those of them that need many minutes"
	@echo "make check  lint, format, types, floors"
	@echo "make docs   the docs as a site, in build/docs"
	@echo "make skypilot-screenshots  those of a sweep that really trains on Slurm; needs what skypilot-test needs"
	@echo "make snapshots  what every screen looks like is recorded anew, after a change that is meant"
	@echo "make screenshots  the pictures in screenshots/, of a real sweep; needs minutes and rsvg-convert"
	@echo "make lock   resolve requirements.lock again (needs uv)"

setup: $(STAMP)

$(STAMP): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "sweeptui needs Python 3.11 or newer; $(PYTHON) is %d.%d. Try: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	@$(PYTHON) -c 'import os, sys; sys.exit("sweeptui runs on Linux and macOS; on Windows, run it inside WSL." if os.name == "nt" else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) -r $(LOCK)
	$(INSTALL) --no-deps --editable .
	@touch $(STAMP)

dev-setup: $(DEV_STAMP)

$(DEV_STAMP): $(DEV_LOCK) $(STAMP)
	$(INSTALL) -r $(DEV_LOCK)
	@touch $(DEV_STAMP)

demo: setup
	$(BIN)/sweeptui ppo --max-trials 10

test: dev-setup
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

slow: dev-setup
	$(BIN)/python -m pytest -m "slow and not skypilot_real"

# Why tests were skipped is said at the end.
skypilot-test: $(SKY_STAMP)
	$(SKY_VENV)/bin/python -m pytest -m "skypilot_real and not slow" -rs --durations=0 tests/slurm

skypilot-slow: $(SKY_STAMP)
	$(SKY_VENV)/bin/python -m pytest -m "skypilot_real and slow" -rs --durations=0 tests/slurm

$(SKY_STAMP): $(SKY_LOCK) pyproject.toml
	@test -x $(SKY_VENV)/bin/python || $(PYTHON) -m venv $(SKY_VENV)
	$(SKY_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r $(SKY_LOCK)
	$(SKY_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $(SKY_STAMP)

check: dev-setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: dev-setup
	$(BIN)/sphinx-build -W --keep-going -n -q -b html docs build/docs
	@echo "build/docs/index.html"

# Look at what has changed before it is kept: `git diff tests/__snapshots__`.
snapshots: dev-setup
	$(BIN)/python -m pytest tests/test_snapshots.py --snapshot-update

screenshots: setup
	$(BIN)/python screenshots/take.py

# Of a sweep whose trials really run elsewhere, on what `make skypilot-test` needs.
skypilot-screenshots: $(SKY_STAMP)
	$(SKY_VENV)/bin/python screenshots/take_remote.py

# torch's CUDA packages are left out on purpose: pip adds them where the build of torch it takes asks for them.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --group dev pyproject.toml \
	  --extra analysis --extra ax --extra nevergrad --extra optuna --extra parquet --extra ppo --extra wandb --extra web \
	  --no-annotate --no-header -o lock.tmp
	$(call write-lock,$(DEV_LOCK),what 'make test' installs)
	uv pip compile --quiet --universal --python-version 3.11 --extra ppo --extra web pyproject.toml \
	  --constraint $(DEV_LOCK) --no-annotate --no-header -o lock.tmp
	$(call write-lock,$(LOCK),what 'make demo' installs)
	uv pip compile --quiet --universal --python-version 3.11 --group skypilot-real pyproject.toml \
	  --extra skypilot --extra ppo --extra wandb --no-annotate --no-header -o lock.tmp
	$(call write-lock,$(SKY_LOCK),what 'make skypilot-test' installs)
	rm lock.tmp

define write-lock
{ echo "# Exact versions of $(2). Written by 'make lock'."; \
  grep -v -i -E '^(nvidia-|triton|cuda-|torch)' lock.tmp; echo "torch==2.13.0"; } > $(1)
endef

clean:
	rm -rf $(VENV) $(SKY_VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
