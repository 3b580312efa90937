"""A face map from a hand-written source to a file, or to nothing at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from aiface_evaluation.errors import DataError
from aiface_export.checkpoint_record import CheckpointRecord, FaceThresholds
from aiface_export.errors import ConversionError, ExportError, ParityError
from aiface_export.graph.assemble import assemble
from aiface_export.graph.heads import head_nodes
from aiface_export.options import ExportOptions
from aiface_export.pipeline import export
from aiface_export.source import Answers
from aiface_export.verify.evaluator import VariantEvaluator, probabilities_of
from aiface_export.verify.precision import Candidate
from aiface_runtime import Classifier
from aiface_runtime.images import ImageInput, load_rgb
from aiface_runtime.manifest import FaceMap
from aiface_runtime.preprocess import preprocess
from tests.support.tiny_source import SIDE, TinySource, tiny_graph, tiny_source

THRESHOLDS = FaceThresholds(present_from=0.6, cell_from=0.5, small_below=0.3, fitted_on="ten photos")
SCALE, CELL = 8.0, 4  # log-odds per unit of green; pixels


def with_faces(scale: float = SCALE, name: str = "face_logits") -> onnx.ModelProto:
    """Add a face head to the tiny graph: how much greener than half a cell of 4 x 4 pixels is."""
    model = tiny_graph()
    kernel = np.zeros((1, 3, CELL, CELL), dtype=np.float32)
    kernel[0, 1] = scale / CELL**2
    model.graph.node.extend(
        [
            helper.make_node("Conv", ["pixels", "kernel", "less"], ["one"], name="face", strides=[CELL, CELL]),
            helper.make_node("Reshape", ["one", "grid"], [name], name="map"),
        ]
    )
    constants = {"kernel": kernel, "less": np.array([-scale / 2], np.float32), "grid": np.array([-1, 2, 2])}
    model.graph.initializer.extend(numpy_helper.from_array(value, key) for key, value in constants.items())
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 2, 2]))
    return model


@dataclass(frozen=True, kw_only=True)
class FaceSource(TinySource):
    """The same face head in numpy."""

    def answers(self, photos: Iterable[ImageInput]) -> Answers:
        photos = list(photos)
        green = [preprocess(load_rgb(photo), self.preprocessing.steps)[..., 1] / 255.0 for photo in photos]
        logits = SCALE * (np.stack(green).reshape(-1, 2, CELL, 2, CELL).mean(axis=(2, 4)) - 0.5)
        return Answers(self.probabilities(photos), (1 / (1 + np.exp(-logits))).astype(np.float32))


def face_source(graph: onnx.ModelProto | None = None, **fields: Any) -> FaceSource:
    plain = tiny_source(graph or with_faces())
    known = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
    return FaceSource(**known | {"has_faces": True, "record": CheckpointRecord(faces=THRESHOLDS)} | fields)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_file_has_the_map_and_its_thresholds(precision: Any, tmp_path: Path, painted: Path) -> None:
    options = ExportOptions(precision=precision, images=painted)
    exported = export(face_source(), tmp_path / "tiny.onnx", options)
    photos = sorted(painted.glob("val/*/*.png"))
    expected = face_source().answers(photos).faces
    assert expected is not None
    with Classifier(exported.file, device="cpu") as classifier:
        assert classifier.manifest.faces == FaceMap(2, 2, 0.6, 0.5, 0.3)
        assert classifier.manifest.document["faces"]["fitted_on"] == "ten photos"
        assert classifier.manifest.evidence is not None
        answers = list(classifier.predict_many(photos, on_error="raise"))
    seen = [answer.face_probability for answer in answers]
    assert seen == pytest.approx(expected.max(axis=(1, 2)), abs=1e-5 if precision == "fp32" else 1e-2)
    assert 0 < sum("no_face" in answer.warnings for answer in answers) < len(answers)
    report = exported.report()
    assert report["parity"]["faces_difference"] <= 1e-5
    assert report["precision"]["candidates"][precision]["face_agreement"] >= 0.99
    weights = {tensor.name: tensor for tensor in onnx.load(exported.file).graph.initializer}
    assert weights["net/kernel"].data_type == TensorProto.FLOAT


def test_the_face_heads_nodes_are_found() -> None:
    source = face_source()
    assert head_nodes(assemble(source.exporters()["by hand"](), source))[-3:] == ["after/faces", "net/map", "net/face"]


def test_a_map_that_is_not_the_originals_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="does not give the original's face maps on 16 photos"):
        export(face_source(with_faces(SCALE * 1.01)), tmp_path / "tiny.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("graph", [tiny_graph(), with_faces(name="hidden")])
def test_an_exporter_that_leaves_the_map_out_has_failed(graph: onnx.ModelProto, tmp_path: Path) -> None:
    with pytest.raises(
        ConversionError, match=r"by hand: ConversionError: the graph's second output is not face_logits"
    ):
        export(face_source(graph), tmp_path / "tiny.onnx")


def test_other_outputs_of_a_network_without_a_face_head_are_left_out(tmp_path: Path) -> None:
    file = export(tiny_source(with_faces(name="hidden")), tmp_path / "tiny.onnx").file
    assert [output.name for output in onnx.load(file).graph.output] == ["probabilities", "evidence"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (face_source(record=CheckpointRecord()), "face head without thresholds; put them into its aiface.json"),
        (tiny_source(record=CheckpointRecord(faces=THRESHOLDS)), 'face head that its network lacks; remove "faces"'),
    ],
)
def test_head_and_thresholds_belong_together(source: TinySource, says: str, tmp_path: Path) -> None:
    lines: list[str] = []
    with pytest.raises(ExportError, match=says) as caught:
        export(source, tmp_path / "tiny.onnx", progress=lines.append)
    assert str(caught.value).startswith("tiny: ")
    assert "\n" not in str(caught.value)
    assert not lines, "before anything that takes time"


def test_a_variant_that_loses_faces_does_not_pass() -> None:
    source = face_source()
    graph, other = (
        assemble(face_source(made).exporters()["by hand"](), source) for made in (with_faces(), with_faces(-SCALE))
    )
    pixels = np.random.default_rng(0).integers(0, 256, (20, 1, 1, 3), dtype=np.uint8).repeat(SIDE, 1).repeat(SIDE, 2)
    faces = source.answers(list(pixels)).faces
    evaluator = VariantEvaluator(pixels, probabilities_of(graph, pixels), [1], None, "", faces, 0.6)
    fp32, variant = (Candidate(made, evaluator.measure(made)) for made in (graph, other))
    assert fp32.metrics.face_agreement == 1.0
    assert variant.metrics.label_agreement == 1.0
    assert variant.metrics.face_agreement is not None
    assert variant.metrics.face_agreement < 0.5
    assert (fp32.passes(fp32), variant.passes(fp32)) == (True, False)


@pytest.mark.parametrize(
    ("faces", "says"),
    [
        (0.5, "its 'faces' is float"),
        ({"present_from": 0.5, "cell_from": 0.5}, "its 'faces': not of this version .it lacks 'small_below'"),
        (
            {"present_from": "0.5", "cell_from": 0.5, "small_below": 0.1},
            "its 'faces': not of this version .present_from is str",
        ),
        ({"present_from": 0.5, "cell_from": 0.5, "small_below": 10}, "its 'faces': small_below is 10.0, not 0 to 1"),
    ],
)
def test_thresholds_that_are_none_are_named(faces: Any, says: str) -> None:
    with pytest.raises(DataError, match=f"^aiface.json: {says}"):
        CheckpointRecord.from_json({"faces": faces})


def test_a_record_keeps_its_thresholds(tmp_path: Path) -> None:
    CheckpointRecord(faces=THRESHOLDS).write(tmp_path)
    assert CheckpointRecord.read(tmp_path).faces == THRESHOLDS
