"""What single TensorFlow operations do to the axes of what they are given: see `Trail`.

Every rule takes an operation and, for each of its inputs, the trail or None; it returns the trail of each output.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_sensitivity.networks.keras_tf.trails import NO_STEP, Axis, Trail, axis_of, reshaped, size_of, steps_of

__all__ = ["RULES", "Given", "Rule", "blank", "in_place", "lost"]

Given = list[Trail | None]
Rule = Callable[[tf.Operation, Given], Sequence[Trail | None]]

# Of what a slice takes of an axis: an index that is not known when the model is traced, or a new axis.
DYNAMIC, NEW = "dynamic", "new"


def blank(operation: tf.Operation, given: Given, output: int = 0) -> Trail:
    """A trail whose axes stand for no steps."""
    shape = operation.outputs[output].shape
    return Trail.beside(filter(None, given), shape.as_list() if shape.is_fully_defined() else [])


def lost(operation: tf.Operation, given: Given) -> list[Trail | None]:
    """Trails of which nothing is known any more, if something was."""
    had_steps = any(trail is not None and trail.has_steps for trail in given)
    every = [blank(operation, given, output) for output in range(len(operation.outputs))]
    return [trail._replace(is_lost=trail.is_lost or had_steps) for trail in every]


def in_place(operation: tf.Operation, given: Given) -> list[Trail | None]:
    """An operation that leaves everything in its place, or is not known: axes that stay as long are taken as kept."""
    return [_in_place(operation, given, output) for output in range(len(operation.outputs))]


def _in_place(operation: tf.Operation, given: Given, output: int) -> Trail:
    trail = blank(operation, given, output)
    axes, is_lost = list(trail.axes), trail.is_lost
    for each in filter(None, given):
        offset = len(axes) - len(each.axes)
        for place, axis in enumerate(each.axes, offset):
            if any(factor.steps is not None for factor in axis):
                fits = place >= 0 and size_of(axes[place]) == size_of(axis)
                is_lost |= not fits
                if fits and steps_of(axes[place]) is None:
                    axes[place] = axis
    return trail._replace(axes=tuple(axes), is_lost=is_lost)


def _of_first(rule: Callable[[tf.Operation, Trail], Iterable[Axis] | None]) -> Rule:
    """The rule for an operation of which only the first argument is data, from one that returns its axes, if known."""

    def of_first(operation: tf.Operation, given: Given) -> list[Trail | None]:
        data = given[0]
        axes = None if data is None else rule(operation, data)
        return lost(operation, given) if data is None or axes is None else [data.with_axes(axes)]

    return of_first


def _reshape(operation: tf.Operation, data: Trail) -> Iterable[Axis]:
    return reshaped(data.axes, operation.outputs[0].shape.as_list())


def _transpose(operation: tf.Operation, data: Trail) -> Iterable[Axis] | None:
    order = tf.get_static_value(operation.inputs[1])
    return None if order is None else [data.axes[index] for index in order]


def _reduction(operation: tf.Operation, data: Trail) -> Iterable[Axis] | None:
    over = tf.get_static_value(operation.inputs[1])
    if over is None:
        return None
    gone = {int(axis) % len(data.axes) for axis in np.ravel(over)}
    if operation.outputs[0].shape.rank == len(data.axes):
        return [axis_of(1) if index in gone else axis for index, axis in enumerate(data.axes)]
    return [axis for index, axis in enumerate(data.axes) if index not in gone]


def _one_hot(operation: tf.Operation, data: Trail) -> Iterable[Axis] | None:
    place = operation.get_attr("axis") % (len(data.axes) + 1)
    return [*data.axes[:place], axis_of(operation.outputs[0].shape[place]), *data.axes[place:]]


def _mapped(data: Trail, positions: Mapping[int, Sequence[int]]) -> Iterable[Axis]:
    """The axes, of which some have other positions of the old ones, -1 for those that are new."""
    for index, axis in enumerate(data.axes):
        steps = steps_of(axis)
        if index not in positions:
            yield axis
        elif steps is None:
            yield axis_of(len(positions[index]))
        else:
            yield axis_of(len(positions[index]), [NO_STEP if p < 0 else steps[p] for p in positions[index]])


def _reversed(operation: tf.Operation, data: Trail) -> Iterable[Axis] | None:
    over = tf.get_static_value(operation.inputs[1])
    if over is None:
        return None
    places = {int(axis) % len(data.axes) for axis in np.ravel(over)}
    return _mapped(data, {place: range(size_of(data.axes[place]))[::-1] for place in places})


def _padded(operation: tf.Operation, data: Trail) -> Iterable[Axis] | None:
    widths = tf.get_static_value(operation.inputs[1])
    if widths is None:
        return None
    sizes = map(size_of, data.axes)
    positions = [
        [-1] * before + list(range(size)) + [-1] * after
        for (before, after), size in zip(widths.tolist(), sizes, strict=True)
    ]
    return _mapped(data, {place: each for place, each in enumerate(positions) if any(widths[place])})


def _tiled(operation: tf.Operation, data: Trail) -> Iterable[Axis]:
    sizes = map(size_of, data.axes)
    positions = {
        place: [*range(size)] * (tiled // size)
        for place, (size, tiled) in enumerate(zip(sizes, operation.outputs[0].shape.as_list(), strict=True))
        if tiled != size
    }
    return _mapped(data, positions)


def _sliding(contracts: bool) -> Rule:
    """Convolutions and pools, which slide along an axis and may make it longer or shorter.

    Args:
        contracts: Whether the channels, the last axis but for "NC...", are summed over.
    """

    def sliding(operation: tf.Operation, given: Given) -> list[Trail | None]:
        (data,) = list(filter(None, given))[:1]
        shape = operation.outputs[0].shape
        if len(data.axes) != shape.rank:
            return lost(operation, given)
        layout = operation.get_attr("data_format").decode() if "data_format" in operation.node_def.attr else "N...C"
        channels = 1 if layout.startswith("NC") else len(data.axes) - 1
        positions = {}
        for place, (axis, size) in enumerate(zip(data.axes, shape.as_list(), strict=True)):
            if place == channels and contracts:
                positions[place] = [-1] * size
            elif size != size_of(axis):
                positions[place] = [index * size_of(axis) // size for index in range(size)]
        return [data.with_axes(_mapped(data, positions))]

    return sliding


# --- products ---------------------------------------------------------------------------------------------------------


def _product(transposed: Sequence[str]) -> Rule:
    """A product of matrices; the attributes say which of them are transposed."""

    def product(operation: tf.Operation, given: Given) -> list[Trail | None]:
        trail = blank(operation, given)
        axes = list(trail.axes)
        for each, attribute, own, other in zip(given, transposed, (-2, -1), (-1, -2), strict=True):
            if each is not None:
                axes[own] = each.axes[other if operation.get_attr(attribute) else own]
                first = len(axes) - len(each.axes)
                for place, axis in enumerate(each.axes[:-2], first):
                    if steps_of(axes[place]) is None and size_of(axes[place]) == size_of(axis):
                        axes[place] = axis
        return [trail.with_axes(axes)]

    return product


def _einsum(operation: tf.Operation, given: Given) -> list[Trail | None]:
    terms, result = operation.get_attr("equation").decode().split("->")
    trail = blank(operation, given)
    axes = list(trail.axes)
    for term, each in zip(terms.split(","), given, strict=True):
        letters = "" if each is None else _written_out(term, len(each.axes))
        for place, letter in enumerate(_written_out(result, len(axes))):
            if each is not None and letter in letters and steps_of(axes[place]) is None:
                axes[place] = each.axes[letters.index(letter)]
    return [trail.with_axes(axes)]


def _written_out(term: str, rank: int) -> str:
    """The letters of a term of an equation, with capitals for the dots, the same for the same place from their end."""
    missing = rank - len(term.replace("...", ""))
    return term.replace("...", string.ascii_uppercase[26 - missing :] if missing else "")


# --- parts, and what is put together of them --------------------------------------------------------------------------


def _strided_slice(operation: tf.Operation, given: Given) -> list[Trail | None]:
    data = given[0]
    selection = None if data is None else _selection(operation, len(data.axes))
    return lost(operation, given) if data is None or selection is None else [_selected(data, selection)]


def _selected(data: Trail, selection: Sequence[Any]) -> Trail:
    """The trail of a part of a tensor, as a slice for each axis says, an index, or one of the words above."""
    axes: list[Axis] = []
    left = iter(data.axes)
    for part in selection:
        axis = axis_of(1) if part is NEW else next(left)
        steps = steps_of(axis)
        if part is NEW or part == slice(None):
            axes.append(axis)
        elif isinstance(part, slice):
            axes.append(axis_of(len(range(size_of(axis))[part]), steps and steps[part]))
            if steps is not None and size_of(axes[-1]) == 1:
                data = data.at(steps[part])
        elif steps is not None:
            data = data._replace(moving=steps) if part is DYNAMIC else data.at([steps[part]])
    return data.with_axes([*axes, *left])


def _selection(operation: tf.Operation, rank: int) -> list[Any] | None:
    """What a strided slice takes of the axes; None if that is not known."""
    begin, end, strides = (tf.get_static_value(tensor, partial=True) for tensor in operation.inputs[1:4])
    if begin is None or end is None or strides is None or any(stride is None for stride in strides):
        return None
    names = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    masks = {name: operation.get_attr(f"{name}_mask") for name in names}
    found: list[Any] = []
    for index, bounds in enumerate(zip(begin, end, strict=True)):
        is_set = {name: bool(mask >> index & 1) for name, mask in masks.items()}
        first, last = (None if is_set[name] else bound for name, bound in zip(names[:2], bounds, strict=True))
        if is_set["ellipsis"]:
            found += [slice(None)] * (rank - (len(begin) - 1 - (masks["new_axis"] & ~masks["ellipsis"]).bit_count()))
        elif is_set["new_axis"]:
            found.append(NEW)
        elif is_set["shrink_axis"]:
            found.append(DYNAMIC if bounds[0] is None else bounds[0])
        elif (first is None and not is_set["begin"]) or (last is None and not is_set["end"]):
            return None
        else:
            found.append(slice(first, last, strides[index]))
    return found


def _slice(operation: tf.Operation, given: Given) -> list[Trail | None]:
    data = given[0]
    begin, sizes = (tf.get_static_value(tensor) for tensor in operation.inputs[1:3])
    if data is None or begin is None or sizes is None:
        return lost(operation, given)
    bounds = zip(begin.tolist(), sizes.tolist(), strict=True)
    return [_selected(data, [slice(first, None if size < 0 else first + size) for first, size in bounds])]


def _gather(operation: tf.Operation, given: Given) -> list[Trail | None]:
    """Rows of a table, by indices that may come from the input, or parts of the input."""
    values, indices, *_ = given
    trail = blank(operation, given)
    batch = operation.get_attr("batch_dims")
    is_resource = operation.type == "ResourceGather"
    place = 0 if is_resource else tf.get_static_value(operation.inputs[2])
    if place is None or (is_resource and values is not None):
        return lost(operation, given)
    rank = operation.inputs[1].shape.rank - batch
    place = int(place) % (len(values.axes) if values is not None else len(trail.axes) - rank + 1)
    axes = list(trail.axes)
    if indices is not None:
        axes[place : place + rank] = indices.axes[batch:]
    if values is not None:
        axes[:place], axes[place + rank :] = values.axes[:place], values.axes[place + 1 :]
        steps, chosen = steps_of(values.axes[place]), tf.get_static_value(operation.inputs[1])
        if steps is not None and rank == 0:
            trail = trail._replace(moving=steps) if chosen is None else trail.at([steps[int(chosen)]])
        elif steps is not None and rank == 1 and chosen is not None and not batch:
            axes[place] = axis_of(len(chosen), [steps[index] for index in chosen])
        elif steps is not None:
            trail = trail._replace(is_lost=True)
    return [trail.with_axes(axes)]


def _split(operation: tf.Operation, given: Given) -> list[Trail | None]:
    position = 0 if operation.type == "Split" else 2
    data, place = given[1 if operation.type == "Split" else 0], tf.get_static_value(operation.inputs[position])
    shapes = [tensor.shape for tensor in operation.outputs]
    if data is None or place is None:
        return lost(operation, given)
    sizes = [shape[int(place)] for shape in shapes]
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    every = [[slice(None)] * len(data.axes) for _ in sizes]
    for selection, start, size in zip(every, starts, sizes, strict=True):
        selection[int(place)] = slice(start, start + size)
    return [_selected(data, selection) for selection in every]


def _unpack(operation: tf.Operation, given: Given) -> list[Trail | None]:
    (data,) = given
    assert data is not None
    place = operation.get_attr("axis") % len(data.axes)
    return [_selected(data, [slice(None)] * place + [index]) for index in range(len(operation.outputs))]


def _pack(operation: tf.Operation, given: Given) -> list[Trail | None]:
    trail = _in_place_of_packed(operation, given)
    place = operation.get_attr("axis") % (len(trail.axes) + 1)
    axes = [*trail.axes[:place], axis_of(len(given), _ordered(given)), *trail.axes[place:]]
    return [trail.with_axes(axes)]


def _concat(operation: tf.Operation, given: Given) -> list[Trail | None]:
    *parts, _ = given
    place = tf.get_static_value(operation.inputs[-1])
    trail = blank(operation, given)
    if place is None:
        return lost(operation, given)
    place = int(place) % len(trail.axes)
    axes = [
        _first_with_steps([part.axes[index] for part in parts if part is not None]) for index in range(len(trail.axes))
    ]
    sizes = [tensor.shape[place] for tensor in operation.inputs[:-1]]
    if all(size == 1 for size in sizes):
        axes[place] = axis_of(len(parts), _ordered(parts))
    else:
        every = [None if part is None else steps_of(part.axes[place]) for part in parts]
        along = [step for steps, size in zip(every, sizes, strict=True) for step in steps or [NO_STEP] * size]
        axes[place] = axis_of(len(along), along if any(every) else None)
    return [trail.with_axes(axes)]


def _in_place_of_packed(operation: tf.Operation, given: Given) -> Trail:
    trail = Trail.beside(filter(None, given), [])
    parts = [each for each in given if each is not None]
    return trail.with_axes(
        _first_with_steps([part.axes[index] for part in parts]) for index in range(len(parts[0].axes))
    )


def _first_with_steps(axes: Sequence[Axis]) -> Axis:
    return next((axis for axis in axes if any(factor.steps is not None for factor in axis)), axes[0])


def _ordered(given: Given) -> list[int] | None:
    """The step that each of some parts stands for: the last that it was made of, or else the first."""
    for end in (max, min):
        steps = [NO_STEP if part is None or not part.slots else end(part.slots) for part in given]
        if len(set(steps)) > 1:
            return steps
    return None


RULES: dict[str, Rule] = {
    "BatchMatMul": _product(("adj_x", "adj_y")),
    "BatchMatMulV2": _product(("adj_x", "adj_y")),
    "BatchMatMulV3": _product(("adj_x", "adj_y")),
    "ConcatV2": _concat,
    "Einsum": _einsum,
    "ExpandDims": _of_first(_reshape),
    "GatherV2": _gather,
    "MatMul": _product(("transpose_a", "transpose_b")),
    "MirrorPad": _of_first(_padded),
    "OneHot": _of_first(_one_hot),
    "Pack": _pack,
    "Pad": _of_first(_padded),
    "PadV2": _of_first(_padded),
    "Reshape": _of_first(_reshape),
    "ResourceGather": _gather,
    "ReverseV2": _of_first(_reversed),
    "Slice": _slice,
    "Split": _split,
    "SplitV": _split,
    "Squeeze": _of_first(_reshape),
    "StridedSlice": _strided_slice,
    "Tile": _of_first(_tiled),
    "Transpose": _of_first(_transpose),
    "Unpack": _unpack,
    **dict.fromkeys(("All", "Any", "ArgMax", "ArgMin", "Max", "Mean", "Min", "Prod", "Sum"), _of_first(_reduction)),
    **dict.fromkeys(("Conv2D", "Conv2DBackpropInput", "Conv3D", "Conv3DBackpropInputV2"), _sliding(contracts=True)),
    **dict.fromkeys(
        (
            "AvgPool", "AvgPool3D", "BatchToSpaceND", "DepthwiseConv2dNative", "MaxPool", "MaxPool3D", "MaxPoolV2",
            "ResizeBicubic", "ResizeBilinear", "ResizeNearestNeighbor", "SpaceToBatchND",
        ),
        _sliding(contracts=False),
    ),
}  # fmt: skip
