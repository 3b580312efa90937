# make run [IMAGES="a.jpg b.png"]   an answer about photos; without IMAGES about a portrait that matplotlib ships
# make model                        the large model and its student, from ../shared (takes hours; goes on where it was cut off)
# make check                        ruff, mypy --strict and the unit tests of the runtime: under a minute once set up
# make test                         ruff, mypy --strict and all tests
# make web                          the browser's package and page in web/: build and tests; needs node 20.19 or later and npm
# make soak                         100,000 predictions: memory, descriptors and threads stay where they are
# make fuzz                         1,000,000 mutated photos, manifests and model files; goes on where it was cut off
# make wheel                        the wheel of the last commit, built twice and compared to the byte, in dist/
# make reliability                  all figures of docs/reliability.md and docs/photos.md: soak, fuzz, wheel, audit and more, hours
# make docs                        the site of all documents, in site/, without a warning and without the network
# make extras                       the wheel with each light extra alone, in fresh environments: its first command
# make audit                        its SBOM, licences and known vulnerabilities (pip-audit asks PyPI for them), in dist/
# Each sets itself up in a virtual environment of its own under .venv/.
PYTHON ?= python3
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
TORCH := torch==2.13.0

.PHONY: run check lint test web model soak fuzz wheel audit reliability docs extras clean
.DELETE_ON_ERROR:

run: .venv/run/.ready
	@.venv/run/bin/aiface predict $(or $(IMAGES),"$$(.venv/run/bin/python -c \
	  'import importlib.util as u, pathlib as p; print(p.Path(u.find_spec("matplotlib").origin).parent / "mpl-data/sample_data/grace_hopper.jpg")')")

# PyTorch's threads otherwise spin while they wait, which beside other work makes its tests take twice as long.
test: export OMP_WAIT_POLICY = PASSIVE
test: export AIFACE_TEST_TIMM = $(CURDIR)/.venv/timm
test: export AIFACE_TEST_OPENVINO = $(CURDIR)/.venv/openvino
test: lint .venv/languages/.ready .venv/keras/.ready .venv/serve/.ready .venv/ray/.ready .venv/page/.ready
	scripts/install_chromium.sh
	.venv/test/bin/pytest --numprocesses=2 --dist=loadfile --ignore=tests/page --ignore=tests/ray --ignore=tests/web --ignore=tests/integration/serve --durations=20
	.venv/keras/bin/pytest tests/integration/export/test_keras.py
	.venv/serve/bin/pytest tests/integration/serve
	.venv/ray/bin/pytest tests/ray
	.venv/ray/bin/pytest tests/integration/documents/test_blocks.py -k ray
	.venv/page/bin/pytest tests/page
	.venv/page/bin/pytest tests/integration/documents/test_site_in_chromium.py
	.venv/page/bin/pytest tests/integration/documents/test_blocks.py -k demo -W ignore::ResourceWarning \
	  -W ignore::pytest.PytestUnraisableExceptionWarning  # Gradio leaves its event loop to the end of the process
	$(MAKE) web

check: lint
	.venv/test/bin/pytest -q tests/unit/runtime

lint: .venv/test/.ready
	.venv/test/bin/ruff check .
	.venv/test/bin/ruff format --check .
	.venv/test/bin/mypy

# Those of Chromium's tests that need playwright run in the environment that has it, and are skipped in the other.
web: .venv/page/.ready
	@if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' \
	  || ! npm --version > /dev/null; then echo "web/ SKIPPED: it needs node 20.19 or later (Debian 13 has it) and npm"; else \
	  cd web && npm ci --ignore-scripts --no-audit --no-fund && npm run check && npm run build && npm test && cd .. && \
	  scripts/install_chromium.sh && .venv/page/bin/pytest tests/web; fi

model: .venv/test/.ready
	scripts/train_bundled_model.sh

soak: .venv/run/.ready
	.venv/run/bin/python -P scripts/soak.py --predictions 100000

# In the environment of the tests, which reads HEIC as well.
fuzz: .venv/test/.ready
	mkdir -p dist
	.venv/test/bin/python -m tests.fuzz --inputs 1000000 --processes $$(nproc) --log dist/fuzz.jsonl

wheel: .venv/test/.ready
	.venv/test/bin/python scripts/reproducible_wheel.py dist

docs: export NO_MKDOCS_2_WARNING = 1
docs: .venv/test/.ready
	.venv/test/bin/mkdocs build --strict

