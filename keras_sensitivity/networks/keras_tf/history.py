"""What an input of a model was in the larger model that it is the rear part of, as a `FeatureSpace` makes such."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

__all__ = ["joined_columns"]

# What Keras puts behind the name of a tensor that becomes an input.
CLONE = "CLONE"


def joined_columns(model: keras.Model, entry: Any) -> tuple[str, ...] | None:
    """The names of the columns of an input that was joined of what inputs of the larger model became; else None.

    Args:
        model: The rear part.
        entry: Its input, which Keras calls like the tensor that stood there, with "CLONE" behind.
    """
    if not entry.name.endswith(CLONE):
        return None
    nodes = (node for layer in model.layers for node in layer._inbound_nodes)
    before = (tensor for node in nodes for tensor in node.input_tensors if f"{tensor.name}{CLONE}" == entry.name)
    tensor = next(before, None)
    if tensor is None or len(tensor.shape) != 2:
        return None
    parts = _arguments(tensor)
    if len(parts) < 2 or tensor.shape[-1] != sum(part.shape[-1] or 0 for part in parts):
        return None
    return tuple(name for part in parts for name in _columns(part))


def _arguments(tensor: Any) -> list[Any]:
    """What the operation that returned a tensor was called with."""
    operation, node_index, _ = tensor._keras_history
    return list(operation._inbound_nodes[node_index].input_tensors)


def _columns(part: Any) -> Iterator[str]:
    source = "_X_".join(dict.fromkeys(_inputs(part)))
    width = part.shape[-1]
    yield from [source] if width == 1 else [f"{source}/{index}" for index in range(width)]


def _inputs(tensor: Any) -> Iterator[str]:
    """The names of the inputs that a tensor was made of."""
    if isinstance(tensor._keras_history[0], keras.layers.InputLayer):
        yield tensor._keras_history[0].name
    for argument in _arguments(tensor):
        yield from _inputs(argument)
