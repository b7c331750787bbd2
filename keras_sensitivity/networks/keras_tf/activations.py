"""About how many numbers a model makes of a row: by the shapes that its layers were built with, without running it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_sensitivity.networks.keras_tf.layers import layers

__all__ = ["count_activations"]

# Numbers within a layer for each that it returns: before and after an activation, their derivatives, copies.
WITHIN = 4

Shape = Sequence[int | None]


def count_activations(model: keras.Model, row_shapes: Sequence[tuple[int, ...]]) -> int:
    """The numbers of a row in all layers; an estimate never raises.

    Args:
        model: The model; of a subclassed one the layers that hold weights tell their inputs, which the others made.
        row_shapes: Of the inputs, for axes of which a layer does not know how long they are.
    """
    longest = max(row_shapes, key=math.prod)
    count = sum(_of_layer(layer, longest) for layer in layers(model) if not isinstance(layer, keras.Model))
    return max(count, WITHIN * sum(map(math.prod, row_shapes)))


def _of_layer(layer: keras.Layer, row: tuple[int, ...]) -> int:
    shapes = [] if hasattr(layer, "cell") else _returned(layer) or _built_for(layer)
    if not shapes:
        # Each step makes numbers for the last axis of each weight; so may a layer of which nothing else is known.
        positions = max(
            (math.prod(_filled(shape, row)[:-1]) for shape in _built_for(layer)), default=math.prod(row[:-1])
        )
        widths: list[int] = [variable.shape[-1] for variable in layer.trainable_variables if variable.shape]
        return 2 * positions * sum(widths)
    sizes = [math.prod(_filled(shape, row)) for shape in shapes]
    heads = getattr(layer, "num_heads", None)
    if isinstance(heads, int):  # attention has a number for each pair of steps
        sizes.append(heads * max(_filled(shape, row)[0] for shape in shapes) ** 2)
    return WITHIN * sum(sizes)


def _returned(layer: keras.Layer) -> list[Shape]:
    """The shapes that a layer of a functional model returns, at each call."""
    made = [keras.tree.flatten(node.output_tensors) for node in layer._inbound_nodes]
    return [tensor.shape for tensors in made for tensor in tensors]


def _built_for(layer: keras.Layer) -> list[Shape]:
    """The shapes of the inputs that a layer was built for."""
    known: dict[str, Any] = getattr(layer, "_build_shapes_dict", None) or {}
    return [
        shape
        for shape in known.values()
        if isinstance(shape, (list, tuple)) and all(size is None or isinstance(size, int) for size in shape)
    ]


def _filled(shape: Shape, row: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a row, with the axes of the input for those that are not known."""
    sizes = [size or (row[axis] if axis < len(row) - 1 else 1) for axis, size in enumerate(shape[1:])]
    return tuple(sizes) or (1,)
