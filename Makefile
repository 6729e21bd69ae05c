# An interpreter to use instead of the first that .ci/find-python finds
PYTHON ?=
FIND_PYTHON = python=$$(sh .ci/find-python $(if $(PYTHON),"$(PYTHON)"))
# Nothing is resolved: what the lock does not name is not installed, whatever has been released since.
PIP_LOCKED := -m pip install --no-deps --require-hashes --only-binary :all:
# compiled as pip compiles the rest: where Python may write no bytecode, each process would compile it anew
CODE := $(wildcard features models service client/creator_yield_client cli.py train.py predict.py serve.py)
# Only relative paths and `python -m`: make's targets, and some scripts' first lines, know no blanks in a path.
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := build/demo

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast test-long lint docs format bench bench-peers bench-efficiency bench-ablation replay bench-serve bench-batch bench-creators bench-trees bench-memory soak soak-serve fuzz-serve ledger test-bare test-clients client-types audit lock clean bench-training test-engines

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## set up .venv from the locked versions

# The stamp comes last and goes first: an interrupted install is done again. It holds the folder's path, for an
# environment that was moved or copied still points to its first folder.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif
$(STAMP): requirements-dev.lock pyproject.toml client/pyproject.toml
	rm -f $@
	$(FIND_PYTHON) && "$$python" -m venv --clear $(VENV)
	$(BIN)/python $(PIP_LOCKED) -r requirements-dev.lock
	$(BIN)/python -m pip install --no-deps --no-build-isolation --no-index -e . -e ./client
	$(BIN)/python -m compileall -q -j 0 $(CODE)
	@error=$$($(BIN)/python -c 'import lightgbm' 2>&1) || { printf '%s\n' "$$error" | tail -n 1; \
		echo 'LightGBM needs OpenMP: apt-get install libgomp1 (Debian, Ubuntu) or brew install libomp (macOS)'; exit 1; } >&2
	pwd -P > $@

demo: export MLFLOW_TRACKING_URI ?= sqlite:///$(DEMO)/mlflow.db
demo: install ## make a made-up market, train on it, rank its candidates
	mkdir -p $(DEMO)
	$(BIN)/python -m demo $(DEMO)/market --force
	$(BIN)/python train.py $(DEMO)/market/data
	$(BIN)/python predict.py $(DEMO)/market/candidates.parquet --data $(DEMO)/market/data --output $(DEMO)/scores.parquet

# two files at a time, shared out and in the order of tests/conftest.py: the slow ones first
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test: install lint ## lint, then run all tests, two files at a time
	$(PYTEST) --durations=10

test-fast: install ## the fast half of the tests, within a minute
	$(PYTEST) -m "not slow and not long and not bare and not clients and not engines"

test-long: install ## what trains, serves or is killed again and again: a quarter of an hour or so
	$(PYTEST) -m long --durations=10

test-bare: install ## load the registered model in an environment made from its own requirements alone
	$(BIN)/python -m pytest -m bare

test-clients: install ## make clients from the OpenAPI document with common generators, compile and use them (needs npm)
	$(BIN)/python -m pytest -m clients

# Spark (4.0, needs Java 17) and Sail, a Spark server in one wheel, stand beside the locked packages, in an environment
# of their own: pyspark has 430 MB, and is built from its sdist.
SPARK := pyspark==4.0.4 py4j==0.10.9.9 pysail==0.7.2 grpcio==1.85.3 grpcio-status==1.85.3 \
	googleapis-common-protos==1.76.0 zstandard==0.25.0
test-engines: install ## make features and scores in a Spark cluster and in Sail too, and compare them with DuckDB's
	$(BIN)/python -m venv --clear build/engines
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
		"$$(build/engines/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/locked.pth"
	build/engines/bin/python -m pip install --quiet --no-deps $(SPARK)
	build/engines/bin/python -m pytest -m engines

client-types: install ## write the client's types anew from the service's
	$(BIN)/python -m service.api.client_types client/creator_yield_client/types.py

lint: install ## check style, format and types
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy

DOCUMENTED := features models service demo train predict serve cli creator_yield_client
# what pdoc warns of: types that cannot be resolved, modules that cannot be imported
PDOC_FAULTS := $(foreach module,doc doc_ast doc_types,-W error::UserWarning:pdoc.$(module))

