# Everything the project does, one word each. `make` alone lists the words.
#
# The first call makes .venv and installs the exact set of constraints.txt into it, torch before anything else (asked
# for together with the rest, a newer build of several GB may come). pip's own settings (PIP_INDEX_URL,
# PIP_FIND_LINKS, pip.conf) are respected, so a local or CPU-only build of torch is used where pip can see one.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

PROFILE ?= cpu
GRID ?=
CORES ?=
CLUSTER ?=
ARGS ?=
BASE ?= tiny-base
SWEEP ?= grpo
INSTALLER ?= auto
PYTHON ?=

PY := .venv/bin/python
EXTRAS := book,dev
# torch pins its own CUDA libraries exactly; Windows, a browser's Python and PyPy are not supported here.
ELSEWHERE := ^(nvidia-|cuda-|triton)|; sys_platform == 'win32'|== '(emscripten|pypy)'
PACKAGES := -c constraints.txt -e '.[$(EXTRAS)]'

# One thread a process and one process a core: with more, processes on a busy machine slow each other down many times.
OMP_NUM_THREADS ?= 1
TOKENIZERS_PARALLELISM ?= false
HF_HUB_OFFLINE ?= $(if $(filter paper,$(PROFILE)),0,1)
JUPYTER_PLATFORM_DIRS ?= 1
PIP_DISABLE_PIP_VERSION_CHECK := 1
UV_SYSTEM_CERTS ?= 1
export OMP_NUM_THREADS TOKENIZERS_PARALLELISM HF_HUB_OFFLINE JUPYTER_PLATFORM_DIRS
export PIP_DISABLE_PIP_VERSION_CHECK UV_SYSTEM_CERTS
unexport PYTHONHASHSEED PYTHONPATH

# The stamp's name is a checksum of what was asked for and where, and it is written last: present means complete and
# up to date, whatever the files' times say. A folder without any stamp is an interrupted set-up and is made anew.
STAMP := .venv/.ready-$(shell { pwd; cat pyproject.toml constraints.txt; } | cksum | cut -d' ' -f1)

.PHONY: help venv .venv test test-slow reproduce book pdf links course slides base sweep lint lock clean distclean

help: ## List these commands
	@echo 'usage: make COMMAND [NAME=value ...]'
	@echo
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' Makefile
	@echo
	@echo 'Settings, each written NAME=value after the command:'
	@echo '  PROFILE     size of the run: smoke (minutes, claims nothing), cpu (the default), gpu, paper'
	@echo '  GRID        what reproduce runs: main (the default), arms, full, probability, rejection, tokens, passes,'
	@echo '              through, bases, dyval, depth, seeds, retest, longer, dose or range;'
	@echo '              GRID=bases:wide-base or GRID=tokens:vanilla_tokens runs what is named behind the colon,'
	@echo '              and keeps the rest'
	@echo '  CORES       jobs at a time (default: every core)'
	@echo '  CLUSTER     folder of a Snakemake profile: the same run on a cluster'
	@echo '  ARGS        more options for pytest, as in ARGS="-k igsm"'
	@echo '  BASE        which base model base trains: tiny-base (the default), plain-base, wide-base, small-base,'
	@echo '              range-base, dyval-base or, on a GPU, gpu-base'
	@echo '  SWEEP       which sweep: grpo (the default), sft, regime, arms, dyval or dose'
	@echo '  PYTHON      the Python 3.11 or 3.12 that .venv is made from'
	@echo '  INSTALLER   pip: do without uv'

test: $(STAMP) ## Run the fast tests
	@$(PY) -m pytest -q -n 2 --dist loadfile $(ARGS)

test-slow: $(STAMP) ## Run the tests that train or build
	@$(PY) -m pytest -q -m slow $(ARGS)

reproduce: $(STAMP) ## Run everything, from problems to the published book; resumes where it stopped
	@$(PY) -m workflow.run reproduce --profile $(PROFILE) $(if $(GRID),--grid $(GRID)) \
	  $(if $(CORES),--cores $(CORES)) $(if $(CLUSTER),--cluster $(CLUSTER))

book: $(STAMP) ## Render the book from the committed results, without training
	@$(PY) -m workflow.run book --profile $(PROFILE)

pdf: $(STAMP) ## Print the book as one PDF (a Chromium or Chrome is needed, TeX is not)
	@$(PY) -m workflow.run pdf --profile $(PROFILE)

