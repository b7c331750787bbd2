"""Columns of a tensor that has noise among them, and what layers make of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_sensitivity import errors
from keras_sensitivity.probes import NoiseProbes
from keras_sensitivity.removal.graphs import is_any

__all__ = ["Columns", "alike", "is_affine", "left_by", "with_probes"]

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

RECURRENT = (keras.layers.GRU, keras.layers.LSTM, keras.layers.SimpleRNN)


@dataclasses.dataclass(frozen=True, eq=False)
class Columns:
    """The columns, along the last axis, of a tensor that has noise among them.

    Attributes:
        are_noise: Shape (num_columns,).
        means: On average over the noise; 0 for columns that are none.
    """

    are_noise: Array
    means: Array

    @classmethod
    def clean(cls, count: int) -> Columns:
        """Columns of which none is noise."""
        return cls(np.zeros(count, bool), np.zeros(count))

    @classmethod
    def joined(cls, parts: Sequence[Columns]) -> Columns:
        """Columns beside each other."""
        return cls(np.concatenate([part.are_noise for part in parts]), np.concatenate([part.means for part in parts]))


def alike(some: Sequence[Columns | None], others: Sequence[Columns | None]) -> bool:
    """Whether the same columns of the same inputs are noise, with the same means."""
    return len(some) == len(others) and all(
        one is other
        or (
            one is not None
            and other is not None
            and np.array_equal(one.are_noise, other.are_noise)
            and np.array_equal(one.means, other.means)
        )
        for one, other in zip(some, others, strict=True)
    )


def left_by(old: Any, read: list[Columns | None], rank: int) -> Columns | None:
    """The columns that a layer or operation returns; refuses what cannot be freed of noise."""
    if not any(read):
        return None
    if is_any(old, (keras.layers.Concatenate,)) and old.axis in (-1, rank - 1):
        return Columns.joined([each for each in read if each is not None])
    first, *others = read
    if first is not None and not any(others):
        if is_any(old, KEEP_COLUMNS) and _is_for_any_width(old):
            return first
        if is_any(old, (keras.layers.BatchNormalization,)) and old.axis in (-1, rank - 1):
            return _normalised(old, first)
        if _has_weights_by_column(old) and (is_affine(old) or not first.means.any()):
            return None
    return errors.refuse_stuck_probes(old.name, type(old).__name__)


def _is_for_any_width(old: Any) -> bool:
    """Whether no argument of a layer that treats each column by itself tells how many there are."""
    return (getattr(old, "noise_shape", None) or [None])[-1] in (None, 1)


def _has_weights_by_column(old: Any) -> bool:
    """Whether the layer mixes the columns of its first input by weights that have an axis for them."""
    if is_any(old, (keras.layers.Bidirectional,)):
        return is_any(old.forward_layer, RECURRENT) and is_any(old.backward_layer, RECURRENT)
    if is_any(old, (keras.layers.Conv1D,)):
        whole = old.groups == 1 and old.data_format == "channels_last"
    else:
        whole = is_any(old, (keras.layers.Dense, *RECURRENT))
    return whole and getattr(old, "quantization_mode", None) is None  # several columns may share a quantized number


def is_affine(old: Any) -> bool:
    """Whether what a column is on average can go into the bias."""
    return isinstance(old, keras.layers.Dense) and old.use_bias


def _normalised(old: keras.layers.BatchNormalization, columns: Columns) -> Columns:
    """The columns behind a BatchNormalization in inference."""
    scale = 1 / np.sqrt(np.asarray(old.moving_variance) + old.epsilon) * (np.asarray(old.gamma) if old.scale else 1)
    means = (columns.means - np.asarray(old.moving_mean)) * scale + (np.asarray(old.beta) if old.center else 0)
    return Columns(columns.are_noise, np.where(columns.are_noise, means, 0))


def with_probes(layer: NoiseProbes, columns: Columns | None) -> Columns:
    """Columns, and the probes' behind them, whose mean is 0."""
    noise = Columns(np.ones(layer.num_probes, bool), np.zeros(layer.num_probes))
    return Columns.joined([columns or Columns.clean(layer.num_features), noise])
