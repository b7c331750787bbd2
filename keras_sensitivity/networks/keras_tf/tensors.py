"""Tensors of a traced graph, and where they come from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import tensorflow as tf

__all__ = ["BLIND", "CUTTING", "HANDING_ON", "PYTHON", "Key", "ancestors", "handed_on", "key", "origins"]

# Operations that hand on what they get, in another shape or type at most.
HANDING_ON = {"Cast", "EnsureShape", "ExpandDims", "Identity", "Reshape", "Squeeze"}

# Operations whose result says nothing of the values of what goes in.
BLIND = {"Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"}

# These, and what hands numbers on without their derivatives.
CUTTING = BLIND | {"StopGradient"}

# Operations that call Python functions, which are run whether or not anything depends on them.
PYTHON = {"EagerPyFunc", "PyFunc", "PyFuncStateless"}

Key = tuple[str, int]


def key(tensor: tf.Tensor) -> Key:
    """What tells one tensor of the traced graph from another; Python may show the same tensor as several objects."""
    return tensor.op.name, tensor.value_index


def handed_on(tensor: tf.Tensor) -> Iterator[tf.Tensor]:
    """A tensor, and backwards those that it holds the same numbers as."""
    yield tensor
    while tensor.op.type in HANDING_ON:
        tensor = tensor.op.inputs[0]
        yield tensor


def ancestors(tensor: tf.Tensor, ends: Collection[Key] = ()) -> Iterator[tf.Tensor]:
    """A tensor and all that it was computed from, not looking behind some of them."""
    seen, pending = set(), [tensor]
    while pending:
        part = pending.pop()
        if key(part) not in seen:
            seen.add(key(part))
            yield part
            if key(part) not in ends:
                pending += list(part.op.inputs)


def origins(tensor: tf.Tensor, inputs: Sequence[tf.Tensor]) -> set[int]:
    """The positions of the inputs that a tensor was computed from, in any way."""
    position = {key(each): index for index, each in enumerate(inputs)}
    return {position[key(part)] for part in ancestors(tensor) if key(part) in position}
