"""Which exporter's graph is kept."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from aiface_export.errors import ConversionError
from aiface_export.graph.convert import convert
from tests.support.graph_source import graph_source


def network(side: int) -> onnx.ModelProto:
    """Average the pixels of each channel, of photos of one size; two of the three means are the logits."""
    constants = {"shape": [-1, 3, side, side], "start": [0], "end": [2], "axis": [1]}
    nodes = [
        helper.make_node("Reshape", ["pixels", "shape"], ["photos"]),
        helper.make_node("GlobalAveragePool", ["photos"], ["means"]),
        helper.make_node("Flatten", ["means"], ["rows"]),
        helper.make_node("Slice", ["rows", "start", "end", "axis"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, side, side])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor(name, TensorProto.INT64, [len(value)], value) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def refuse() -> onnx.ModelProto:
    raise RuntimeError("\x1b[31mno such operator\x1b[0m\nand a long trace")


def test_an_exporter_that_fails_leaves_its_reason_and_the_other_serves() -> None:
    conversion = convert(graph_source({"first": refuse, "second": lambda: network(8)}))
    assert conversion.exporter == "second"
    assert conversion.trials["first"] == {"error": "RuntimeError: no such operator"}
    assert conversion.trials["second"].keys() == {"nodes", "open_ms", "latency_ms"}
    assert conversion.trials["second"]["nodes"] == len(conversion.graph.graph.node)
    assert conversion.opset == 18


def test_a_graph_that_onnxruntime_refuses_is_no_candidate() -> None:
    assert convert(graph_source({"first": lambda: network(9), "second": lambda: network(8)})).exporter == "second"


def test_where_all_fail_the_message_has_every_reason_and_the_size() -> None:
    with pytest.raises(ConversionError, match=r"photos of 8 x 8 pixels \(one: RuntimeError: no such operator; two: "):
        convert(graph_source({"one": refuse, "two": lambda: network(9)}))
