"""What the last nodes of an ONNX graph say of its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper

# "scaled": probabilities that something was done to, such as times 100 for percent
End: TypeAlias = Literal["logits", "softmax", "sigmoid", "scaled"]

_SOFTMAX = ("Softmax", "QLinearSoftmax", "BiasSoftmax")
_SIGMOID = ("Sigmoid", "QLinearSigmoid")
# Nodes that give the values they take, in another shape, type or name; and those that round them.
_SAME = ("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Dropout", "Cast", "CastLike")
_ROUNDING = ("QuantizeLinear", "DequantizeLinear")
_AVERAGES = ("ReduceMean", "GlobalAveragePool", "AveragePool")
_CHOOSING = ("Gather", "Slice", "Split")
# Position of the weights among the inputs of a linear layer.
_LINEAR = {
    **dict.fromkeys(("Gemm", "MatMul", "Conv", "FusedMatMul", "MatMulNBits", "MatMulInteger", "ConvInteger"), 1),
    **dict.fromkeys(("MatMulIntegerToFloat", "DynamicQuantizeMatMul"), 1),
    **dict.fromkeys(("QLinearMatMul", "QLinearConv", "QGemm"), 3),
}
_INTEGER_PRODUCTS = ("MatMulInteger", "ConvInteger")


@dataclass(frozen=True)
class GraphEnd:
    """The nodes that lead to an output, walked from there.

    Attributes:
        model: Graph without functions of its own.
    """

    model: onnx.ModelProto

    def kind(self, tensor: str) -> End | None:
        """Return what a tensor holds; None where the nodes that make it do not say."""
        node = self._makers.get(tensor)
        if node is None:
            return None
        if named := self._named(node):
            return named
        if node.op_type.removeprefix("QLinear") in (*_SAME, *_ROUNDING, *_AVERAGES):
            return self.kind(node.input[0])
        return self._combined(node)

    def squashing(self, tensor: str) -> NodeProto | None:
        """Return the softmax or sigmoid whose very values a tensor holds, in whatever shape; None without one."""
        node = self._makers.get(tensor)
        while node is not None and node.op_type in _SAME:
            node = self._makers.get(node.input[0])
        return node if node is not None and node.op_type in ("Softmax", "Sigmoid") else None

    def maker(self, tensor: str) -> str:
        """Return the operator that makes a tensor, for messages."""
        node = self._makers.get(tensor)
        return node.op_type if node else "input"

    def _named(self, node: NodeProto) -> End | None:
        """Return what a node gives whatever it takes, if that is so."""
        if node.op_type in _SOFTMAX or self._is_written_softmax(node):
            return "softmax"
        if node.op_type in _SIGMOID or self._is_written_sigmoid(node):
            return "sigmoid"
        is_logits = node.op_type == "LogSoftmax" or self._is_linear(node) or self._is_dequantised(node)
        return "logits" if is_logits else None

    def _combined(self, node: NodeProto) -> End | None:
        """Return what sums, products, concatenations, choices and clipping make of what they take."""
        computed = [name for name in node.input if name and name not in self._constants]
        kinds = {self.kind(name) for name in computed}
        if len(kinds) != 1 or (kind := kinds.pop()) is None:
            return None
        op, with_constant = node.op_type.removeprefix("QLinear"), any(name in self._constants for name in node.input)
        if kind == "logits":
            keeps = op in ("Add", "Sub", "BatchNormalization") or (op in ("Mul", "Div") and with_constant)
            return kind if keeps or (op == "Concat" and not with_constant) else None
        if op in _CHOOSING:  # a share of 1 is a probability by itself; a logit out of several is not the logit of one
            return "sigmoid" if kind != "scaled" else kind
        complement = op == "Sub" and self._is(node.input[0], 1)
        if complement or op in ("Clip", "Min", "Max") or (op == "Concat" and not with_constant):
            return kind
        return "scaled" if op in ("Add", "Sub", "Mul", "Div") and with_constant else None

    def _is_linear(self, node: NodeProto) -> bool:
        """Tell a layer with constant weights, of features that are no probabilities (those it would mix)."""
        if node.op_type not in _LINEAR or any(attribute.name == "activation" for attribute in node.attribute):
            return False
        data = node.input[0]
        if node.op_type == "MatMul" and data in self._constants:
            data = node.input[1]
        elif len(node.input) <= _LINEAR[node.op_type] or node.input[_LINEAR[node.op_type]] not in self._constants:
            return False
        return self.kind(data) not in ("softmax", "sigmoid", "scaled")

    def _is_dequantised(self, node: NodeProto) -> bool:
        """Tell the product of an integer layer's sums with the scale of its activations, known only when it runs."""
        if node.op_type != "Mul":
            return False
        makers = [self._makers.get(name) for name in node.input]
        before = [self._makers.get(each.input[0]) for each in makers if each is not None and each.op_type == "Cast"]
        return any(each is not None and each.op_type in _INTEGER_PRODUCTS for each in before)

    def _is_written_softmax(self, node: NodeProto) -> bool:
        """Tell exp(x) / sum(exp(x)), as some converters write it, and exp(log_softmax(x))."""
        if node.op_type == "Exp":
            return self.maker(node.input[0]) == "LogSoftmax"
        if node.op_type != "Div" or self.maker(node.input[0]) != "Exp":
            return False
        total = self._makers.get(node.input[1])
        return total is not None and total.op_type == "ReduceSum" and total.input[0] == node.input[0]

    def _is_written_sigmoid(self, node: NodeProto) -> bool:
        """Tell 1 / (1 + exp(-x))."""
        if node.op_type not in ("Div", "Reciprocal") or (node.op_type == "Div" and not self._is(node.input[0], 1)):
            return False
        total = self._makers.get(node.input[-1])
        if total is None or total.op_type != "Add":
            return False
        return any(self._is(name, 1) for name in total.input) and any(self.maker(name) == "Exp" for name in total.input)

    def _is(self, tensor: str, value: float) -> bool:
        constant = self._values.get(tensor)
        return constant is not None and bool(np.all(constant == value))

    @cached_property
    def _makers(self) -> Mapping[str, NodeProto]:
        return {name: node for node in self.model.graph.node for name in node.output if name}

    @cached_property
    def _values(self) -> Mapping[str, NDArray[np.generic]]:
        """Small constants by name."""
        tensors = {each.name: each for each in self.model.graph.initializer}
        tensors |= {
            node.output[0]: attribute.t
            for node in self.model.graph.node
            if node.op_type == "Constant"
            for attribute in node.attribute
            if attribute.name == "value"
        }
        return {name: numpy_helper.to_array(each) for name, each in tensors.items() if np.prod(each.dims) <= 1}

    @cached_property
    def _constants(self) -> set[str]:
        """Names of weights, and of what is computed of weights alone."""
        names = {tensor.name for tensor in self.model.graph.initializer}
        names |= {tensor.values.name for tensor in self.model.graph.sparse_initializer}
        for node in self.model.graph.node:  # in the order in which they run
            if all(name in names for name in node.input if name) and not _has_graph(node):
                names.update(node.output)
        return names


def _has_graph(node: NodeProto) -> bool:
    return any(
        attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for attribute in node.attribute
    )


def bypass(node: NodeProto) -> None:
    """Let a softmax or sigmoid give what it takes, in place."""
    node.CopyFrom(helper.make_node("Identity", list(node.input), list(node.output), name=node.name))
