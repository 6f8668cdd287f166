# The set-up is a virtual environment in .venv with the tested versions; every target makes it when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup train test test-all check demo faults bench evidence clean

help: ## print these lines
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.done ## make .venv and install mlfound with the tested versions

$(VENV)/.done: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "mlfound needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

train: setup ## train configs/mlp.yaml on MNIST, fetched when missing; ARGS="--set epochs=3" adds to it
	$(BIN)/mlfound train configs/mlp.yaml $(ARGS)

test: setup ## run the tests; ARGS="-k config" selects
	$(BIN)/python -m pytest --numprocesses auto $(ARGS)

test-all: setup ## with the slow ones (the short forms of the fault trials) and the branch coverage
	$(BIN)/python -m pytest --numprocesses auto --cov -m "slow or not slow" $(ARGS)

check: setup ## ruff, its format, and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

demo: setup ## every command on the embedded sample, without a network
	$(BIN)/mlfound download --dataset mnist-sample
	$(BIN)/mlfound normalize-check --set data.dataset=mnist-sample --name demo
	$(BIN)/mlfound matmul-bench --budget 0.2 --name demo
	$(BIN)/mlfound init-stats --set data.dataset=mnist-sample --draws 20 --width 128 --name demo
	$(BIN)/mlfound backprop-bench --dataset mnist-sample --budget 0.1 --name demo
	$(BIN)/mlfound lr-find --set data.dataset=mnist-sample --name demo
	$(BIN)/mlfound train --set data.dataset=mnist-sample --name demo
	$(BIN)/mlfound train --set data.dataset=mnist-sample --replicates 5 --name demo --quiet
	$(BIN)/mlfound train --set data.dataset=mnist-sample --replicates 5 --set model.relu_shift=0.5 --name demo --quiet
	$(BIN)/mlfound report latest
	$(BIN)/mlfound compare --group model.relu_shift --name demo
	$(BIN)/mlfound sweep data.dataset=mnist-sample epochs=2 optimizer.lr=0.05,0.1 --seeds 0-2 --name demo
	$(BIN)/mlfound remedies --dataset mnist-sample rows=1000 epochs=1 --seeds 0-1 --name demo
	$(BIN)/mlfound conv-bench --budget 0.2 --name demo
	folder=$$(mktemp -d) && for step in new export test; do $(BIN)/mlfound notebook $$step $$folder/01_demo.ipynb || exit 1; done
	$(BIN)/mlfound runs --limit 12

faults: setup ## the long trials with faults and hostile input; ARGS="--only names" selects
	$(BIN)/python -m tests.faults $(ARGS)

bench: setup ## all benchmarks, some eight minutes; ARGS="--only step" selects
	$(BIN)/python -m tests.bench $(ARGS)

evidence: setup ## what was published, run again: configs/published, docs/evidence.md; ARGS="--only lenet5" selects
	$(BIN)/python -m tests.bench.evidence $(ARGS)

clean: ## remove .venv and what tools left; runs and data stay
	rm -rf $(VENV) build dist .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find mlfound tests -name __pycache__ -type d -prune -exec rm -rf {} +
