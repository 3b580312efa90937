# make run [IMAGES="a.jpg b.png"]   an answer about photos; without IMAGES about a portrait that matplotlib ships
# make model                         the bundled model again, from ../shared (an hour or so on 2 cores)
# make test                         ruff, mypy --strict and the tests
# Each sets itself up in a virtual environment of its own under .venv/.
PYTHON ?= python3
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
TORCH := torch==2.13.0

.PHONY: run test model clean
.DELETE_ON_ERROR:

run: .venv/run/.ready
	@.venv/run/bin/aiface predict $(or $(IMAGES),"$$(.venv/run/bin/python -c \
	  'import importlib.util as u, pathlib as p; print(p.Path(u.find_spec("matplotlib").origin).parent / "mpl-data/sample_data/grace_hopper.jpg")')")

test: .venv/test/.ready
	.venv/test/bin/ruff check .
	.venv/test/bin/ruff format --check .
	.venv/test/bin/mypy
	.venv/test/bin/pytest

.venv/run/.ready: setup.cfg pyproject.toml $(shell find aiface_runtime models -type f -not -name '*.pyc')
	$(PYTHON) -m venv .venv/run
	.venv/run/bin/python $(PIP_INSTALL) ".[cpu,sample]"
	@touch $@

# torch first and pinned: otherwise another package's range pulls in its largest build.
.venv/test/.ready: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv/test
	.venv/test/bin/python $(PIP_INSTALL) $(TORCH)
	.venv/test/bin/python $(PIP_INSTALL) --editable ".[cpu,export,train,test]"
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
