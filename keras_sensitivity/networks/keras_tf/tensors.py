"""Tensors of a traced graph, and where they come from."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf

__all__ = ["handed_on"]

# Operations that hand on what they get, in another shape or type at most.
HANDING_ON = {"Cast", "EnsureShape", "ExpandDims", "Identity", "Reshape", "Squeeze"}


def handed_on(tensor: tf.Tensor) -> Iterator[tf.Tensor]:
    """A tensor, and backwards those that it holds the same numbers as."""
    yield tensor
    while tensor.op.type in HANDING_ON:
        tensor = tensor.op.inputs[0]
        yield tensor
