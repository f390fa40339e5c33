# The verbs of this project. `make` alone lists them. All that is needed: make, and Python 3.11 or
# 3.12. Everything else is installed into .venv from constraints.txt.
#
# pip is steered by its own settings: PIP_* variables and pip.conf pass through untouched. On Linux
# pip's usual torch brings several GB of CUDA libraries along. That is what a machine with a GPU
# needs, and it runs on a CPU as well. Where the download is too large, point pip (PIP_FIND_LINKS,
# PIP_EXTRA_INDEX_URL) to a place with torch's CPU builds: constraints.txt accepts either build.

SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Processes for the tests; each has its own PostgreSQL and Redis.
TEST_PROCESSES ?= 2
# Modules are compiled when they are first used and then kept, instead of all at installation: half a
# minute less until the first page. That needs leave to write the results.
unexport PYTHONDONTWRITEBYTECODE
# More arguments: make test ARGS="-k judging", make demo ARGS="--port 9000"
ARGS ?=

.PHONY: help
help: ## List these verbs
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

# ------------------------------------------------------------------------------------- to use it

.PHONY: demo
demo: setup ## Start everything with a filled demo project and print a sign-in link
	@$(BIN)/illume up --demo $(ARGS)

.PHONY: up
up: setup ## Start everything: web, workers, beat, and PostgreSQL and Redis unless URLs are given
	@$(BIN)/illume up $(ARGS)

.PHONY: setup
setup: $(STAMP) ## Make .venv and install what is missing (runs by itself where needed)
	@:

# A name on PATH is not enough: a version manager's shim may stand there for a version that is not
# installed, and a system's Python may lack the module that makes environments.
$(BIN)/python:
	@for candidate in $(PYTHON) python3.11 python3.12 python3; do \
	    if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then \
	        echo "Making $(VENV) with $$("$$candidate" --version) ($$candidate)"; \
	        "$$candidate" -m venv $(VENV) && exit 0; \
	        exit 1; \
	    fi; \
	done; \
	echo "Python 3.11 or 3.12 with its venv module is needed. Install one (on Debian and Ubuntu:" >&2; \
	echo "python3.11 and python3.11-venv), or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; \
	exit 1

$(STAMP): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what pyproject.toml asks for, at the versions of constraints.txt"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	    --no-compile --constraint constraints.txt setuptools
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-compile \
	    --constraint constraints.txt --editable '.[worker,embedded,parquet,dev]'
	@touch $@

# ------------------------------------------------------------------------------------- to test it

.PHONY: test
test: setup browser ## Run the tests (the slow ones apart)
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal -m "not slow" $(ARGS)

.PHONY: test-slow
test-slow: setup browser ## Run the long tests: kills, model families, browsers at scale
	@# Both parts run, whatever the first one says; status 5 is "no test of this part was asked for".
	@failed=0; \
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal -m "slow and not alone" \
	    --timeout 1800 --durations 20 $(ARGS) || [ $$? = 5 ] || failed=1; \
	$(BIN)/python -m pytest -m "slow and alone" \
	    --timeout 1800 --durations 20 $(ARGS) || [ $$? = 5 ] || failed=1; \
	exit $$failed

.PHONY: coverage
coverage: setup browser ## Run the tests and say which lines and branches they miss
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) -m "not slow" --cov --cov-report=term $(ARGS)

# Chromium for the browser tests: the one that is there, or the system's package.
.PHONY: browser
browser:
	@for name in chromium chromium-browser google-chrome google-chrome-stable; do \
	    if command -v "$$name" >/dev/null 2>&1; then exit 0; fi; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then \
	    echo "Installing Chromium for the browser tests"; \
	    (apt-get install -y -q --no-install-recommends chromium \
	        || (apt-get update -q && apt-get install -y -q --no-install-recommends chromium)) \
	        >/dev/null 2>&1 && exit 0; \
	fi; \
	echo "################################################################################"; \
	echo "#  NO CHROMIUM: THE BROWSER TESTS WILL BE SKIPPED. Install the package chromium."; \
	echo "################################################################################"

# ------------------------------------------------------------------------------------ to check it

.PHONY: check
check: lint types contracts rules ## Linters, types, import contracts, templates, spelling, migrations

.PHONY: lint
lint: setup ## ruff, djlint, codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/djlint --quiet --lint templates
	$(BIN)/codespell

.PHONY: types
types: setup ## mypy, strict
	$(BIN)/mypy

.PHONY: contracts
contracts: setup ## Import contracts
	$(BIN)/lint-imports

.PHONY: rules
rules: setup ## The house rules that are tests (migrations among them)
	$(BIN)/python -m pytest -q -n $(TEST_PROCESSES) --dist worksteal tests/architecture

.PHONY: format
format: setup ## Rewrite code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# ----------------------------------------------------------------------------------- to change it

.PHONY: migrate
migrate: setup ## Bring the database to the newest schema
	$(BIN)/illume migrate

.PHONY: revision
revision: setup ## Write a migration from the models: make revision m="add a column"
	@test -n "$(m)" || { echo 'Say what it does: make revision m="add a column"' >&2; exit 2; }
	$(BIN)/alembic revision --autogenerate -m "$(m)"

.PHONY: messages
messages: setup ## Collect the texts of the pages into app/web/language/locale, to be translated there
	@mkdir -p build
	$(BIN)/pybabel extract --mapping pyproject.toml --keyword Sentence \
	    --keyword CountedSentence:1,2 --add-location file \
	    --no-wrap --sort-output --omit-header --output build/messages.pot .
	$(BIN)/pybabel update --locale de --input-file build/messages.pot --omit-header --no-wrap \
	    --no-fuzzy-matching --ignore-obsolete --output-file app/web/language/locale/de.po

.PHONY: lock
lock: setup ## Choose new versions for constraints.txt (needs both Pythons on PATH)
	$(BIN)/python -m tests.architecture.lock python3.11 python3.12

.PHONY: gpu-wheels
gpu-wheels: setup ## Gather the packages that benchmarks/on_gpu.sh needs on a machine without network
	$(BIN)/python -m benchmarks.gpu_wheels $(ARGS)

.PHONY: hooks
hooks: ## Run the quick checks before every commit (needs the program pre-commit)
	@command -v pre-commit >/dev/null || { echo "The program pre-commit is missing. Install it: pipx install pre-commit" >&2; exit 1; }
	pre-commit install

.PHONY: clean
clean: ## Remove .venv and the caches of tools; data folders stay
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache \
	    .hypothesis .coverage .coverage.* htmlcov
	find app worker migrations tests -name __pycache__ -type d -prune -exec rm -rf {} +
