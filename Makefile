# Two commands: `make book` builds the HTML, `make test` proves it. See README.md.
# Written for the make that macOS ships (GNU make 3.81), so nothing newer is used.

VENV ?= .venv
PORT ?= 8000
HTML := _build/html/index.html

# Taken as they were typed: neither make nor the shell expands what stands in them.
override VENV := $(value VENV)
override PORT := $(value PORT)
override PYTHON := $(value PYTHON)
URL_ORIGIN := $(origin URL)
override URL := $(value URL)
override SITE := $(value SITE)
override SUBMISSIONS := $(value SUBMISSIONS)
override ASSIGNMENT := $(value ASSIGNMENT)
override SOLUTIONS := $(value SOLUTIONS)
# The environment's LANGUAGE is that of a desktop's programs: only the command line's is ours.
override BOOK_LANGUAGE := $(if $(filter command,$(origin LANGUAGE)),$(value LANGUAGE))
override LANGUAGE := $(value LANGUAGE)
override PAGE := $(value PAGE)
export BOOK_LANGUAGE PAGE
export PORT PYTHON URL SITE SUBMISSIONS ASSIGNMENT SOLUTIONS

# VENV stands in rules and commands, where it must mean nothing but itself. First its characters:
# what is left of it without these, one after the other?
override PLAIN := a b c d e f g h i j k l m n o p q r s t u v w x y z
override PLAIN += A B C D E F G H I J K L M N O P Q R S T U V W X Y Z
override PLAIN += 0 1 2 3 4 5 6 7 8 9 . _ / ~ + -
override LEFT := $(VENV)
$(foreach letter,$(PLAIN),$(eval override LEFT := $$(subst $(letter),,$$(LEFT))))

# Then its beginning, as commands take -x for an option and make takes +x for x. Nor is it empty.
override FAULT := $(if $(LEFT),left)$(filter -% +%,$(VENV))$(if $(VENV),,empty)
ifneq ($(FAULT),)
$(error VENV must be the path of a folder, of letters, digits and . _ / ~ + - \
  (the last two not in front), got '$(strip $(VENV))')
endif
BIN := $(VENV)/bin

# The same small, silent, CPU-only run everywhere, so that a GPU changes no committed output.
QUIET_CPU := COURSE_SCALE=cpu COURSE_QUIET=1 CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=1
PYTEST := $(QUIET_CPU) $(BIN)/python -m pytest -p no:cacheprovider
UNIT := tests utils experiments --doctest-modules --ignore tests/notebooks --ignore tests/site -n 2 --dist loadfile

.PHONY: book test lint lint-python lint-javascript types unit hygiene nbval site
.PHONY: assignments grade quick seeds times colab-scale rehearse-colab shuffled messages translation format notebooks lab serve set-repository check-repository dist clean install-cpu named-python

# `make book SOLUTIONS=hide` builds it without the exercises' solutions, in a folder of its own.
book: $(VENV)/.book
ifneq ($(BOOK_LANGUAGE),)
	@test -z "$$SOLUTIONS" || { echo "SOLUTIONS must be empty with LANGUAGE, got '$$SOLUTIONS'" >&2; exit 2; }
	@$(BIN)/python -m utils.book.languages build "$$BOOK_LANGUAGE" --quiet
else ifeq ($(SOLUTIONS),hide)
	@$(BIN)/python -m utils.book.hide --quiet
else ifeq ($(SOLUTIONS),)
	@$(BIN)/python -m utils.book.build --quiet
	@echo "Built $(HTML). Open it in a browser (\`open\` on macOS, \`xdg-open\` on Linux), or run \`make serve\`."
else
	@echo "SOLUTIONS must be hide, or empty, got '$$SOLUTIONS'" >&2; exit 2
endif

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
	COURSE_GLUE_LOG="$(CURDIR)/_build/glue.jsonl" $(PYTEST) --nbval --nbval-sanitize-with notebooks/nbval.cfg notebooks -n 2 --dist loadfile --durations 5
	COURSE_GLUE_LOG="$(CURDIR)/_build/glue.jsonl" $(PYTEST) tests/notebooks

site: $(VENV)/.all
	$(BIN)/python -m utils.book.build --all --quiet -W -n --keep-going
	$(PYTEST) tests/site -n 2 --dist worksteal

# ---- working on the course -------------------------------------------------------------------

# About two minutes on two quiet cores: no slow test, no browser, no notebook.
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

# How often each conclusion holds with other seeds. SHARD=1/3 is a third of the runs.
K ?= 5
SHARD ?= 1/1
override K := $(value K)
override SHARD := $(value SHARD)
export K SHARD
seeds: $(VENV)/.all
	$(QUIET_CPU) $(BIN)/python -m utils.book.seeds --k="$$K" --shard="$$SHARD"

# Every notebook at the scale that Colab runs; without a GPU its sections that use one are reduced.
colab-scale: $(VENV)/.all
	COURSE_QUIET=1 $(BIN)/python -m utils.book.scales --scale colab --shard="$$SHARD"

