# Two commands do all: `make up` runs the product, `make test` passes the tests. Each sets itself up.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
BUILDAH ?= buildah
BUILD_OPTIONS ?=
BILL ?= .mandate/bill.json
# Some containers forbid Python to keep what it compiled: each of the hundred processes here would compile all anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup up demo bench test test-alone test-others check format pins image bill clean

help:
	@echo "make up      run the product on this machine, with two demo companies"
	@echo "make test    pass the tests"
	@echo "make check   lint, format, types, layering, tenants and permits"
	@echo "make demo    walk through the whole story and check every step"
	@echo "make bench   measure"

setup: $(STAMP)

$(STAMP): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Mandate needs Python 3.11 or newer; set PYTHON=python3.x"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "Python's venv module is missing (Debian: apt install python3-venv)"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[^ ]+' requirements-dev.txt)"
	$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --require-hashes -r requirements-dev.txt
	$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

up: setup
	$(BIN)/mandate up

demo: setup
	$(BIN)/mandate demo

bench: setup
	$(BIN)/mandate bench

test: setup
	@$(MAKE) --no-print-directory --jobs 2 test-alone test-others

# Isolation shares one product, in the order of its files, and tells its own process of it: so it is a run of its own.
test-alone:
	$(BIN)/python -m pytest -q tests/isolation
	$(BIN)/python -m pytest -n 2 --dist loadfile tests/unit tests/contract

# What is slow first, so that no core waits for a slow file at the end; three, since many tests wait more than they work.
SLOW := tests/infra/test_image.py tests/e2e/ tests/faults/ tests/infra/
test-others:
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder \
	  $(SLOW) $(filter-out $(SLOW) tests/isolation/ tests/unit/ tests/contract/ %/__pycache__/,$(wildcard tests/*/))

check: setup
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/python -m mandate.lint

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pins: setup
	$(BIN)/uv pip compile --quiet --system-certs --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --upgrade pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --system-certs --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --upgrade --extra local --extra dev pyproject.toml -o requirements-dev.txt
	echo hatchling | $(BIN)/uv pip compile --quiet --system-certs --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --upgrade - -o requirements-build.txt

# The image of the services, and its bill of materials: docs/releases.md. As root, or within `buildah unshare`.
image:
	$(BUILDAH) bud --quiet --layers=false --format docker $(BUILD_OPTIONS) --tag mandate .

bill:
	syft scan --quiet --output cyclonedx-json=$(BILL) "dir:$$($(BUILDAH) mount "$$($(BUILDAH) from --pull-never mandate)")"

clean:
	rm -rf .venv .mandate
