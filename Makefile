# Every target makes .venv by itself. PYTHON names the interpreter to make it with.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
# Two processes share the tests, and some benchmarks; threads of a matrix library inside each would only wait for each
# other, and a time with one thread is the steadier one.
ONE := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
# Each process begins with half of the tests, file after file, so that what a file computes once is computed once, and at
# the end takes over what the other has left.
TEST := $(ONE) $(BIN)/python -m pytest -q -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help verify test lint explore bench docs vectors fuzz clean

help:  ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,benchmarks,dask,docs]'
	@touch $@

verify: $(READY)  ## hold the hand-written gradients against torch.autograd and differences on random networks
	$(BIN)/gradient-oracle verify

test: $(READY)  ## the test suite (deterministic)
	$(TEST)

explore: $(READY)  ## the property tests on new random examples; prints the seed
	$(TEST) tests --hypothesis-profile=explore

lint: $(READY)  ## ruff and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2

bench: $(READY)  ## every benchmark, quick settings, and a page of what they show
	$(ONE) $(BIN)/python -m benchmarks

docs: $(READY)  ## the documentation site, in docs/_build/html
	rm -rf docs/_build
	$(ONE) $(BIN)/python -m sphinx -n -W --keep-going -E -q -c docs/site . docs/_build/html
	rm -rf docs/_build/html/.doctrees
	@echo docs/_build/html/index.html

vectors: $(READY)  ## write the committed test vectors again
	rm -f torch_compare/vectors/*.json torch_compare/vectors/*.safetensors
	$(BIN)/gradient-oracle vectors torch_compare/vectors

fuzz: $(READY)  ## 100,000 damaged files through every reader; prints the seed, what was refused and the memory
	$(BIN)/python -m tests.fuzz.readers

clean:  ## remove .venv, caches and the site
	rm -rf docs/_build .venv .mypy_cache .ruff_cache .hypothesis