# Every notebook as Colab would run it, in an environment of its versions: 13 GB in .cache/colab.
# Needs Python 3.13, npm and Chromium. SCALE=colab is the larger scale.
COLAB := .cache/colab
SCALE ?= cpu
override SCALE := $(value SCALE)
export SCALE
rehearse-colab: $(VENV)/.all
	@test -e $(COLAB)/differences.json || $(BIN)/python -m utils.book.rehearsal environment $(COLAB)
	@$(BIN)/python -m utils.book.rehearsal run --python $(COLAB)/bin/python --scale "$$SCALE"
	@$(BIN)/python -m utils.book.rehearsal widgets $(COLAB)

# How long each notebook takes on one core, for those whose code has changed: the pages tell it.
times: $(VENV)/.all
	$(BIN)/python -m utils.book.times $(NOTEBOOKS)

# The sentences of all pages, in _build/gettext; what is translated in locale/ is brought up to date.
messages: $(VENV)/.book
	@$(BIN)/python -m utils.book.languages messages

# make translation LANGUAGE=fr PAGE=book/index begins the translation of a page.
translation: $(VENV)/.book
	@$(BIN)/python -m utils.book.languages start "$$BOOK_LANGUAGE" "$$PAGE"

format: $(VENV)/.all
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	DENO_NO_UPDATE_CHECK=1 $(BIN)/deno fmt

lab: $(VENV)/.all
	$(BIN)/jupyter lab

serve: book
	@$(BIN)/python -m utils.book.serve "$$PORT"

# SITE is where the pages are published; without it, what is written down for this URL already, or
# where GitHub Pages publishes the repository.
set-repository: $(VENV)/.book
ifeq ($(URL_ORIGIN),undefined)
	@echo "URL must be given: URL=https://host/owner/name, or URL= to take the address out" >&2; exit 2
endif
	@$(BIN)/python -m utils.book.repository -- "$$URL" "$$SITE"

# Whether URL is the address that is committed: a fork has that of another repository at first.
check-repository: $(VENV)/.book
	@$(BIN)/python -m utils.book.repository --check -- "$$URL"

# The built book to carry away, in _build/dist: a zip that opens from disk, and a PDF of all of it.
dist: $(VENV)/.all
	@$(MAKE) book
	@$(BIN)/python -m utils.book.dist $(if $(filter hide,$(SOLUTIONS)),--without-solutions)

# First the file by which a build knows that the book is whole: removing may be interrupted too.
clean:
	rm -f _build/book.complete
	rm -rf _build .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# ---- teaching --------------------------------------------------------------------------------

# What to hand out: assignments/release/, and in _build/assignments/ the solutions and a zip.
assignments: $(VENV)/.all
	@$(BIN)/python -m utils.grading.make

# make grade ASSIGNMENT=sampling SUBMISSIONS=dir: points and feedback in
# _build/grades/sampling/.
grade: $(VENV)/.all
	@$(BIN)/python -m utils.grading.grade -- "$$ASSIGNMENT" "$$SUBMISSIONS"

# ---- environments ----------------------------------------------------------------------------

# `.book` and `.all` say what was installed to its end, by which utils/book/environment.py makes
# them; without its Python that is nothing.
$(VENV)/.book: requirements-book.txt $(VENV)/bin/python | $(if $(PYTHON),named-python)
	@$(call environment,requirements-book.txt)

$(VENV)/.all: requirements.txt requirements-book.txt requirements-notebooks.txt $(VENV)/bin/python \
  | $(if $(PYTHON),named-python)
	@$(call environment,requirements.txt)

# On Linux without an NVIDIA card: the plain install pulls gigabytes of CUDA libraries.
install-cpu:
	@$(call environment,requirements.txt --cpu-torch)

# The two rules above make it.
$(VENV)/bin/python: ;

# Whether the environment, if there is one, is of the Python that PYTHON names.
named-python:
	@$(call environment,)

# Run utils/book/environment.py with PYTHON, or else with the first Python that suits the course.
# It has to print a word, as there are programs that end well whatever they are asked.
SUITS := import sys; print("suits" if (3, 11) <= sys.version_info[:2] <= (3, 13) else "")

define environment
for python in "$${PYTHON:-python3}" python3.13 python3.12 python3.11; do \
  if [ "$$("$$python" -c '$(SUITS)' 2>/dev/null)" = suits ]; then \
    exec "$$python" -m utils.book.environment $(VENV) $(1); fi; \
  if [ -n "$$PYTHON" ]; then \
    echo "PYTHON must be Python 3.11, 3.12 or 3.13, got '$$PYTHON'" >&2; exit 1; fi; \
done; \
echo "The course needs Python 3.11, 3.12 or 3.13; found $$(python3 --version 2>&1). Name one with make PYTHON=…" >&2; exit 1
endef