docs: install ## make the API reference from the docstrings, in build/docs
	rm -rf build/docs
	PDOC_ALLOW_EXEC=1 $(BIN)/python $(PDOC_FAULTS) -m pdoc --output-directory build/docs $(DOCUMENTED)

format: install ## put the code into the project's format
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

bench: install ## measure features and comment classes
	$(BIN)/python -m benchmarks.features
	$(BIN)/python -m benchmarks.comment_classes

bench-serve: install ## measure the service against mlflow models serve (needs wrk)
	$(BIN)/python -m benchmarks.serve
	$(BIN)/python -m benchmarks.serve_turns
	$(BIN)/python -m benchmarks.serve_overload

bench-batch: install ## measure predict.py on a long list against a tight loop over LightGBM
	$(BIN)/python -m benchmarks.batch

bench-creators: install ## measure a long list over a history of a million creators and 40 million posts
	$(BIN)/python -m benchmarks.many_creators

bench-trees: install ## measure compiled trees against LightGBM, and compare their bits on a million rows
	$(BIN)/python -m benchmarks.trees

bench-training: install ## measure a training on a million results against the bare LightGBM fits in it (hours)
	$(BIN)/python -m benchmarks.training

bench-memory: install ## what a million creators take of memory in the service's workers
	$(BIN)/python -m benchmarks.serve_memory

soak-serve: install ## ten minutes of load, swaps, killed workers and an absent registry
	$(BIN)/python -m benchmarks.serve_soak

soak: install ## kills at any moment, faults at every step, and trainings and additions at once, in full number
	$(BIN)/python -m pytest --soak -m "slow or long" -o faulthandler_timeout=0 tests/commands/test_kill.py \
		tests/commands/test_faulty_training.py tests/commands/test_faulty_sealing.py tests/models/batch/test_resume.py \
		tests/models/registry/test_team_server.py \
		tests/features/history/append/test_interrupted.py tests/features/history/append/test_at_once.py

fuzz-serve: install ## thousands of requests made from the OpenAPI document (schemathesis), all answers checked
	$(BIN)/python -m tests.support.service_fuzz

# Make itself ends with 2 whatever a command's status is; 3, something to look at, shows in its last line.
LEDGER ?= ledger.jsonl
ledger: install ## check a forecast ledger: nothing changed, nothing gone (LEDGER=FILE for another than ledger.jsonl)
	$(BIN)/python -m models.monitoring.ledger $(LEDGER)

audit: ## look for known vulnerabilities among the locked versions
	$(FIND_PYTHON) && "$$python" -m venv --clear build/audit
	if build/audit/bin/python -m pip install --quiet "pip-audit>=2.10,<3"; then \
		build/audit/bin/python .ci/audit.py requirements-dev.lock; \
	else echo "audit: NOT DONE, pip-audit cannot be installed from here"; fi

# What only the peers need is in no lock; what is installed already stays as it is.
PEERS := $(VENV)/.peers
$(PEERS): $(STAMP)
	$(BIN)/python -m pip install --quiet --only-binary :all: --no-build-isolation -e ".[bench]"
	touch $@

bench-peers: $(PEERS) ## ours beside what a user would pick instead, on the demo market
	$(BIN)/python -m benchmarks.peers

bench-efficiency: $(PEERS) ## how many results a ranking needs: ours and the peers'
	$(BIN)/python -m benchmarks.efficiency

bench-ablation: install ## which part of our model brings what
	$(BIN)/python -m benchmarks.ablation

replay: install ## a year of the demo market, retrained week by week (an hour or so): door, gate, ledger, what lists bought
	$(BIN)/python -m benchmarks.replay

COMPILE := build/lock/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet
lock: ## resolve the locks anew, keeping pins that still fit (delete the locks first to raise them)
	$(FIND_PYTHON) && "$$python" -m venv --clear build/lock
	build/lock/bin/python -m pip install --quiet uv
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --constraints requirements.lock --extra postgres --extra fast --extra service --extra dev --output-file requirements-dev.lock

clean: ## remove what the other targets made, all but .venv
	rm -rf build .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
