"""What a layer knows, given to the same layer made anew."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from keras_sensitivity import errors
from keras_sensitivity.removal.anew import flat
from keras_sensitivity.removal.columns import Columns, is_affine

__all__ = ["move_state"]

Array = np.ndarray[Any, Any]

# Layers with a vocabulary. Keras saves it as a text file, in which a word with a line break would be two.
LOOKUPS = (keras.layers.IntegerLookup, keras.layers.StringLookup, keras.layers.TextVectorization)


def move_state(old: Any, new: Any, columns: Columns | None) -> None:
    """Give a new layer all that the old one knows, but for the weights for noise."""
    try:
        for one, other in zip(flat(old), flat(new), strict=True):
            if isinstance(one, keras.Layer):
                _move_own_state(one, other, columns)
        for variable, fresh in zip(_unsaved(old), _unsaved(new), strict=True):
            fresh.assign(variable)
    except Exception as error:  # noqa: BLE001  (whatever the user's layer raises)
        errors.refuse_state(old.name, type(old).__name__, error)
    if columns is not None and columns.means.any() and is_affine(old):
        new.bias.assign(np.asarray(old.bias) + columns.means @ np.asarray(old.kernel))


def _move_own_state(old: keras.Layer, new: keras.Layer, columns: Columns | None) -> None:
    """Give a new layer what the old one knows, those inside of it aside, the way that Keras saves and loads it."""
    stored: dict[str, Any] = {}
    old.save_own_variables(stored)
    if columns is not None:
        fresh: dict[str, Any] = {}
        new.save_own_variables(fresh)
        stored = {key: _without_noise(np.asarray(stored[key]), fresh[key].shape, columns) for key in stored}
    if isinstance(old, LOOKUPS):
        words, weights = old.get_vocabulary(), stored.get("idf_weights")
        new.set_vocabulary(words, None if weights is None else weights[: len(words)])  # behind them is padding
    else:
        new.load_own_variables(stored)
        _move_assets(old, new)
    if new.trainable != old.trainable:
        new.trainable = old.trainable


def _move_assets(old: keras.Layer, new: keras.Layer) -> None:
    """Give a new layer what the old one saves as files."""
    if hasattr(old, "save_assets") and hasattr(new, "load_assets"):
        with tempfile.TemporaryDirectory() as folder:
            old.save_assets(folder)
            new.load_assets(folder)


def _without_noise(weight: Array, shape: Sequence[int], columns: Columns) -> Array:
    """A weight without the noise along the axis in which it has another length than this shape, if there is one."""
    if weight.shape == tuple(shape):
        return weight
    (axis,) = np.flatnonzero(np.not_equal(weight.shape, tuple(shape)))
    return np.compress(~columns.are_noise, weight, axis=axis)


def _unsaved(old: Any) -> list[Any]:
    """The variables that Keras does not save: the states of random generators and of recurrent layers."""
    weights = set(map(id, getattr(old, "weights", ())))
    states = [keras.tree.flatten(getattr(each, "states", None)) for each in flat(old)]
    held = [*getattr(old, "variables", ()), *(state for each in states for state in each)]
    return [each for each in held if isinstance(each, keras.Variable) and id(each) not in weights]
