# make demo    compress and restore a photograph with what a user would install (no PyTorch)
# make test    everything installed, ruff, mypy (types) and the tests;  make test-slow: the ones marked slow as well
# make bench DATA=DIR    size and speed on a folder of images, beside PNG, WebP and JPEG XL
# make api     pages of every module's functions, from their docstrings, in docs/api
# Another interpreter: make test PYTHON=python3.12 (after make clean). On an NVIDIA card: RUNTIME=gpu.

PYTHON ?= python3
RUNTIME ?= cpu
DEMO := .venv-demo
TEST := .venv-test
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
PIP_FLAGS := --quiet --disable-pip-version-check
# Two processes that take the test files in turn: what a file's tests share is made once, and two cores are busy.
PYTEST_FLAGS := -q -n 2 --dist loadfile
RECIPE := setup.cfg pyproject.toml constraints.txt
ROOMS := $(wildcard */__init__.py)
PACKAGE := $(ROOMS) $(shell find codec runtime -type f ! -name "*.pyc")

.PHONY: help demo test test-slow bench api clean

help:
	@sed -n 's/^# //p' Makefile | head -5

demo: $(DEMO)/.installed
	$(DEMO)/bin/python tools/demo.py

test: $(TEST)/.installed
	$(TEST)/bin/ruff check .
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/python -m mypy
	$(TEST)/bin/python -m pytest $(PYTEST_FLAGS) -m "not slow"

test-slow: $(TEST)/.installed
	$(TEST)/bin/python -m pytest $(PYTEST_FLAGS)

bench: $(TEST)/.installed
	@test -n "$(DATA)" || { echo "usage: make bench DATA=DIR" >&2; exit 2; }
	$(TEST)/bin/python tools/bench_codec.py "$(DATA)" --peers png,webp,jxl --json bench.json

api: $(TEST)/.installed
	$(TEST)/bin/python tools/make_api.py docs/api

clean:
	rm -rf $(DEMO) $(TEST) build docs/api *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis bench.json

# A copy is installed, as a user has it. build/ would bring back modules that are gone from the tree.
$(DEMO)/.installed: $(RECIPE) $(PACKAGE)
	@echo "installing into $(DEMO)"
	test -x $(DEMO)/bin/python || $(PYTHON) -m venv $(DEMO)
	rm -rf build
	$(DEMO)/bin/pip install $(PIP_FLAGS) --constraint constraints.txt ".[$(RUNTIME)]"
	rm -rf build
	touch $@

$(TEST)/.installed: $(RECIPE) $(ROOMS) $(TEST)/.torch
	@echo "installing into $(TEST)"
	$(TEST)/bin/pip install $(PIP_FLAGS) --constraint constraints.txt --editable ".[$(RUNTIME),train,export,test]"
	touch $@

# PyTorch comes first: without an NVIDIA card its CPU build, which the constraint then accepts as it is, because the
# plain version brings gigabytes of CUDA on Linux.
$(TEST)/.torch: constraints.txt
	@echo "installing PyTorch $(TORCH) into $(TEST)"
	test -x $(TEST)/bin/python || $(PYTHON) -m venv $(TEST)
	if test "$$(uname)" != Linux || nvidia-smi >/dev/null 2>&1; then \
	  $(TEST)/bin/pip install $(PIP_FLAGS) --constraint constraints.txt "torch==$(TORCH)"; \
	else \
	  $(TEST)/bin/pip install $(PIP_FLAGS) --constraint constraints.txt "torch==$(TORCH)+cpu" || \
	  $(TEST)/bin/pip install $(PIP_FLAGS) "torch==$(TORCH)+cpu" --index-url https://download.pytorch.org/whl/cpu; \
	fi
	touch $@
