"""`remove_probes`: a model without its noise probes, with the weights of the others."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_sensitivity import _checks
from keras_sensitivity.probes import NoiseProbes

__all__ = ["remove_probes"]

Array = np.ndarray[Any, Any]

# Layers that treat each column by itself, and on average change nothing.
KEEP_COLUMNS = (
    keras.layers.ActivityRegularization,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.SpatialDropout1D,
)

# Layers that mix the columns by weights that have an axis for them.
MIX_COLUMNS = (
    keras.layers.Bidirectional,
    keras.layers.Conv1D,
    keras.layers.Dense,
    keras.layers.GRU,
    keras.layers.LSTM,
    keras.layers.SimpleRNN,
    keras.layers.TimeDistributed,
)


def remove_probes(model: keras.Model) -> keras.Model:
    """The same model without its `NoiseProbes`, to be kept or delivered after training.

    The layers that read the noise lose the weights for it; what the noise adds on average moves into their bias. So
    the new model predicts, but for rounding, what the old one would if every probe stood at its mean. What the old one
    does predict differs from that by the influence of the noise, of which `SensitivityCallback.noise_level` tells. On
    average over the noise the two are equal where the model is linear in it, and not where it is not.

    The mean of the noise is 0, so a bias only moves where a `keras.layers.BatchNormalization` stands between.

    Args:
        model: A functional or Sequential model, maybe with others in it. It is not changed.

    Returns:
        A new `keras.Model` or `keras.Sequential` with weights of its own; compiled, with a fresh optimizer, if the
        model was.

    Raises:
        ValueError: If the model is subclassed, so that its layers cannot be taken apart; if noise goes into a layer
            that can not be freed of it, such as a LayerNormalization, which averages over the columns; or if it is
            not built.
        TypeError: If it is no Keras model.

    Example:

    >>> import keras
    >>> import keras_sensitivity as ks
    >>> model = keras.Sequential([keras.Input((3,)), ks.NoiseProbes(), keras.layers.Dense(4), keras.layers.Dense(1)])
    >>> ks.remove_probes(model).input_shape, len(ks.remove_probes(model).layers)
    ((None, 3), 2)
    >>> model.count_params() - ks.remove_probes(model).count_params()  # 8 probes x 4 units
    32
    """
    _checks.model(model)
    rebuilt, left = _Removal().model(model, [None] * len(getattr(model, "inputs", None) or []))
    if any(columns is not None for columns in left):
        _checks.probes_in_output()
    if model.compiled:
        rebuilt.compile_from_config(model.get_compile_config())
    return rebuilt


@dataclasses.dataclass(frozen=True, eq=False)
class _Columns:
    """The columns, along the last axis, of a tensor that has noise among them.

    Attributes:
        are_noise: Shape (num_columns,).
        means: On average over the noise; 0 for columns that are none.
    """

    are_noise: Array
    means: Array

    @classmethod
    def clean(cls, count: int) -> _Columns:
        """Columns of which none is noise."""
        return cls(np.zeros(count, bool), np.zeros(count))

    @classmethod
    def joined(cls, parts: Sequence[_Columns]) -> _Columns:
        """Columns beside each other."""
        return cls(np.concatenate([part.are_noise for part in parts]), np.concatenate([part.means for part in parts]))


@dataclasses.dataclass(frozen=True, eq=False)
class _Value:
    """A tensor of the new model, and the columns of the same tensor in the old one; None if none of them is noise."""

    tensor: Any
    columns: _Columns | None


def _tensor(leaf: Any) -> Any:
    """The tensor of a value; whatever else goes into a layer, as it is."""
    return leaf.tensor if isinstance(leaf, _Value) else leaf


class _Removal:
    """Builds models anew, layer by layer, without the columns that are noise."""

    def __init__(self) -> None:
        self._built: dict[int, tuple[Any, list[_Columns | None]]] = {}  # a layer that is shared stays one

    def model(self, model: keras.Model, columns: list[_Columns | None]) -> tuple[keras.Model, list[_Columns | None]]:
        """The model anew, for inputs without the noise among these columns; and the columns of its outputs."""
        if not _has_graph(model):
            _checks.no_graph(type(model).__name__)
        inputs = [_input_without(tensor, lost) for tensor, lost in zip(model.inputs, columns, strict=True)]
        if isinstance(model, keras.Sequential):
            return self._sequential(model, inputs[0], columns[0])
        values = list(map(_Value, inputs, columns))
        outputs = model._run_through_graph(values, operation_fn=lambda operation: operation, call_fn=self._call)
        packed = keras.tree.pack_sequence_as(model.input, inputs)
        rebuilt = keras.Model(packed, keras.tree.map_structure(_tensor, outputs), name=model.name)
        return rebuilt, [value.columns for value in keras.tree.flatten(outputs)]

    def _sequential(
        self, model: keras.Sequential, inputs: Any, columns: _Columns | None
    ) -> tuple[keras.Model, list[_Columns | None]]:
        steps = []
        for old in model.layers:
            if isinstance(old, NoiseProbes):
                columns = _with_probes(old, columns)
                continue
            new, (left, *_) = self._layer(old, [columns])
            steps.append((old, new, columns))
            columns = left
        rebuilt = keras.Sequential([inputs, *(new for _, new, _ in steps)], name=model.name)
        for step in steps:
            _move_weights(*step)
        return rebuilt, [columns]

    def _call(self, old: Any, *args: Any, **kwargs: Any) -> Any:
        """What a layer or operation returns for values."""
        values = [leaf for leaf in keras.tree.flatten((args, kwargs)) if isinstance(leaf, _Value)]
        if isinstance(old, NoiseProbes):
            return _Value(values[0].tensor, _with_probes(old, values[0].columns))
        columns = [value.columns for value in values]
        if isinstance(old, keras.layers.Concatenate) and any(columns):
            columns = [value.columns or _Columns.clean(value.tensor.shape[-1]) for value in values]
        new, left = self._layer(old, columns)
        new_args, new_kwargs = keras.tree.map_structure(_tensor, (args, kwargs))
        result = new(*new_args, **new_kwargs)
        _move_weights(old, new, columns[0] if columns else None)
        flat = keras.tree.flatten(result)
        left = left if len(left) == len(flat) else left * len(flat)
        return keras.tree.pack_sequence_as(result, list(map(_Value, flat, left)))

    def _layer(self, old: Any, columns: list[_Columns | None]) -> tuple[Any, list[_Columns | None]]:
        """A layer or operation anew, maybe not built yet, for inputs with these columns; and those of its outputs."""
        if id(old) not in self._built:
            if isinstance(old, keras.Model) and _has_graph(old):
                self._built[id(old)] = self.model(old, columns)
            else:
                self._built[id(old)] = type(old).from_config(_unbuilt(old.get_config())), [_left_by(old, columns)]
        return self._built[id(old)]


def _unbuilt(config: Any) -> Any:
    """A configuration without the shapes that layers inside of a layer were built for."""
    if isinstance(config, dict):
        return {key: _unbuilt(value) for key, value in config.items() if key != "build_config"}
    return [_unbuilt(value) for value in config] if isinstance(config, list) else config


def _left_by(old: Any, columns: list[_Columns | None]) -> _Columns | None:
    """The columns that a layer returns."""
    noisy = [each for each in columns if each is not None]
    if not noisy or isinstance(old, MIX_COLUMNS):
        return None
    if isinstance(old, KEEP_COLUMNS):
        return noisy[0]
    if isinstance(old, keras.layers.Concatenate) and old.axis in (-1, len(old.output.shape) - 1):
        return _Columns.joined(noisy)
    if isinstance(old, keras.layers.BatchNormalization) and tuple(old.moving_mean.shape) == noisy[0].means.shape:
        return _normalised(old, noisy[0])
    return _checks.stuck_probes(old.name, type(old).__name__)


def _normalised(old: keras.layers.BatchNormalization, columns: _Columns) -> _Columns:
    """The columns behind a BatchNormalization in inference."""
    scale = 1 / np.sqrt(np.asarray(old.moving_variance) + old.epsilon) * (np.asarray(old.gamma) if old.scale else 1)
    means = (columns.means - np.asarray(old.moving_mean)) * scale + (np.asarray(old.beta) if old.center else 0)
    return _Columns(columns.are_noise, np.where(columns.are_noise, means, 0))


def _with_probes(layer: NoiseProbes, columns: _Columns | None) -> _Columns:
    """Columns, and the probes' behind them, whose mean is 0."""
    noise = _Columns(np.ones(layer.num_probes, bool), np.zeros(layer.num_probes))
    return _Columns.joined([columns or _Columns.clean(layer.num_features), noise])


