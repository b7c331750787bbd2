"""What goes into a final softmax or sigmoid, recognised by what is computed, not by how it was spelt.

The graph that is being traced is read backwards from an output: over operations that put its entries elsewhere, clip
them, or scale and shift all of them by one number, to a softmax or sigmoid, be it an operation of its own or a formula.
One that other numbers are multiplied with, as in attention and in gates, is not final.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_sensitivity.networks.keras_tf.tensors import HANDING_ON, ancestors, handed_on, key

__all__ = ["logits_of"]

# Operations that put entries elsewhere, or into another type.
REARRANGING = {
    "BroadcastTo", "Cast", "CheckNumerics", "ConcatV2", "EnsureShape", "ExpandDims", "GatherV2", "Identity", "Pack",
    "Reshape", "ReverseV2", "Slice", "Split", "SplitV", "Squeeze", "StridedSlice", "Tile", "Transpose", "Unpack",
}  # fmt: skip
CLIPPING = {"ClipByValue", "Maximum", "Minimum"}
FINAL = {"LogSoftmax", "Sigmoid", "Softmax"}

# What a logarithm of a sum of exponentials may be made of, beside these three.
OF_LOG_SUM = {
    "AddV2", "Const", "ExpandDims", "Identity", "IsFinite", "Log", "Max", "Reshape", "SelectV2", "Shape", "Squeeze",
    "StopGradient", "Sub", "Sum", "Exp", "ZerosLike",
}  # fmt: skip

# Two formulas are compared so deep.
MOST_NESTED = 8


class _Line(NamedTuple):
    """``scale * tensor + shift``, with numbers that all entries share."""

    tensor: tf.Tensor
    scale: float = 1.0
    shift: float = 0.0


def logits_of(head: tf.Tensor) -> tf.Tensor | None:
    """What went into the softmax or sigmoid that made a head, each entry in the place of its own; None if none did.

    Where parts of a head are joined of which some have none, these stay what they are.
    """
    line = _line(head)
    operation = line.tensor.op
    if operation.type in REARRANGING:
        inner = _rearranged(line.tensor)
    elif operation.type in CLIPPING:
        numbers = [each for each in operation.inputs if _constant(each) is None]
        inner = logits_of(numbers[0]) if len(numbers) == 1 else None
    elif operation.type == "Tanh" and (line.scale, line.shift) == (0.5, 0.5):
        return 2 * operation.inputs[0]
    elif operation.type == "Softplus" and (line.scale, line.shift) == (-1.0, 0.0):  # the logarithm of a sigmoid
        return -operation.inputs[0]
    else:
        inner = operation.inputs[0] if operation.type in FINAL else _of_formula(line.tensor)
    return inner if inner is None or line.scale > 0 else -inner


def _rearranged(tensor: tf.Tensor) -> tf.Tensor | None:
    """The same done to the logits as was done to what came of them."""
    operation = tensor.op
    found = [logits_of(each) if each.dtype.is_floating else None for each in operation.inputs]
    if all(each is None for each in found):
        return None
    given = [own if logits is None else logits for own, logits in zip(operation.inputs, found, strict=True)]
    return _again(operation, given)[tensor.value_index]


def _again(operation: tf.Operation, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """What an operation returns for other tensors; called by its name."""
    function = getattr(tf.raw_ops, operation.type)
    waiting = iter(inputs)
    arguments: dict[str, Any] = {}
    for each in operation.op_def.input_arg:
        count = operation.get_attr(each.number_attr) if each.number_attr else None
        arguments[each.name] = next(waiting) if count is None else list(itertools.islice(waiting, count))
    parameters = inspect.signature(function).parameters
    names = [each.name for each in operation.op_def.attr if each.name in parameters]
    return list(tf.nest.flatten(function(**arguments, **{name: operation.get_attr(name) for name in names})))


# --- numbers that all entries share -----------------------------------------------------------------------------------


def _line(tensor: tf.Tensor) -> _Line:
    """A tensor without what scales and shifts all of its entries alike."""
    line = _Line(tensor)
    while (inner := _inside(line.tensor)) is not None and inner.scale:
        line = _Line(inner.tensor, line.scale * inner.scale, line.scale * inner.shift + line.shift)
    return line


def _inside(tensor: tf.Tensor) -> _Line | None:
    """A tensor as a line in one other; None if it is not."""
    kind, inputs = tensor.op.type, list(tensor.op.inputs)
    if kind == "Neg":
        return _Line(inputs[0], -1.0)
    if kind not in {"AddV2", "Mul", "RealDiv", "Sub"}:
        return None
    first, second = map(_constant, inputs)
    if (first is None) == (second is None):
        return None
    if first is not None:
        lines = {"AddV2": (1.0, first), "Mul": (first, 0.0), "Sub": (-1.0, first)}
        return _Line(inputs[1], *lines[kind]) if kind in lines else None
    number = second or 0.0
    lines = {"AddV2": (1.0, number), "Mul": (number, 0.0), "Sub": (1.0, -number), "RealDiv": (1 / (number or 1.0), 0.0)}
    return _Line(inputs[0], *lines[kind])


def _constant(tensor: tf.Tensor) -> float | None:
    """The number that a constant holds."""
    value = tf.get_static_value(tensor) if tensor.dtype.is_floating else None
    return None if value is None or np.size(value) != 1 else float(np.reshape(value, ()))


# --- formulas ---------------------------------------------------------------------------------------------------------


def _of_formula(tensor: tf.Tensor) -> tf.Tensor | None:
    """What goes into a softmax or sigmoid that is written as a formula."""
    kind, inputs = tensor.op.type, list(tensor.op.inputs)
    if kind == "Exp":
        return _of_logarithm(inputs[0])
    if kind == "Reciprocal":
        return _of_ratio(None, inputs[0])
    if kind == "RealDiv":
        return _of_ratio(None if _constant(inputs[0]) is not None else inputs[0], inputs[1])
    if kind == "Mul":
        for one, other in (inputs, inputs[::-1]):
            if other.op.type == "Reciprocal":
                return _of_ratio(one, other.op.inputs[0])
    return None


def _of_ratio(above: tf.Tensor | None, below: tf.Tensor) -> tf.Tensor | None:
    """Of exp(x) / sum(exp(x)), exp(x) / (1 + exp(x)) and 1 / (1 + exp(-x)); None stands for a number."""
    whole = _line(below).tensor
    if above is None:
        return -whole.op.inputs[0] if whole.op.type == "Exp" and _line(below)[1:] == (1.0, 1.0) else None
    if above.op.type != "Exp":
        return None
    if _same(above, whole):
        return above.op.inputs[0]
    summed = _reshaped(whole)
    if summed.op.type == "Sum" and _same(above, summed.op.inputs[0]):
        return _without_largest(above.op.inputs[0])
    return None


def _of_logarithm(tensor: tf.Tensor) -> tf.Tensor | None:
    """Of the logarithm of a softmax."""
    if tensor.op.type == "LogSoftmax":
        return tensor.op.inputs[0]
    if tensor.op.type == "Sub":
        x, total = tensor.op.inputs
        kinds = {each.op.type for each in ancestors(total, [key(x)]) if key(each) != key(x)}
        if {"Exp", "Log", "Sum"} <= kinds <= OF_LOG_SUM and any(key(each) == key(x) for each in ancestors(total)):
            return _without_largest(x)
    return None


def _without_largest(tensor: tf.Tensor) -> tf.Tensor:
    """What the largest of it was taken from, so that no exponential is too large."""
    if tensor.op.type == "Sub":
        x, largest = tensor.op.inputs
        if any(each.op.type == "Max" and _same(each.op.inputs[0], x) for each in _through(largest)):
            return x
    return tensor


def _through(tensor: tf.Tensor) -> Iterator[tf.Tensor]:
    """A tensor, and backwards those that it holds the same numbers as, with derivatives or without."""
    for each in handed_on(tensor):
        yield each
        if each.op.type == "StopGradient":
            yield from _through(each.op.inputs[0])


def _reshaped(tensor: tf.Tensor) -> tf.Tensor:
    """What a tensor was before axes of one entry were added or taken away."""
    while tensor.op.type in {*HANDING_ON, "StridedSlice"}:
        before = tensor.op.inputs[0]
        if before.shape.num_elements() != tensor.shape.num_elements():
            break
        tensor = before
    return tensor


def _same(one: tf.Tensor, other: tf.Tensor, depth: int = 0) -> bool:
    """Whether two tensors were computed in the same way from the same."""
    if key(one) == key(other):
        return True
    if one.op.type != other.op.type or depth > MOST_NESTED:
        return False
    if one.op.type == "Const":
        return bool(np.array_equal(tf.get_static_value(one), tf.get_static_value(other)))
    pairs = list(itertools.zip_longest(one.op.inputs, other.op.inputs))
    return bool(pairs) and all(
        first is not None and second is not None and _same(first, second, depth + 1) for first, second in pairs
    )
