"""Graphs node by node."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper


class GraphBuilder:
    """Nodes in the order in which they run, with the constants that they take.

    Attributes:
        nodes: The nodes so far; a node is named like its output, with the prefix before it.
        constants: Constant tensors that the nodes take.
    """

    def __init__(self, prefix: str, names: Iterable[str]) -> None:
        """Start without nodes.

        Args:
            prefix: Start of the nodes' names.
            names: Names of the nodes' outputs, in order.
        """
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._prefix, self._names = prefix, iter(names)

    def add(self, op: str, *inputs: str | NDArray[Any], **attributes: Any) -> str:
        """Append a node; return the name of its output.

        Args:
            op: Name of a standard operator.
            inputs: Names of tensors, or constants.
            attributes: Attributes of the operator.
        """
        output = next(self._names)
        name = self._prefix + output
        fixed = {f"{name}/{index}": value for index, value in enumerate(inputs) if not isinstance(value, str)}
        self.constants.extend(numpy_helper.from_array(value, constant) for constant, value in fixed.items())
        names = [value if isinstance(value, str) else f"{name}/{index}" for index, value in enumerate(inputs)]
        self.nodes.append(helper.make_node(op, names, [output], name=name, **attributes))
        return output
