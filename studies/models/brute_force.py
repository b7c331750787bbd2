"""Shares by brute force: every derivative of every row by itself, and the formulas with plain means over axes.

Written without the library. A tape records the model as it runs eagerly, and asks for the whole Jacobian, of all rows
by all rows, one number of the output at a time.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

Array = np.ndarray


class Variable(NamedTuple):
    """What is differentiated with respect to: an input, or what its codes are looked up as.

    Attributes:
        entries: Its values, shape (num_rows, num_steps, num_entries, num_members); one step without a time axis,
            one member where an entry is a number by itself.
        derivatives: Shape (num_rows, num_outputs, num_units, *entries.shape[1:]); one output where there are no steps.
        valid: Which steps are, shape (num_rows, num_steps).
        has_steps: Whether there is a time axis.
    """

    entries: Array
    derivatives: Array
    valid: Array
    has_steps: bool


def variables(
    model: keras.Model, x: Any, *, mode: str, codes: Mapping[str, Sequence[str]], mask: Array | None = None
) -> list[Variable]:
    """All derivatives of a model at rows, in the order in which Keras sorts its inputs.

    Raises:
        ValueError: If a row has a derivative with respect to another.
    """
    inputs = named(x)
    tensors = {name: tf.convert_to_tensor(value) for name, value in inputs.items()}
    packed = tf.nest.pack_sequence_as(x, list(tensors.values())) if isinstance(x, (dict, list)) else tensors[""]
    calls = {name: [_call(each) for each in lookups] for name, lookups in codes.items()}
    layers = {layer for lookups in calls.values() for layer, _ in lookups}
    with tf.GradientTape(persistent=True) as tape, looked_up(model, tape, layers) as found:
        watched = [name for name, tensor in tensors.items() if tensor.dtype.is_floating and name not in codes]
        tape.watch([tensors[name] for name in watched])
        outputs = _units(model(packed, training=False), with_steps=mode == "many-to-many")
    sources = {
        name: [found[layer][call] for layer, call in calls[name]] if name in calls else [tensor]
        for name, tensor in tensors.items()
        if name in calls or tensor.dtype.is_floating  # else it only masks
    }
    jacobians = tape.jacobian(
        outputs, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO, experimental_use_pfor=False
    )
    return [
        joined([_variable(name, *each, inputs=inputs, mode=mode, codes=codes, mask=mask)
                for each in zip(sources[name], jacobians[name], strict=True)])
        for name in sources
    ]  # fmt: skip


def _call(lookup: str) -> tuple[str, int]:
    """The layer, and which of its calls: "films" is the first of the layer of this name, "films/1" the second."""
    layer, _, call = lookup.partition("/")
    return layer, int(call or 0)


def joined(found: Sequence[Variable]) -> Variable:
    """What one input is looked up as in several ways: the members of each entry beside each other."""
    first = found[0]
    entries, derivatives = ([getattr(each, name) for each in found] for name in ("entries", "derivatives"))
    return first._replace(entries=np.concatenate(entries, -1), derivatives=np.concatenate(derivatives, -1))


def named(x: Any) -> dict[str, Any]:
    """The inputs by name: sorted keys of a dict, positions in a list, "" for one alone."""
    if isinstance(x, dict):
        return dict(sorted(x.items()))
    return {str(index): value for index, value in enumerate(x)} if isinstance(x, list) else {"": x}


@contextlib.contextmanager
def looked_up(model: keras.Model, tape: tf.GradientTape, names: set[str]) -> Iterator[dict[str, list[tf.Tensor]]]:
    """What the layers of these names return while the block lasts, as numbers that the tape watches."""
    layers = [layer for layer in model._flatten_layers() if layer.name in names]
    found: dict[str, list[tf.Tensor]] = {layer.name: [] for layer in layers}

    def watching(layer: keras.Layer) -> Any:
        function = layer.call

        def call(*args: Any, **kwargs: Any) -> tf.Tensor:
            result = function(*args, **kwargs)
            number = result if result.dtype.is_floating else tf.cast(result, tf.float32)
            tape.watch(number)
            found[layer.name].append(number)
            return number

        return call

    for layer in layers:
        vars(layer)["call"] = watching(layer)
    try:
        yield found
    finally:
        for layer in layers:
            del vars(layer)["call"]


def _units(outputs: Any, *, with_steps: bool) -> tf.Tensor:
    """All that a model returns, shape (num_rows, num_outputs, num_units)."""
    every = outputs.values() if isinstance(outputs, dict) else tf.nest.flatten(outputs)
    heads = [head for head in every if head.dtype.is_floating]
    flat = [
        tf.reshape(tf.cast(head, tf.float32), (head.shape[0], head.shape[1] if with_steps else 1, -1)) for head in heads
    ]
    return tf.concat(flat, axis=2)


def _variable(
    name: str,
    tensor: tf.Tensor,
    jacobian: tf.Tensor,
    *,
    inputs: Mapping[str, Array],
    mode: str,
    codes: Mapping[str, Sequence[str]],
    mask: Array | None,
) -> Variable:
    """The derivatives of each row with respect to itself, by steps, entries and members."""
    count, num_outputs, num_units = jacobian.shape[:3]
    every = tf.cast(jacobian, tf.float64).numpy()
    own = np.arange(count)
    derivatives = every[own, :, :, own]
    every[own, :, :, own] = 0
    if every.any():
        raise ValueError(f"rows have derivatives with respect to other rows of {name!r}")
    has_steps = mode != "static" and len(inputs[name].shape) in ((2,) if name in codes else (3, 5))
    shape = _shape(tuple(inputs[name].shape[1:]), tuple(tensor.shape[1:]), is_code=name in codes, has_steps=has_steps)
    valid = np.ones((count, shape[0]), bool) if mask is None or not has_steps else mask
    return Variable(
        tf.cast(tensor, tf.float64).numpy().reshape(count, *shape),
        derivatives.reshape(count, num_outputs, num_units, *shape),
        valid,
        has_steps,
    )


def _shape(given: tuple[int, ...], tensor: tuple[int, ...], *, is_code: bool, has_steps: bool) -> tuple[int, int, int]:
    """How many steps, entries and members a row has."""
    size = int(np.prod(tensor))
    steps = given[0] if has_steps else 1
    if not is_code:
        return steps, size // steps, 1
    num_codes = int(np.prod(given))
    # What counts the codes of a row together, such as a multi-hot code, has no place for each of them.
    entries = num_codes if tensor[: len(given)] == given or num_codes == 1 else 1
    return (steps, 1, size // steps) if has_steps else (1, entries, size // entries)


def slopes(found: Sequence[Variable]) -> list[Array]:
    """Of each input at the newest output, shape (num_rows, num_units, num_places): see `lengths`."""
    newest = (each.derivatives[:, -1] for each in found)
    return [lengths(each.reshape(*each.shape[:2], -1, each.shape[-1])) for each in newest]


def lengths(derivatives: Array) -> Array:
    """Of a number its derivative; of what a code is looked up as the length of the vector of its derivatives."""
    return derivatives[..., 0] if derivatives.shape[-1] == 1 else np.linalg.norm(derivatives, axis=-1)


# --- the formulas ---------------------------------------------------------------------------------------------------


class Shares(NamedTuple):
    """Percent; of the lags None without a time axis."""

    features: Array
    lags: Array | None


def shares(found: Sequence[Variable], *, scaled: bool, power: int = 1) -> Shares:
    """Shares of features and lags: equations of sections 2.3 and 2.5 of Horel et al. (2018), with all lags.

    Args:
        found: The derivatives of the rows.
        scaled: By the standard deviation of each feature, over rows and steps.
        power: 2 for the shares at a single row, section 2.4, which are squared before they are shared out.
    """
    sizes, by_lag = [], []
    for each in found:
        # An input that has not the steps of the output counts by the newest output.
        same_step = 1 < each.derivatives.shape[1] == each.entries.shape[1]
        sizes.append(_sizes(each, scaled=scaled, same_step=same_step))
        if each.has_steps:
            by_lag.append(np.nan_to_num(_rms(each, scaled=scaled)).sum(axis=1))
    features = np.concatenate(sizes) ** power
    longest = max(map(len, by_lag), default=0)
    lags = sum(np.pad(each, (0, longest - len(each))) for each in by_lag)
    return Shares(_percent(features), _percent(lags) if by_lag else None)


def _percent(sizes: Array) -> Array:
    """Shares of the sum; zeros where all are."""
    return 100 * sizes / (sizes.sum() or 1)


def _sizes(each: Variable, *, scaled: bool, same_step: bool) -> Array:
    """The mean over the lags that are there, shape (num_entries,)."""
    return np.nanmean(_rms(each, scaled=scaled, same_step=same_step), axis=0)


def _rms(each: Variable, *, scaled: bool, same_step: bool = False) -> Array:
    """The root of the mean square of each lag and entry, NaN where no row has it, shape (num_lags, num_entries).

    Of the newest output, or of that of the same step.
    """
    derivatives = each.derivatives
    if same_step:
        steps = np.arange(derivatives.shape[1])
        derivatives = np.moveaxis(derivatives[:, steps, :, steps], 0, 2)
    else:
        derivatives = derivatives[:, -1] if derivatives.shape[1] > 1 else derivatives[:, 0]
    squares, valid = _by_lag(np.square(derivatives).sum(axis=1), each.valid)
    weights = valid[:, :, None, None]
    with np.errstate(invalid="ignore"):
        means = (squares * weights).sum(axis=0) / weights.sum(axis=0)
    spread = each.entries[each.valid].std(axis=0) if scaled else 1.0
    return np.sqrt((means * np.square(spread)).sum(axis=-1))


def _by_lag(squares: Array, valid: Array) -> tuple[Array, Array]:
    """The same in the order of the lags, which count back from the last valid step of each row."""
    first = valid.shape[1] - valid[:, ::-1].argmax(axis=1)
    turned = [(np.roll(row, -start, axis=0)[::-1], np.roll(steps, -start)[::-1])
              for row, steps, start in zip(squares, valid, first, strict=True)]  # fmt: skip
    return np.stack([row for row, _ in turned]), np.stack([steps for _, steps in turned])
