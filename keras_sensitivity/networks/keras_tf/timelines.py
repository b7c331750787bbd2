"""Whether the steps of an output are those of an input: read from the graph of a model, not from lengths.

A forecast of six steps made of a window of six has an axis as long as the window, and yet its first step is not that of
the window. So each operation on the way from the input is asked what becomes of the time axis. A sum over the steps, a
weight for each of them or the last state of a recurrent layer ends it, and whatever axis is made afterwards is another
one; layers that treat the steps one by one, slide along them or attend to them keep it. See `Trail`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from keras_sensitivity.networks.keras_tf.kept_axes import RULES, Given, Rule, blank, in_place, lost
from keras_sensitivity.networks.keras_tf.tensors import CUTTING
from keras_sensitivity.networks.keras_tf.trails import NO_STEP, Trail, axis_of, is_in_order, steps_of

__all__ = ["has_steps_of"]


def has_steps_of(head: tf.Tensor, source: tf.Tensor) -> bool | None:
    """Whether the second axis of a tensor stands for the time steps of an input; None if that cannot be known.

    Args:
        head: A tensor of a graph, shape (batch_size, num_positions, ...).
        source: The input, in the same graph, shape (batch_size, num_steps, ...).
    """
    batch_size, num_steps, *rest = source.shape
    start = Trail((axis_of(batch_size), axis_of(num_steps, range(num_steps)), *map(axis_of, rest)))
    trail = _trails(head.graph, {source.name: start}).get(head.name)
    if trail is None:
        return False
    steps = steps_of(trail.axes[1]) if trail.axes else None
    if steps is not None and is_in_order(steps):
        return True
    return None if trail.is_lost else False


def _trails(graph: Any, trails: dict[str, Trail]) -> dict[str, Trail]:
    """The trails of all tensors of a graph that come from those whose trails are given, by their names."""
    for operation in graph.get_operations():
        given = [None if tensor.dtype == tf.bool else trails.get(tensor.name) for tensor in operation.inputs]
        if operation.type not in CUTTING and any(trail is not None for trail in given):
            for tensor, trail in zip(operation.outputs, _ruled(operation, given), strict=True):
                if trail is not None:
                    trails.setdefault(tensor.name, trail)
    return trails


def _ruled(operation: tf.Operation, given: Given) -> Sequence[Trail | None]:
    """What the rule for an operation says; nothing where shapes are not known."""
    if operation.type in MORE_RULES:
        return MORE_RULES[operation.type](operation, given)
    shapes = [tensor.shape for tensor in (*operation.inputs, *operation.outputs)]
    if not all(shape.is_fully_defined() for shape in shapes):
        return lost(operation, given)
    return RULES.get(operation.type, in_place)(operation, given)


# --- functions within the graph ---------------------------------------------------------------------------------------


def _called(operation: tf.Operation, name: str, given: Given) -> list[Trail | None]:
    """The trails of what a function of the graph returns."""
    body = operation.graph._get_function(operation.get_attr(name).name).graph
    start = {tensor.name: trail for tensor, trail in zip(body.inputs, given, strict=True) if trail is not None}
    trails = _trails(body, start)
    return [trails.get(tensor.name) for tensor in body.outputs]


def _call(operation: tf.Operation, given: Given) -> list[Trail | None]:
    return _called(operation, "f", given)


def _branches(operation: tf.Operation, given: Given) -> list[Trail | None]:
    """Of a condition the first branch that has anything of the input."""
    both = zip(*(_called(operation, name, given[1:]) for name in ("then_branch", "else_branch")), strict=True)
    return [one or other for one, other in both]


def _loop(operation: tf.Operation, given: Given) -> list[Trail | None]:
    """Of a loop what one turn returns: another of the steps was taken out in each, and of a state all were."""
    after = _called(operation, "body", given)
    kept = [before if trail is None else trail for trail, before in zip(after, given, strict=True)]
    return [None if trail is None else trail._replace(moving=None) for trail in kept]


def _kernel(operation: tf.Operation, given: Given) -> list[Trail | None]:
    """Of recurrent layers on a GPU: what they return has the steps, their states have none."""
    data, (steps, *others) = given[0], operation.outputs
    every: list[Trail | None] = [blank(operation, given, output) for output in range(1 + len(others))]
    if data is not None and steps.shape.is_fully_defined():
        every[0] = data.with_axes([*data.axes[:2], axis_of(steps.shape[2])])
    return every


# --- lists of tensors, whose only axis is that of the list ------------------------------------------------------------


def _list_of(operation: tf.Operation, given: Given) -> list[Trail | None]:
    data = given[0]
    return [None if data is None else data.with_axes(data.axes[:1])]


def _item(operation: tf.Operation, given: Given) -> list[Trail | None]:
    every, index = given[0], tf.get_static_value(operation.inputs[1])
    steps = None if every is None or not every.axes else steps_of(every.axes[0])
    trail = blank(operation, given)
    if steps is None:
        return [trail]
    return [trail._replace(moving=steps) if index is None else trail.at([steps[int(index)]])]


def _with_item(operation: tf.Operation, given: Given) -> list[Trail | None]:
    """A list in which an item is written: it has the steps that move with it, or at its place the last of the item."""
    every, _, item = given
    steps = None if every is None or not every.axes else steps_of(every.axes[0])
    trail = Trail.beside([each for each in (every, item) if each is not None], [])
    index = tf.get_static_value(operation.inputs[1])
    if item is not None and item.moving is not None and index is None:
        steps = item.moving
    elif item is not None and item.slots and index is not None:
        known = [*(steps or [])]
        known += [NO_STEP] * (int(index) + 1 - len(known))
        known[int(index)] = max(item.slots)
        steps = tuple(known)
    return [trail.with_axes([] if steps is None else [axis_of(len(steps), steps)])]


def _stacked(operation: tf.Operation, given: Given) -> list[Trail | None]:
    every = given[0]
    trail = blank(operation, given)
    steps = None if every is None or not every.axes else steps_of(every.axes[0])
    if steps is None or not trail.axes or operation.outputs[0].shape[0] != len(steps):
        return [trail]
    return [trail.with_axes([axis_of(len(steps), steps), *trail.axes[1:]])]


def _handed_on(operation: tf.Operation, given: Given) -> list[Trail | None]:
    return given


MORE_RULES: dict[str, Rule] = {
    "CudnnRNNV3": _kernel,
    "Identity": _handed_on,
    "IdentityN": _handed_on,
    "If": _branches,
    "PartitionedCall": _call,
    "StatefulPartitionedCall": _call,
    "StatelessIf": _branches,
    "StatelessWhile": _loop,
    "TensorListFromTensor": _list_of,
    "TensorListGetItem": _item,
    "TensorListSetItem": _with_item,
    "TensorListStack": _stacked,
    "While": _loop,
}
