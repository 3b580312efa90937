# make run [IMAGES="a.jpg b.png"]   an answer about photos; without IMAGES about a portrait that matplotlib ships
# make model                        the bundled model again, from ../shared (two hours on 2 cores)
# make check                        ruff, mypy --strict and the unit tests of the runtime: under a minute once set up
# make test                         ruff, mypy --strict and all tests
# Each sets itself up in a virtual environment of its own under .venv/.
PYTHON ?= python3
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check
TORCH := torch==2.13.0

.PHONY: run check lint test model clean
.DELETE_ON_ERROR:

run: .venv/run/.ready
	@.venv/run/bin/aiface predict $(or $(IMAGES),"$$(.venv/run/bin/python -c \
	  'import importlib.util as u, pathlib as p; print(p.Path(u.find_spec("matplotlib").origin).parent / "mpl-data/sample_data/grace_hopper.jpg")')")

test: export AIFACE_TEST_TIMM = $(CURDIR)/.venv/timm
test: export AIFACE_TEST_OPENVINO = $(CURDIR)/.venv/openvino
test: lint .venv/keras/.ready
	.venv/test/bin/pytest --durations=20
	.venv/keras/bin/pytest tests/integration/export/test_keras.py

check: lint
	.venv/test/bin/pytest -q tests/unit/runtime

lint: .venv/test/.ready
	.venv/test/bin/ruff check .
	.venv/test/bin/ruff format --check .
	.venv/test/bin/mypy

# glibc otherwise hands every tensor's memory back to the kernel and asks for it again: a third of the time of a step.
# And a thread that waits for another one shall leave its core to the photos' loader instead of spinning.
model: export MALLOC_MMAP_THRESHOLD_ = 8589934592
model: export MALLOC_TRIM_THRESHOLD_ = 8589934592
model: export OMP_WAIT_POLICY = PASSIVE
model: TRAIN := .venv/test/bin/aiface-train
model: .venv/test/.ready
	$(TRAIN) autoencoder ../shared/data -o runs/autoencoders/ps4.pt --upsampling pixel_shuffle --factor 4 --latent 4 --critic --steps 1200 --seed 8
	$(TRAIN) autoencoder ../shared/data -o runs/autoencoders/tr4.pt --upsampling transposed --factor 4 --latent 4 --critic --seed 8
	$(TRAIN) autoencoder ../shared/data -o runs/autoencoders/bl4.pt --upsampling bilinear --factor 4 --latent 3 --critic --seed 7
	$(TRAIN) autoencoder ../shared/data -o runs/autoencoders/nn8.pt --upsampling nearest --factor 8 --latent 12 --seed 20
	$(TRAIN) twins ../shared/data --autoencoder ../shared/weights/taef2 --autoencoder runs/autoencoders/ps4.pt \
	  --autoencoder runs/autoencoders/tr4.pt --autoencoder runs/autoencoders/bl4.pt --autoencoder runs/autoencoders/nn8.pt \
	  -o runs/twins --size 240 --per-source 130
	$(TRAIN) twins ../shared/data --autoencoder ../shared/weights/taef2 -o runs/twins_taef2 --size 240 --per-source 400
	$(TRAIN) finetune ../shared/data runs/twins -o runs/main
	$(TRAIN) finetune ../shared/data runs/twins runs/twins_taef2 --recipe mobilenetv2_fine -o runs/fine
	$(TRAIN) finetune ../shared/data runs/twins runs/twins_taef2 --recipe mobilenetv2_fine --init runs/fine -o runs/third \
	  --set samples=100000 --set seed=2028 --set 'freeze=["mobilenet_v2.conv_stem.","mobilenet_v2.layer.0.","mobilenet_v2.layer.1."]' \
	  --set augmentation.weak=0.5 --set 'augmentation.weak_pairs=[0.3,0.1]'
	$(TRAIN) calibrate runs/fine runs/third ../shared/data -o runs/averaged
	$(TRAIN) evaluate runs/averaged ../shared/data --split val --split test -o runs/averaged/evaluation.json
	.venv/test/bin/aiface-export runs/averaged -o models/aiface-mobilenetv2.onnx --model-version 3 --images ../shared/data/val \
	  --scaled-decoding --bundle
	cp runs/averaged/evaluation-*.png docs/model/

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
	.venv/test/bin/python $(PIP_INSTALL) --config-settings editable_mode=strict --editable ".[cpu,export,train,test,examples]"
	.venv/test/bin/python $(PIP_INSTALL) --no-deps --upgrade --target .venv/timm timm==1.0.31 torchvision==0.29.2
	.venv/test/bin/python $(PIP_INSTALL) --no-deps --upgrade --target .venv/openvino onnxruntime-openvino==1.24.1
	@touch $@

# TensorFlow without PyTorch, as the export-keras extra brings it: what reads a SavedModel.
.venv/keras/.ready: setup.cfg pyproject.toml $(shell find aiface_runtime evaluation export training models -type d -not -name __pycache__)
	$(PYTHON) -m venv .venv/keras
	.venv/keras/bin/python $(PIP_INSTALL) --editable ".[cpu,export-keras]" opencv-python-headless pytest
	@touch $@

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
