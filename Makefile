# `make demo` and `make test` do all set-up themselves; `make help` lists the targets.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
SOURCES := src external_repo/asteroid/assembly egs scripts benchmarks examples tests
# Our own files of the modified Asteroid: what git tracks there.
OURS = $(shell git ls-files 'external_repo/asteroid/asteroid/*.py')
# Modules whose docstrings hold examples.
DOCTESTS = $(shell git grep -l '>>> ' -- 'src/*.py' 'external_repo/asteroid/asteroid/*.py')
SHELL_SCRIPTS = $(shell git ls-files '*.sh') .ci/run
# Several processes with a thread each are faster than one with several; one more than there are cores, as some
# tests wait (for schedulers, a browser). In the order of the files, the long ones are not last.
PYTEST_ARGS ?= -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --maxprocesses 8 --dist loadfile --no-loadscope-reorder
# Without bytecode, every process would compile all it imports, which takes twice as long as importing.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo demo-dccrn demo-dcunet demo-cnunet study test lint format bench docs clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14
	@echo
	@echo "PYTHON=python3.12 make ...   choose the interpreter of the environment (3.10 to 3.13)"

install:  ## create .venv and install the pinned requirements, if they changed
	@bash scripts/setup_venv.sh $(VENV)

demo: install  ## train FaSNet-TAC with two losses on real speech, evaluate and compare (15 minutes on 2 cores)
	@bash scripts/demo.sh

demo-dccrn: install  ## train DCCRN with three losses, evaluate by noise and SNR (12 minutes)
	@bash scripts/demo_dccrn.sh

demo-dcunet: install  ## train a DCUnet, enhance a real recording with it (12 minutes)
	@bash scripts/demo_dcunet.sh

demo-cnunet: install  ## train a CNUNet in two stages by embeddings of a pretrained model, picture its latents (12 minutes)
	@bash scripts/demo_cnunet.sh

study: install  ## run the study of frequency-weighted losses (studies/frequency_weighting; 12 hours of 1 core; resumes)
	@bash studies/frequency_weighting/run.sh

test: install  ## run the tests and the examples of the docstrings; SLOW=1: the long ones too
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q $(if $(SLOW),,-m "not slow") $(PYTEST_ARGS) tests $(DOCTESTS)

lint: install  ## check style, types, spelling, shell scripts, import directions
	$(BIN)/ruff check $(SOURCES) $(OURS)
	$(BIN)/ruff format --check $(SOURCES) $(OURS)
	$(BIN)/mypy src external_repo/asteroid/assembly $(OURS) scripts/data egs examples
	$(BIN)/codespell src egs scripts benchmarks tests configs README.md CONTRIBUTING.md CHANGELOG.md docs examples $(OURS)
	$(BIN)/shellcheck -x $(SHELL_SCRIPTS)
	$(BIN)/lint-imports

format: install  ## format the code
	$(BIN)/ruff check --fix $(SOURCES) $(OURS)
	$(BIN)/ruff format $(SOURCES) $(OURS)

bench: install  ## measure speed and memory against the references, write benchmarks/RESULTS.md (10 minutes)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

docs: install  ## write the pages of the API to docs/api
	$(BIN)/pdoc --docformat google --output-directory docs/api seloss auditus evaluation asteroid.dsp asteroid.losses asteroid.masknn asteroid.models

clean:  ## remove the environment and what was unpacked; data and experiments stay
	python3 external_repo/asteroid/assembly/assemble.py --clean
	rm -rf $(VENV) build src/*.egg-info external_repo/asteroid/*.egg-info
