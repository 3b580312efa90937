"""The heads of a graph: the nodes that stay in float in every precision."""

from __future__ import annotations

import onnx
from onnx import NodeProto

from aiface_runtime.manifest import EVIDENCE, FACES, PROBABILITIES

from .assemble import AFTER
from .linear_head import nodes_from_average

_WITH_WEIGHTS = ("Conv", "Gemm", "MatMul")


def head_nodes(graph: onnx.ModelProto) -> list[str]:
    """Return the names of the heads' nodes, which stay in float.

    They are the last layer with weights of each output and what follows it; where there is evidence, which would not
    add up in fewer bits, all from the average on.
    """
    has_evidence = any(output.name == EVIDENCE for output in graph.graph.output)
    averaged = [node.name for node in nodes_from_average(graph)] if has_evidence else []
    return [*(averaged or _from_last_weights(graph, PROBABILITIES)), *_from_last_weights(graph, FACES)]


def _from_last_weights(graph: onnx.ModelProto, output: str) -> list[str]:
    """Return the nodes from an output back to the network's last layer with weights; none without that output."""
    makers = {name: node for node in graph.graph.node for name in node.output}
    names: list[str] = []
    node: NodeProto | None = makers.get(output)
    while node is not None:
        names.append(node.name)
        computed = [makers[name] for name in node.input if name in makers]  # of Add the bias may come first
        is_last_layer = node.op_type in _WITH_WEIGHTS and not node.name.startswith(AFTER)
        node = computed[0] if computed and not is_last_layer else None
    return names
