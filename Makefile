# On a fresh machine, Python 3.10 or newer and make are all that `make demo` and `make test` need:
# each target that runs Python first makes .venv, where it is missing or the settings are newer than it.

PYTHON ?= python3

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

export KERAS_BACKEND := tensorflow
export MPLBACKEND ?= Agg
export TF_CPP_MIN_LOG_LEVEL ?= 3
# The theme's notice of its successor.
export NO_MKDOCS_2_WARNING := 1

.PHONY: help demo test lint types imports tests slow endurance trust-page properties mutants test-matrix browser package gallery pictures examples study-credit study-dead-features \
	study-agreement study-selection study-public-models study-black-boxes study-many-rows paper paper-page benchmark benchmark-page docs docs-serve clean

help: ## List the targets
	@awk -F ': .*## ' '/^[a-z-]+:.*## / { printf "make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Train a network while watching its features; writes to runs/demo
	$(BIN)/python examples/simulation.py

test: lint types imports tests ## All checks: lint, types, imports, tests

lint: $(READY) ## Style, likely bugs, format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## Static types of the package
	$(BIN)/mypy

imports: $(READY) ## That imports run one way
	$(BIN)/lint-imports --no-logo

tests: $(READY) ## Tests, and the examples in docstrings
	$(BIN)/python -m pytest

slow: $(READY) ## Tests that train whole examples, and the paper's in small
	$(BIN)/python -m pytest -m "slow and not endurance" tests

endurance: $(READY) ## What days of use would show: kills, thousands of epochs, twenty thousand inputs and random models, mutants; for an hour
	$(BIN)/python tools/endurance.py
	$(MAKE) trust-page

trust-page: $(READY) ## Write what the slow checks said into docs/trust.md
	PYTHONPATH=studies $(BIN)/python tools/trust_page.py

properties: $(READY) ## The laws, for more than ten thousand random models, shapes, types and groupings
	KERAS_SENSITIVITY_EXAMPLES=all $(BIN)/python -m pytest -q -s --numprocesses 0 tests/test_properties.py

mutants: $(READY) ## Break each formula and each law on purpose; the tests have to tell
	$(BIN)/python tools/mutants.py

test-matrix: $(READY) ## Install the oldest and the newest versions, as far as there is a Python for them, and run tests
	$(BIN)/python tools/test_matrix.py

browser: $(READY) ## The tab in TensorBoard, in Chromium; pictures go to runs/tab
	$(BIN)/python -m pytest -m browser --numprocesses 0 tests/test_tab.py

docs: $(READY) ## Build the documentation site in runs/site; a dead link is an error
	$(BIN)/mkdocs build --strict
	@echo "The site: runs/site/index.html"

docs-serve: $(READY) ## Serve the documentation site while it is written
	$(BIN)/mkdocs serve

