# make demo, make test: each sets up .venv first, where that has not been done. `make help` names the rest.

PYTHON ?= python3
BIN := .venv/bin
MINIMUM ?= tests/data tests/methods tests/heads tests/test_imports.py tests/commands/test_pretrain.py
READY := .venv/.ready
TOOLS := .venv-tools/.ready

.DEFAULT_GOAL := help
.PHONY: help setup hooks demo test test-slow test-minimum coverage soak hostile bench docs lint types format constraints stubs clean

help:  ## Name the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## */\1\t/' | expand -t 14

setup: $(READY)  ## Make .venv and install everything into it

hooks: $(READY)  ## Check style at each commit and types at each push, by pre-commit
	$(BIN)/pre-commit install

demo: $(READY)  ## Pretrain, segment and report on the built-in data set, in minutes: runs/demo/index.html
	$(BIN)/twinsight demo

test: $(READY) $(TOOLS)  ## Run the tests
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

test-slow: $(READY)  ## Run the slow tests
	$(BIN)/python -m pytest -m slow

test-minimum: $(READY)  ## Run tests against the lowest versions that pyproject.toml allows; MINIMUM="tests" for all
	$(BIN)/uv venv --quiet --clear --python 3.11 .venv-minimum
	$(BIN)/uv pip install --quiet --python .venv-minimum/bin/python --resolution lowest-direct --only-binary :all: \
	  --no-binary twinsight -e '.[dev]'
	OMP_NUM_THREADS=1 .venv-minimum/bin/python -m pytest $(MINIMUM)

coverage: $(READY) $(TOOLS)  ## Run the tests and say which lines of src they miss; COVERAGE="tests/data" for some
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --cov --cov-report term-missing:skip-covered $(COVERAGE)

soak: $(READY)  ## Kill 100 trainings, resume them, compare them with some left alone; SOAK="--seed 1 --kills 20"
	OMP_NUM_THREADS=1 $(BIN)/python tests/soak/soak.py $(SOAK)

hostile: $(READY)  ## Try hundreds of bad inputs, each of which must be refused in a sentence; WORDS="masks YAML" for some
	OMP_NUM_THREADS=1 $(BIN)/python tests/hostile/hostile_driver.py $(WORDS)

bench: $(READY)  ## Measure against peers, in turn, into benchmarks/results; BENCH="metrics step" or "--quick" for less
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[bench]' || \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]' || true
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks $(BENCH)

docs: $(READY)  ## Build the documentation: site/index.html
	$(BIN)/python -m zensical build --strict --clean

lint: $(READY)  ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## Check types
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/basedpyright --pythonpath $(BIN)/python -p tests

format: $(READY)  ## Fix style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

stubs: $(READY)  ## Write the keywords of the Python functions from the options: src/twinsight/api/keywords.py
	$(BIN)/python tools/write_keywords.py

constraints: $(READY)  ## Pin what pyproject.toml asks for: constraints.txt
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --no-header --no-annotate --quiet -o constraints.txt

clean:  ## Remove .venv and all caches, not runs or data
	rm -rf .venv .venv-minimum .venv-tools .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* build dist site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pip is the way out where uv has no wheel or cannot install.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON): missing or older than Python 3.11; install that, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON): has no venv; install it (on Debian and Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || true
	$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]' || \
	  $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# Annotation tools write the exports that tests read. They cannot share .venv: they require older versions of what we do.
$(TOOLS): tests/data/exports/tools.txt | $(READY)
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(BIN)/uv pip install --quiet --python $(@D)/bin/python --no-deps -r $< || \
	  $(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	touch $@
