# Two commands: `make book` builds the HTML, `make test` proves it. See README.md.
# Written for the make that macOS ships (GNU make 3.81), so nothing newer is used.

VENV ?= .venv
BIN := $(VENV)/bin
HTML := _build/html/index.html

# The same small, silent, CPU-only run everywhere, so that a GPU changes no committed output.
QUIET_CPU := COURSE_SCALE=cpu COURSE_QUIET=1 CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=1
PYTEST := $(QUIET_CPU) $(BIN)/python -m pytest -p no:cacheprovider
UNIT := tests utils experiments --doctest-modules --ignore tests/notebooks --ignore tests/site -n 2 --dist loadfile

.PHONY: book test lint lint-python lint-javascript types unit hygiene nbval site
.PHONY: quick shuffled format notebooks lab serve set-repository clean install-cpu

book: $(VENV)/.book
	@$(BIN)/jupyter-book build . --quiet
	@echo "Built $(HTML). Open it in a browser (\`open\` on macOS, \`xdg-open\` on Linux), or run \`make serve\`."

# ---- what `make test` runs, in this order, each failing loudly -------------------------------

test: $(VENV)/.all
	@$(MAKE) lint
	@$(MAKE) unit
	@$(MAKE) hygiene
	@$(MAKE) nbval
	@$(MAKE) site
	@echo "All checks passed."

lint: lint-python lint-javascript types

lint-python: $(VENV)/.all
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

lint-javascript: $(VENV)/.all
	DENO_NO_UPDATE_CHECK=1 $(BIN)/deno fmt --check
	DENO_NO_UPDATE_CHECK=1 $(BIN)/deno lint

types: $(VENV)/.all
	$(BIN)/basedpyright --pythonpath $(BIN)/python

# The tests of every room, and the examples in the docstrings.
unit: $(VENV)/.all
	$(PYTEST) $(UNIT)

hygiene: $(VENV)/.all
	$(PYTEST) tests/notebooks/test_hygiene.py

# Every notebook again, its outputs against the stored ones; then the numbers the pages paste.
nbval: $(VENV)/.all
	@mkdir -p _build && rm -f _build/glue.jsonl
	COURSE_GLUE_LOG="$(CURDIR)/_build/glue.jsonl" $(PYTEST) --nbval notebooks -n 2 --dist loadfile --durations 5
	COURSE_GLUE_LOG="$(CURDIR)/_build/glue.jsonl" $(PYTEST) tests/notebooks

site: $(VENV)/.all
	$(BIN)/jupyter-book build . --all --quiet -W -n --keep-going
	$(PYTEST) tests/site

# ---- working on the course -------------------------------------------------------------------

# Less than two minutes on two cores: no slow test, no browser, no notebook.
quick: $(VENV)/.all
	$(PYTEST) $(UNIT) -m "not slow and not browser"

# The unit tests in five orders and with five hash seeds: none may depend on either.
SEEDS ?= 1 2 3 4 5
shuffled: $(VENV)/.all
	@for seed in $(SEEDS); do \
	  echo "COURSE_SHUFFLE=$$seed PYTHONHASHSEED=$$seed make unit"; \
	  COURSE_SHUFFLE=$$seed PYTHONHASHSEED=$$seed $(MAKE) unit || exit 1; done

notebooks: $(VENV)/.all
	$(QUIET_CPU) $(BIN)/python -m utils.book.notebooks refresh $(NOTEBOOKS)

format: $(VENV)/.all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	DENO_NO_UPDATE_CHECK=1 $(BIN)/deno fmt

lab: $(VENV)/.all
	$(BIN)/jupyter lab

serve: book
	@echo "http://localhost:8000 (stop with Ctrl-C)"
	@$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory _build/html

set-repository: $(VENV)/.book
	$(BIN)/python -m utils.book.repository "$(URL)"

clean:
	rm -rf _build .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# ---- environments ----------------------------------------------------------------------------

$(VENV)/bin/python:
	@python=$$(for p in "$(PYTHON)" python3 python3.13 python3.12 python3.11; do \
	  [ -n "$$p" ] && "$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	  && echo "$$p" && break; done); \
	if [ -z "$$python" ]; then \
	  echo "The course needs Python 3.11, 3.12 or 3.13; found $$(python3 --version 2>&1). Name one with make PYTHON=…" >&2; exit 1; fi; \
	[ -d "$(VENV)" ] && before=1; echo "Making $(VENV) with $$($$python --version)"; \
	"$$python" -m venv "$(VENV)" || { [ -n "$$before" ] || rm -rf "$(VENV)"; \
	  echo "Could not make $(VENV): Python needs its venv module (Debian and Ubuntu: python3-venv)." >&2; exit 1; }

$(VENV)/.book: requirements-book.txt | $(VENV)/bin/python
	@$(call install,requirements-book.txt)
	@touch $@

$(VENV)/.all: requirements.txt requirements-book.txt requirements-notebooks.txt | $(VENV)/bin/python
	@$(call install,requirements.txt)
	@touch $(VENV)/.book $@

# On Linux without an NVIDIA card: the plain install pulls gigabytes of CUDA libraries.
install-cpu: | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --python $(BIN)/python --torch-backend=cpu -r requirements.txt
	@touch $(VENV)/.book $(VENV)/.all

define install
echo "Installing $(1) into $(VENV)" && $(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(1) \
|| { echo "Could not install $(1): is the network reachable? pip's own message stands above." >&2; exit 1; }
endef
