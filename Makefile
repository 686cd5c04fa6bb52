# Everything a newcomer or CI runs. Each target sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin
UV := .tools/uv/bin/uv
UV_VERSION := 0.13.9
READY := .venv/.ready
CODEGEN := .tools/codegen/.ready
export UV_PYTHON_DOWNLOADS := never
# The machine's own certificates where it has them: a proxy may stand between it and the package index.
export UV_SYSTEM_CERTS := $(if $(wildcard /etc/ssl/certs/ca-certificates.crt),1,0)
unexport VIRTUAL_ENV
# buf and the plugins that it starts are found by name.
export PATH := $(CURDIR)/$(BIN):$(PATH)

SOURCES := server clients/python tests examples tools benchmarks

.PHONY: oracles help demo test check lint types imports gen gen-check docs-check clients conformance breaking faults bench test-oracles client-lowest format dist dist-check clean
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## start a server, watch a picture develop, edit it, see an error
	@$(BIN)/python examples/demo.py

test: $(READY) ## run the tests
	@$(BIN)/python -m pytest -q -rs -n auto $(ARGS)

faults: $(READY) ## what may go wrong between client, server and provider: cut, killed, stalled, full, stopped
	@$(BIN)/python -m pytest -q -n auto --dist worksteal tests/faults $(ARGS)

test-oracles: oracles ## the tests that hold adapters and fakes against the vendors' own packages
	@$(BIN)/python -m pytest -q -n auto tests/providers tests/unit/http $(ARGS)

oracles: $(UV) ## install the vendors' own packages; `make test` then runs what it skips without them
	@$(UV) sync --frozen --quiet --group oracles --python $(PYTHON)
	@touch $(READY)

bench: $(READY) ## compare the service with a gRPC echo and with plain httpx; writes benchmarks/README.md and sizes of docs
	@$(BIN)/python benchmarks/run.py --write $(ARGS)
	@PYTHONPATH=. $(BIN)/python benchmarks/local_previews.py --write
	@PYTHONPATH=.:tests/conformance/gen $(BIN)/python benchmarks/clients.py --write
	@PYTHONPATH=. $(BIN)/python benchmarks/scaling.py --write

client-lowest: $(READY) ## the Python client's tests on the oldest versions that it promises
	@tools/client-lowest

check: lint types gen-check docs-check breaking ## all that is checked without running the server

lint: $(READY) ## style of Python and proto
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/buf lint
	@$(BIN)/buf format -d --exit-code
	@$(MAKE) --no-print-directory imports

types: $(READY) ## mypy strict
	@$(BIN)/mypy $(SOURCES)

imports: $(READY) ## the rooms import downward only
	@$(BIN)/lint-imports

gen: $(READY) $(CODEGEN) ## generate the stubs and the reference pages from proto/, and the page of all providers
	@rm -rf clients/python/src/imagegen/v1/*_pb2* tests/conformance/gen
	@$(BIN)/buf generate proto --template tools/codegen/python.gen.yaml 2>&1 | grep -v '^Writing mypy' || true
	@$(BIN)/buf generate tests/conformance/proto --template tests/conformance/python/buf.gen.yaml 2>&1 | grep -v '^Writing mypy' || true
	@tools/gen-clients
	@$(BIN)/python tools/reference.py
	@$(BIN)/python tools/providers.py

gen-check: $(READY) $(CODEGEN) ## the generated code is that of proto/
	@tools/gen-check

docs-check: $(READY) ## the generated pages are fresh, links in the docs lead somewhere, one version stands everywhere
	@$(BIN)/python tools/version.py --check
	@$(BIN)/python tools/reference.py --check
	@$(BIN)/python tools/providers.py --check
	@$(BIN)/python tools/links.py

breaking: $(READY) ## report what would break clients of the main branch
	@tools/breaking

clients: $(READY) ## build, check and test the client of every language
	@tools/clients $(ARGS)

conformance: $(READY) ## the same cases with the client of every language, and all tests of every provider
	@test -n "$$CI$(ARGS)" || $(BIN)/python -m pytest -q -rs -n auto tests/providers
	@PYTHONPATH=tests/conformance/gen GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.conformance.run $(ARGS)
	@test -n "$(ARGS)" || PYTHONPATH=tests/conformance/gen GRPC_VERBOSITY=ERROR $(BIN)/python -m tests.conformance.run --two-servers --skew 3600 python

format: $(READY) ## put the sources into shape
	@$(BIN)/ruff check --fix -q $(SOURCES) || true
	@$(BIN)/ruff format -q $(SOURCES)
	@$(BIN)/buf format -w

dist: $(READY) ## build what is published, of every language
	@tools/dist dist

dist-check: $(READY) ## install all that `make dist` has built into empty places, and make a call with each
	@PYTHONPATH=tests/conformance/gen $(BIN)/python -m tests.packages.run $(ARGS)

clean: ## remove everything that was made here
	rm -rf .venv .tools dist out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "imagegen needs Python 3.11 or newer; say which by make PYTHON=...")'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing. Run: sudo apt-get install -y python3-venv"; exit 1; }
	@$(PYTHON) -m venv .tools/uv
	@.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(READY): $(UV) pyproject.toml uv.lock server/pyproject.toml clients/python/pyproject.toml examples/provider/pyproject.toml examples/middleware/pyproject.toml
	@$(UV) sync --frozen --quiet --python $(PYTHON)
	@touch $@

$(CODEGEN): $(UV) tools/codegen/pyproject.toml tools/codegen/uv.lock
	@UV_PROJECT_ENVIRONMENT=$(CURDIR)/.tools/codegen $(UV) sync --project tools/codegen --frozen --quiet --python $(PYTHON)
	@touch $@