links: $(STAMP) ## Check the links of the book: inside it each must lead somewhere, those outside are listed
	@$(PY) -m workflow.run links --profile $(PROFILE)

course: $(STAMP) ## Write the course: notebooks for students and instructors, a script that checks a class
	@$(PY) -m workflow.course

slides: $(STAMP) ## Make slides from the chapters, to show from a folder (renders the book first)
	@$(PY) -m workflow.slides --profile $(PROFILE)

base: $(STAMP) ## Train a base model anew: models/tiny-base, or models/BASE
	@$(PY) -m bi base --name $(BASE) --out models/$(BASE)

sweep: $(STAMP) ## Try the recipes of a sweep, SWEEP=grpo, sft, regime, arms, dyval or dose, on development problems; resumes where it stopped
	@$(PY) -m bi sweep $(SWEEP) --out results/sweep/$(SWEEP) $(if $(CORES),--jobs $(CORES))

lint: $(STAMP) ## Check style and types
	@$(PY) -m ruff check .
	@$(PY) -m pyright

venv .venv: $(STAMP) ## Set up .venv (every command above does this first, once)
	@:

clean: ## Remove the built book, the smoke run and the caches
	@$(call remove,_build runs/smoke runs/smoke-* .pytest_cache .ruff_cache .snakemake bi.egg-info)
	@find bi tests workflow book -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean ## Remove .venv and every run as well
	@$(call remove,.venv runs)

lock: $(STAMP) ## Work out constraints.txt and environment.yml anew from pyproject.toml (maintainers)
	@cp constraints.txt .constraints.new
	@$(or $(shell command -v uv),.venv/bin/uv) pip compile -q --universal --no-header --no-annotate \
	  --extra book --extra dev --extra browser $(ARGS) -o .constraints.new pyproject.toml
	@{ sed -n '/^#/p' constraints.txt; grep -v -E "$(ELSEWHERE)" .constraints.new; } > .constraints.all
	@mv .constraints.all constraints.txt && rm .constraints.new
	@{ sed '/- pip:/q' environment.yml; sed -n 's/^[a-zA-Z]/      - &/p' constraints.txt; echo '      - -e .'; } \
	  > .environment.new && mv .environment.new environment.yml

define remove
for path in $(1); do if [ -e "$$path" ]; then rm -rf "$$path" && echo "removed $$path"; fi; done
endef

$(STAMP):
	@set -eu; \
	if [ -L .venv ]; then \
	  echo 'error: .venv is a link, and set-up would change what it leads to; remove the link first: rm .venv' >&2; \
	  exit 1; \
	fi; \
	if [ "$$(cat .venv/.ready-* 2>/dev/null)" = "$$PWD" ] && $(PY) -c '' 2>/dev/null; then \
	  echo 'Updating .venv: what it should hold has changed'; \
	  rm -f .venv/.ready-*; \
	else \
	  for python in $(or $(PYTHON),python3.11 python3.12 python3); do \
	    if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' \
	      2>/dev/null; then found="$$python"; break; fi; \
	  done; \
	  if [ -z "$${found:-}" ]; then \
	    echo 'error: no usable Python among: $(or $(PYTHON),python3.11 python3.12 python3)' >&2; \
	    echo 'Python 3.11 or 3.12 with its venv module is needed (on Debian: apt install python3-venv).' >&2; \
	    echo 'If it lives elsewhere: make $(or $(MAKECMDGOALS),venv) PYTHON=/path/to/python3.11' >&2; \
	    exit 1; \
	  fi; \
	  echo "Setting up .venv with $$("$$found" --version), once; this takes a minute or a few"; \
	  "$$found" -m venv --clear --prompt bi .venv; \
	fi; \
	$(PY) -m pip install -qq -c constraints.txt torch; \
	uv=; \
	if [ '$(INSTALLER)' != pip ]; then \
	  uv="$$(command -v uv || true)"; \
	  if [ -z "$$uv" ] && $(PY) -m pip install -qq uv 2>/dev/null; then uv=.venv/bin/uv; fi; \
	fi; \
	if [ -z "$$uv" ] || ! "$$uv" pip install -q --python $(PY) $(PACKAGES); then \
	  echo 'Installing with pip in place of uv, which takes longer'; \
	  $(PY) -m pip install -qq $(PACKAGES); \
	fi; \
	$(PY) -m pip check > .venv/pip-check || { cat .venv/pip-check; exit 1; }; \
	pwd > $@
