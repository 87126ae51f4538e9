# `make help` lists the targets.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
  $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
READY := .venv/ready
ALL := .venv/ready-all
# Beforehand and on all cores: where Python may not write it, TensorFlow's start takes 13 s instead of 5.
COMPILE := $(BIN)/python -m compileall -qq -j 0 .venv/lib facemask_ensemble benchmarks || true
EXTRAS := app export jax openvino postgresql ray slurm spark tune webcam
LOCK := --universal --python-version 3.11 --quiet --no-emit-index-url --no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help install run ui test quick lint lock wheel bench-scenes bench-data bench-train bench-evaluate bench-predict bench-explanation clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-14s %s\n", $$1, $$2}'

install: $(READY) ## set up .venv from the lock

$(READY): requirements.lock pyproject.toml
	@[ -n "$(PYTHON)" ] || { echo "error: no Python 3.11, 3.12 or 3.13 found; install one, or name it: make install PYTHON=/path/to/python" >&2; exit 2; }
	@echo "Setting up .venv (a minute or two) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(COMPILE)
	@touch $(READY)

$(ALL): $(READY) requirements-all.lock
	@echo "Adding what tests need: $(EXTRAS), playwright"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps -r requirements-all.lock
	@$(COMPILE)
	@touch $(ALL)

run: $(READY) ## draw scenes, train the seven backbones, vote, explain: outputs/quickstart/report.html
	@$(BIN)/python -m facemask_ensemble.train --multirun experiment=quickstart
	@$(BIN)/python -m facemask_ensemble.evaluate study=quickstart

ui: $(READY) ## open the MLflow UI on what was logged, at http://127.0.0.1:5000
	@test -f outputs/mlflow.db || { echo "error: outputs/mlflow.db: nothing logged yet; train first, for example with make run" >&2; exit 2; }
	@$(BIN)/mlflow server --host 127.0.0.1 --port 5000 --backend-store-uri "sqlite:///$(CURDIR)/outputs/mlflow.db" --workers 1

test: $(ALL) ## run every test
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=25 --durations-min=5

quick: $(ALL) ## run the tests that take less than a second each
	@$(BIN)/python -m pytest -m "not heavy" -n 2 --dist worksteal

lint: $(READY) ## ruff, mypy, and whether imports go down only
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports --no-logo --no-cache

lock: ## pin every version again (needs uv)
	@uv pip compile pyproject.toml --group dev --group browser $(EXTRAS:%=--extra %) $(LOCK) --upgrade -o requirements-all.lock
	@uv pip compile pyproject.toml --group dev $(LOCK) --constraint requirements-all.lock -o requirements.lock

wheel: $(READY) ## build dist/*.whl
	@$(BIN)/python -m build --no-isolation --wheel

bench-scenes: $(READY) ## how many scenes a second one core draws
	@$(BIN)/python -m benchmarks.scenes

bench-data: $(READY) ## reading, auditing and the search for copies, each beside the bare way (some minutes, 20 GB of disk)
	@$(BIN)/python -m benchmarks.data

bench-train: $(ALL) ## training beside the bare way and the reference's, frozen phases, sweeps, memory (most of an hour)
	@$(BIN)/python -m benchmarks.training

bench-evaluate: $(READY) ## voting rules and the whole verdict on synthetic probabilities (some minutes, 4 GB of memory)
	@$(BIN)/python -m benchmarks.evaluation

bench-predict: $(ALL) ## prediction in Keras, OpenVINO and PyTorch beside one image at a time, cold start, memory (half an hour)
	@$(BIN)/python -m benchmarks.prediction

bench-explanation: $(READY) ## heatmaps of every method beside tf-keras-vis one image at a time, and their memory (half an hour)
	@$(BIN)/python -m benchmarks.explanation

clean: ## remove .venv and caches; outputs/ stays
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
