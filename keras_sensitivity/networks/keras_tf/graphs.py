"""What a model computes, as the graph of a symbolic run says it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_sensitivity.networks.keras_tf.facts import Same, content

__all__ = ["Graph"]

Specs = tuple[tf.TensorSpec, ...]

# How many functions with a gradient of their own were made before is part of its name.
COUNTED = "_gradient_op_type"


class Graph:
    """The graph of a function of tensors; equal to another one if both compute the same.

    Whatever Python a function runs when it is traced, and whatever that reads, shows in the operations, their constants
    and the variables that they read. Names of nested functions are numbered through by TensorFlow, so that they differ
    from one trace to the next; here a function is named by what it does.

    Args:
        function: From tensors to nested tensors.
        backwards: From the tensors and what the function returned to derivatives; compared where an operation has a
            gradient of the user's, of which its result does not tell.
        specs: Of the tensors.
    """

    def __init__(self, function: Callable[..., Any], backwards: Callable[..., Any], specs: Specs) -> None:
        self._parts = [_described(function, specs)]
        if b"CustomGradient" in self._parts[0][0]:
            self._parts.append(_described(backwards, specs))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self._parts == other._parts

    __hash__ = None  # type: ignore[assignment]


def _described(function: Callable[..., Any], specs: Specs) -> tuple[bytes, Any, Any]:
    """The operations; the outputs; what is read from outside: variables and tables as such, constants by value."""
    traced = tf.function(function, autograph=False).get_concrete_function(*specs)
    graph = traced.graph.as_graph_def()
    named = _Named(graph.library.function)
    outputs = str(traced.structured_outputs), [tensor.name for tensor in traced.graph.outputs]
    return named.nodes(graph.node), outputs, [_captured(tensor) for tensor in traced.captured_inputs]


def _captured(tensor: Any) -> Any:
    if tensor.dtype in (tf.resource, tf.variant):
        return Same(tensor)
    return content(np.asarray(tensor))


class _Named:
    """Names functions by what they do."""

    def __init__(self, functions: Sequence[Any]) -> None:
        self._functions = {function.signature.name: function for function in functions}
        self._names: dict[str, str] = {}

    def nodes(self, nodes: Sequence[Any]) -> bytes:
        return b"".join(self._node(node) for node in nodes)

    def _node(self, node: Any) -> bytes:
        copy = type(node)()
        copy.CopyFrom(node)
        custom = copy.attr.pop(COUNTED, None)
        copy.op = self._name(node.op)
        for value in copy.attr.values():
            for function in (value.func, *value.list.func) if value.WhichOneof("value") in ("func", "list") else ():
                function.name = self._name(function.name)
        mark = b"CustomGradient" if custom is not None and custom.s.startswith(b"CustomGradient") else b""
        return bytes(mark + copy.SerializeToString(deterministic=True))

    def _name(self, name: str) -> str:
        if name in self._functions and name not in self._names:
            self._names[name] = name  # in case it calls itself
            function = self._functions[name]
            content = self.nodes(function.node_def) + str(sorted(function.ret.items())).encode()
            self._names[name] = hashlib.sha256(content).hexdigest()
        return self._names.get(name, name)