package: $(READY) ## Build sdist and wheel; try the wheel in an empty environment elsewhere
	rm -rf build dist
	$(BIN)/python -m build
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	echo "Installing the wheel alone into $$folder/venv"; \
	$(BIN)/python -m venv "$$folder/venv"; \
	"$$folder/venv/bin/python" -m pip install --quiet dist/*.whl; \
	! "$$folder/venv/bin/python" -Ic 'import keras_sensitivity' 2>"$$folder/words"; \
	grep -F 'pip install "keras_sensitivity[tensorflow]"' "$$folder/words"; \
	"$$folder/venv/bin/python" -m pip install --quiet "$$(echo dist/*.whl)[tensorflow]"; \
	"$$folder/venv/bin/python" -m pip check; \
	cp tools/smoke.py "$$folder"; \
	cd "$$folder"; \
	venv/bin/python -I smoke.py

gallery: $(READY) ## Draw the pictures of the gallery, by the lines that stand there
	$(BIN)/python tools/gallery.py

pictures: demo gallery ## Draw the pictures of the documents anew
	$(BIN)/python examples/digits.py
	$(BIN)/python examples/dead_features.py
	$(BIN)/python examples/bike_demand.py
	$(BIN)/python examples/mixed_inputs.py
	$(BIN)/python examples/seeds.py
	$(BIN)/python studies/path_picture.py
	$(BIN)/python studies/effects_picture.py
	cp $(foreach name,$(PICTURES),runs/$(name).png) docs/images/
	$(BIN)/python examples/credit_default.py --seeds 2
	$(BIN)/python tools/tensorboard_picture.py runs/credit_default docs/images/tab_trajectories.png \
	    --state '{"runs": ["sensitivity"]}'
	$(BIN)/python tools/tensorboard_picture.py runs/credit_default docs/images/tab_heat_map.png \
	    --state '{"view": "heatmap", "runs": ["sensitivity"]}'
	$(BIN)/python tools/tensorboard_picture.py runs/credit_default docs/images/tab_compare.png --state '{"view": "compare"}'
	$(BIN)/python tools/tensorboard_picture.py runs/bike_demand docs/images/tab_lags.png --state '{"view": "lags"}'

examples: $(READY) ## Run every script in examples/
	@$(call run-all,examples)

study-credit: $(READY) ## Train the credit network from five seeds; keeps what it found in docs/results
	mkdir -p docs/results
	{ echo "# make study-credit"; $(BIN)/python examples/credit_default.py --seeds 5; } > docs/results/credit_default.txt

paper: $(READY) ## Reproduce the paper: results to docs/paper, and the page of them
	@$(call run-all,examples/paper)
	$(MAKE) paper-page

paper-page: $(READY) ## Write docs/paper.md from the results in docs/paper
	$(BIN)/python examples/paper/_page.py

study-dead-features: $(READY) ## Hundreds of fits to data with known truth, for half an hour to an hour; puts the tables into the documents
	$(BIN)/python studies/death_rates.py
	$(BIN)/python studies/death_rates_page.py

study-selection: $(READY) ## What `select` finds in a published benchmark, and beside random columns, in half an hour; puts the tables into the documents
	$(BIN)/python studies/selection_rates.py
	$(BIN)/python studies/random_columns.py
	$(BIN)/python studies/selection_rates_page.py

study-agreement: $(READY) ## How far the numbers agree with real changes; puts the tables into the documents
	$(BIN)/python studies/agreement.py
	$(BIN)/python studies/agreement_page.py

study-black-boxes: $(READY) ## Trees, a lasso, a forest and a network in one measure; puts the tables into the documents
	$(BIN)/python studies/black_boxes.py
	$(BIN)/python studies/black_boxes_page.py

study-many-rows: $(READY) ## A hundred million rows on one and on two workers, in a quarter of an hour; puts the table into the documents
	$(BIN)/python studies/many_rows.py
	$(BIN)/python studies/many_rows_page.py

study-public-models: $(READY) ## Fit, measure and explain models of public pages, in half an hour; puts the tables into the documents
	$(BIN)/python studies/public_models.py
	$(BIN)/python studies/public_models_page.py

benchmark: $(READY) ## What the library costs, in most of an hour in which nothing else runs; puts the tables into the documents
	@$(call run-all,benchmarks)
	$(MAKE) benchmark-page

benchmark-page: $(READY) ## Write the tables of docs/cost.md, and its picture, from the results in docs/results
	$(BIN)/python benchmarks/_cost_page.py

clean: ## Remove caches and builds; .venv and runs stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# What the documents show of runs/.
PICTURES := demo/simulation digits/digits dead_features/dead_features bike_demand/bike_demand mixed_inputs/mixed_inputs \
	seeds/seeds path/path effects/effects

# A folder's scripts, one after the other; a leading underscore marks a module that they share.
run-all = set -e; for script in $(sort $(wildcard $(1)/[!_]*.py)); do \
	echo "== $$script"; $(BIN)/python "$$script"; done

# The stamp is written last, so that whatever was interrupted is done again.
$(READY): setup.cfg pyproject.toml
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { $(make-venv); }
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[dev]'
	@touch $@

define make-venv
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	echo "'$(PYTHON)' is not a Python of version 3.10 or newer." >&2; \
	echo "Name one that is, for example: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }; \
echo "Making $(VENV); TensorFlow is a large download, so this takes some minutes."; \
$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
	echo "'$(PYTHON) -m venv' failed, see above: this Python comes without venv or ensurepip." >&2; \
	echo "On Debian and Ubuntu: sudo apt install python3-venv. Or name another Python: make PYTHON=..." >&2; exit 1; }
endef