extras: .venv/test/.ready
	.venv/test/bin/python scripts/check_extras.py

audit: .venv/run/.ready
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python $(PIP_INSTALL) cyclonedx-bom pip-audit pip-licenses
	mkdir -p dist
	.venv/audit/bin/cyclonedx-py environment .venv/run/bin/python --output-file dist/sbom.json
	.venv/audit/bin/pip-licenses --python=.venv/run/bin/python --output-file dist/licences.txt
	.venv/audit/bin/pip-audit --path $$(.venv/run/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

reliability: soak fuzz wheel
	.venv/test/bin/python -m tests.corpus
	.venv/test/bin/python scripts/memory_by_batch.py --threads 1
	.venv/test/bin/python scripts/wide_gamut.py ../shared/data
	$(MAKE) audit

.venv/run/.ready: setup.cfg pyproject.toml $(shell find aiface_runtime models -type f -not -name '*.pyc')
	$(PYTHON) -m venv .venv/run
	.venv/run/bin/python $(PIP_INSTALL) ".[cpu,sample]"
	@touch $@

# torch first and pinned: otherwise another package's range pulls in its largest build.
# timm needs torchvision, which no longer imports beside this PyTorch, and onnxruntime's builds overwrite each other:
# their tests alone see them.
# A strict editable install, because type checkers do not follow the other kind to the mapped folders; it links single
# files, so it is made anew when files come or go.
.venv/test/.ready: setup.cfg pyproject.toml $(shell find aiface_runtime evaluation export training models -type d -not -name __pycache__)
	$(PYTHON) -m venv .venv/test
	.venv/test/bin/python $(PIP_INSTALL) $(TORCH)
	.venv/test/bin/python $(PIP_INSTALL) --config-settings editable_mode=strict --editable ".[cpu,export,train,test,examples,docs]"
	.venv/test/bin/python $(PIP_INSTALL) --no-deps --upgrade --target .venv/timm timm==1.0.31 torchvision==0.29.2
	.venv/test/bin/python $(PIP_INSTALL) --no-deps --upgrade --target .venv/openvino onnxruntime-openvino==1.24.1
	@touch $@

# What the programs of examples/ in C++ and for Node are built with; nothing where there is no npm.
.venv/languages/.ready: scripts/install_languages.sh
	scripts/install_languages.sh .venv/languages
	@touch $@

# TensorFlow without PyTorch, as the export-keras extra brings it: what reads a SavedModel.
.venv/keras/.ready: setup.cfg pyproject.toml $(shell find aiface_runtime evaluation export training models -type d -not -name __pycache__)
	$(PYTHON) -m venv .venv/keras
	.venv/keras/bin/python $(PIP_INSTALL) --editable ".[cpu,export-keras]" opencv-python-headless pytest
	@touch $@

# Gradio 6 and transformers 4.57 exclude each other; the version that the Space runs is the one that is tested.
.venv/page/.ready: setup.cfg pyproject.toml space/README.md $(shell find aiface_runtime evaluation export training models -type d -not -name __pycache__)
	$(PYTHON) -m venv .venv/page
	.venv/page/bin/python $(PIP_INSTALL) --editable ".[cpu,c2pa,demo,docs,sample]" \
	  gradio==$$(sed -n 's/^sdk_version: //p' space/README.md) pytest playwright axe-playwright-python sybil
	@touch $@

# The service without PyTorch and with nothing but its extra, and schemathesis, which asks it whatever its description allows.
.venv/serve/.ready: setup.cfg pyproject.toml $(shell find aiface_runtime evaluation export training models -type d -not -name __pycache__)
	$(PYTHON) -m venv .venv/serve
	.venv/serve/bin/python $(PIP_INSTALL) --editable ".[cpu,serve]" httpx onnx pytest schemathesis
	@touch $@

# Ray with nothing but its extra; mypy in .venv/test does without it, and says the same with it.
.venv/ray/.ready: setup.cfg pyproject.toml $(shell find aiface_runtime evaluation export training models -type d -not -name __pycache__)
	$(PYTHON) -m venv .venv/ray
	.venv/ray/bin/python $(PIP_INSTALL) --editable ".[cpu,ray,sample]" certifi pytest sybil
	@touch $@

clean:
	rm -rf web/dist web/site web/node_modules
	rm -rf .venv build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache
