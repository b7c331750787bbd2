"""The calls that a functional or Sequential model is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

__all__ = ["graph_of", "has_graph", "is_any", "is_by_keras", "nodes_of"]


def has_graph(model: keras.Model) -> bool:
    """Whether the model is made of layers that can be told apart, and does no more than call them."""
    return hasattr(graph_of(model), "_nodes_by_depth") and is_by_keras(model, "call", "predict_step")


def graph_of(model: keras.Model) -> Any:
    """The functional model that a model is."""
    return model._functional if isinstance(model, keras.Sequential) else model


def nodes_of(graph: Any) -> Iterator[Any]:
    """The calls of layers and operations, in an order in which they can be done."""
    for _, nodes in sorted(graph._nodes_by_depth.items(), reverse=True):
        yield from (node for node in nodes if node.operation and not node.is_input)


def is_by_keras(instance: Any, *methods: str) -> bool:
    """Whether the methods are those that Keras wrote, not those of a subclass."""
    return all(getattr(type(instance), method).__module__.startswith("keras.") for method in methods)


def is_any(old: Any, kinds: tuple[type, ...]) -> bool:
    """Whether the layer is of one of these kinds of Keras, and computes as they do."""
    return isinstance(old, kinds) and is_by_keras(old, "call")
