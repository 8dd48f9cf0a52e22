# `make demo` and `make test` need Python 3.10 or newer, make and the package registry, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt

# Behind a proxy with certificates of its own: uv and pip trust what the system trusts, unless told otherwise.
CA_BUNDLE := $(or $(SSL_CERT_FILE),$(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt \
	/etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem)))
ifneq ($(CA_BUNDLE),)
export UV_SYSTEM_CERTS ?= true
ifeq ($(REQUESTS_CA_BUNDLE),)
export PIP_CERT ?= $(CA_BUNDLE)
endif
endif

# Some systems forbid it everywhere. Tests start hundreds of processes, and each would compile our modules anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test campaign lint format definitions site bench clean help
.DEFAULT_GOAL := help

help:  ## Show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.demo  ## Run the main job end to end against the sandbox, and check that it ties
	@PYTHONUTF8=1 $(BIN)/python -m demo

test: $(VENV)/.dev  ## Run the tests, of the long campaigns a sample
	@$(BIN)/python -m pytest -q -m "not long"

campaign: $(VENV)/.dev  ## Run the long campaigns: every seed of kills and faults, every case of long tables
	@$(BIN)/python -m pytest -q -m campaign --dist=worksteal

lint: $(VENV)/.dev  ## Check style, types and the documentation's links
	@mkdir -p output
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/typos
	@if [ -x $(BIN)/zensical ]; then $(BIN)/zensical build --strict >output/site.log || { cat output/site.log; exit 1; }; \
		else echo "The site is checked with Python 3.11 and newer."; fi
	@$(BIN)/mypy

format: $(VENV)/.dev  ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

definitions: $(VENV)/.dev  ## Write settings and streams into docs/, plugins/ and meltano.yml, from the code
	@$(BIN)/python -m plugins.definitions

site: $(VENV)/.dev  ## Build the documentation as a site, into output/site
	@$(BIN)/zensical build --strict --clean
	@echo "Open output/site/index.html; to search it: $(BIN)/python -m http.server --directory output/site"

bench: $(VENV)/.dev  ## Measure speed and memory beside the alternatives
	@$(BIN)/python -m benchmarks

clean:  ## Remove everything that was installed or made
	@rm -rf $(VENV) .venv-bench .meltano output .mypy_cache .pytest_cache .ruff_cache

# The stamps keep the second run quick: nothing is installed again until these files change.
$(VENV)/.base: Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed; try: make PYTHON=python3.12 ...")'
	@echo "Preparing $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@touch $@

$(VENV)/.demo: $(VENV)/.base pyproject.toml constraints.txt
	@echo "Installing (once) ..."
	@$(UV) --editable '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.base pyproject.toml constraints.txt
	@echo "Installing (once) ..."
	@$(UV) --editable '.[dev]'
	@touch $@ $(VENV)/.demo
