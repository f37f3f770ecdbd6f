# `make demo` and `make test` do all the set-up on a fresh machine with Python 3.11 or later.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test check lint fast mutants coverage docs bench wheel lowest constraints clean

EXECUTED := $(patsubst notebooks/%,build/notebooks/%,$(wildcard notebooks/*.ipynb))

demo: $(READY)
	$(BIN)/inversesr demo -o demo --force

# slow tests that take times, or fill the machine, come last and one after the other
test: fast
	$(BIN)/python -m pytest -q -m "slow and not alone" -n 2 --dist loadgroup --strict-skips
	$(BIN)/python -m pytest -q -m "slow and alone" --strict-skips

check: lint fast

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

fast: $(READY)
	$(BIN)/python -m pytest -q -m "not slow" -n 2 --dist loadgroup --strict-skips

# every promise in tests/mutation/table.py is broken once: a test has to notice
mutants: $(READY)
	$(BIN)/python -m tests.mutation

# lines and branches that the fast tests reach, in processes that they start too; TESTS=tests/io
# takes a part of them
TESTS := tests
coverage: export COVERAGE_FILE := $(CURDIR)/build/coverage/data
coverage: $(READY)
	rm -rf build/coverage && mkdir -p build/coverage
	$(BIN)/python -m coverage run -m pytest -q -m "not slow" $(TESTS)
	$(BIN)/python -m coverage combine -q build/coverage
	$(BIN)/python -m coverage report --skip-covered --sort=cover

# warnings are errors: a link that leads nowhere, a name that is not documented
docs: $(READY) $(EXECUTED)
	$(BIN)/mkdocs build --strict -f docs/site/mkdocs.yml

build/notebooks/%.ipynb: notebooks/%.ipynb | $(READY)
	$(BIN)/python -m nbconvert --to notebook --execute --output-dir build/notebooks $<

bench: $(READY)
	$(BIN)/inversesr bench solvers --solver spline,tv,unet
	$(BIN)/inversesr bench scaling
	$(BIN)/inversesr bench networks

# built, installed outside this checkout and run there
wheel:
	PYTHON=$(PYTHON) .ci/wheel

# the fast tests with the lowest versions that pyproject.toml allows, in an environment of its own;
# old packages warn of what is deprecated, and SimpleITK 2.4 crashes where that is an error
lowest: $(READY)
	mkdir -p build
	$(BIN)/python -m tests.support.lowest > build/lowest.txt
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/pip install -q -c build/lowest.txt -e . pytest hypothesis clarabel packaging
	.venv-lowest/bin/python -m pytest -q -m "not slow" -W default

# the versions in .venv become the tested ones
constraints: $(READY)
	sed -n '/^#/p' constraints.txt > constraints.new
	$(BIN)/pip freeze --exclude-editable | sed 's/+cpu//' >> constraints.new
	mv constraints.new constraints.txt

# torch first and by version: a plain `torch` would bring gigabytes of CUDA that a CPU never uses
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt torch
	$(BIN)/pip install -q -c constraints.txt -e ".[demo,notebooks,fetch,node,dwi,brainmask,generative,docs,dev]"
	touch $(READY)

clean:
	rm -rf $(VENV) .venv-lowest demo build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