def _move_weights(old: Any, new: Any, columns: _Columns | None) -> None:
    """Give a new layer the weights of the old one, but for those of noise, whose part on average goes into the bias."""
    if not isinstance(old, keras.Layer) or (isinstance(old, keras.Model) and _has_graph(old)):
        return
    weights = old.get_weights()
    if columns is not None:
        for index, (before, after) in enumerate(zip(weights, new.weights, strict=True)):
            (axis,) = np.flatnonzero(np.array(before.shape) != after.shape).tolist() or (None,)
            if axis is not None:
                weights[index] = np.compress(~columns.are_noise, before, axis=axis)
    new.set_weights(weights)
    if columns is not None and isinstance(old, MIX_COLUMNS) and columns.means.any():
        if not (isinstance(old, keras.layers.Dense) and old.use_bias):
            _checks.stuck_probes(old.name, type(old).__name__)
        new.bias.assign_add(columns.means @ np.asarray(old.kernel))


def _has_graph(model: keras.Model) -> bool:
    """Whether the model is made of layers that can be told apart."""
    return isinstance(model, keras.Sequential) or hasattr(model, "_run_through_graph")


def _input_without(tensor: Any, columns: _Columns | None) -> Any:
    """An input like this tensor, without the columns that are noise."""
    shape = tensor.shape if columns is None else (*tensor.shape[:-1], int((~columns.are_noise).sum()))
    return keras.Input(batch_shape=shape, dtype=tensor.dtype, name=tensor.name)
