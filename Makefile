# The README's commands. Everything lands in .venv; nothing outside of this folder is changed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two workers on two cores; torch must not start threads of its own beside them.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-wheel lint accuracy zoo gallery clean

# Packages are compiled here: an audit writes no bytecode, so that it would compile them each time.
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) --editable '.[dev,browser]'
	touch $@

# A healthy LeNet on real MNIST, then its sick twin. Exit code 1 of the second is the point of it.
demo: $(VENV)/installed
	$(BIN)/audit run examples/lenet_mnist.py
	$(BIN)/audit run examples/lenet_mnist_sick.py || test $$? -eq 1

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -q -n 2

# Builds the wheel through the sdist and tests what it installs, in a folder without the sources:
# packs, pages, templates, entry points. All else is tested with the sources.
# The dependencies are lent by a path file, which does not bring the editable install with them.
WHEEL := build/wheel
test-wheel: $(VENV)/installed
	rm -rf $(WHEEL) && mkdir -p $(WHEEL)
	$(BIN)/python -m build --no-isolation --outdir $(WHEEL)/dist . > $(WHEEL)/build.log
	$(PYTHON) -m venv $(WHEEL)/venv
	$(WHEEL)/venv/bin/python -m pip install --quiet --no-deps $(WHEEL)/dist/*.whl
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
	    > "$$($(WHEEL)/venv/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/lent.pth"
	cp -R tests pyproject.toml $(WHEEL)/
	cd $(WHEEL) && venv/bin/python -P -m pytest -q -n 2 -m "not zoo and not browser and not sources" \
	    tests/reports tests/rules/test_cases.py $(addprefix tests/core/test_,cli.py config.py init.py packfile.py pytest.py registry.py template.py)

# A dozen quick members of the accuracy benchmark: fails where one was right and is no more.
accuracy: $(VENV)/installed
	$(BIN)/python -m benchmarks.accuracy --fast --check --again --budget 180 --results build/accuracy

# The whole zoo, slow members too.
zoo: $(VENV)/installed
	$(BIN)/python -m pytest -q -n 2 --all-members tests/zoo

# Targets, reports and screenshots of examples/gallery, all by one command.
gallery: $(VENV)/installed
	$(BIN)/python examples/gallery/make.py

clean:
	rm -rf $(VENV) build dist *.egg-info
