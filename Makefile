# `make run` sets everything up and runs the pipeline; `make test` sets everything up and runs the tests.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
RUN    := $(VENV)/.installed-run
DEV    := $(VENV)/.installed-dev

.PHONY: run evidence test test-slow lint format constraints browser pictures clean

run: $(RUN)
	$(BIN)/l2t run recipes/nano.yaml

# An experiment of recipes/evidence, with what scripts/evidence.sh explains.
evidence: $(RUN)
	@L2T='$(BIN)/l2t' EXPERIMENT='$(EXPERIMENT)' TEXT='$(TEXT)' TITLE='$(TITLE)' LICENSE='$(LICENSE)' \
	  HELD_OUT='$(HELD_OUT)' BLIMP='$(BLIMP)' JOBS='$(JOBS)' PIECE='$(PIECE)' OPTIONS='$(OPTIONS)' \
	  sh scripts/evidence.sh

# One process per core (four at most), each with one thread: the tests are many and small. Files are taken in their order:
# by default pytest-xdist begins with those of many tests, so that long files of few tests come last, one after the other.
# The exit status is also 1 if a test was skipped although what it needs is here (tests/conftest.py).
test: $(DEV) browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test-slow: $(DEV) browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow --timeout 1800

lint: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(DEV)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# torch first and on its own line: with any looser requirement pip would pick the CUDA build.
$(RUN): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "l2t_hub needs Python 3.11 or later. Name one: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -c constraints.txt torch==2.13.0
	$(PIP) install --quiet -c constraints.txt -e '.[local-hub,demo,plots]'
	touch $@

$(DEV): $(RUN)
	$(PIP) install --quiet -c constraints.txt -e '.[all,test,lint]'
	touch $@

# Pin what is installed now. To move to newer versions, install them first.
constraints: $(DEV)
	{ sed -n 1p constraints.txt; $(PIP) freeze --all --exclude pip --exclude-editable | sed 's/+cpu$$//' | LC_ALL=C sort -f; } > $(VENV)/constraints
	mv $(VENV)/constraints constraints.txt

# The page tests drive Debian's Chromium. Where it is missing and cannot be installed, they are skipped.
browser:
	@command -v chromium >/dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 \
	  && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || echo "Chromium is not installed: the browser tests will be skipped."

# The README's pictures of the page, of what `make run` made.
pictures: $(DEV) browser
	$(BIN)/python tests/demo/make_pictures.py runs/nano

clean:
	rm -rf $(VENV) runs dist
