"""The loss of single rows, by what a model was compiled with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_sensitivity import errors

__all__ = ["RowLosses", "targets_of"]

Array = np.ndarray[Any, Any]
Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class RowLosses:
    """The functions behind the losses of a model, weighted and added up as the model was told to.

    Keras reduces a loss to one number of a batch, and notes it in metrics; what is called here is what that is made of.
    Losses that layers add, such as penalties of weights, do not depend on the row and are left out.

    Args:
        model: A compiled model.
    """

    def __init__(self, model: keras.Model) -> None:
        self._loss = model.loss
        names = _names(model, self._loss)
        self._losses = [_function(each) for each in _by_output(self._loss, names)]
        weights = _by_output((model.get_compile_config() or {}).get("loss_weights"), names)
        self._weights = [1.0 if each is None else float(each) for each in weights]

    def is_of(self, model: keras.Model) -> bool:
        """Whether the model is still compiled with the same."""
        return model.loss is self._loss

    def __call__(self, targets: Sequence[tf.Tensor], outputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """The loss of each row, shape (num_rows,)."""
        every = zip(self._losses, self._weights, targets, outputs, strict=True)
        return tf.add_n(
            [weight * _of_rows(loss(*_aligned(y, out))) for loss, weight, y, out in every if loss is not None]
        )


def targets_of(model: keras.Model, y: Any) -> tuple[Array, ...]:
    """The labels of each output of a compiled model, in the order of its outputs.

    Args:
        model: The model.
        y: As for ``model.fit``: an array, a Series or a DataFrame; of several outputs a list or a dict of them.
    """
    if getattr(model, "loss", None) is None:
        errors.refuse_labels_without_loss()
    names = _names(model, model.loss)
    if len(names) > 1 and (not isinstance(y, (dict, list, tuple)) or len(y) != len(names)):
        errors.refuse_labels(f"an object of type {type(y).__name__}, which is none of {len(names)} parts", names)
    try:
        arrays = tuple(np.asarray(each) for each in (_by_output(y, names) if len(names) > 1 else [y]))
    except Exception:  # noqa: BLE001  (of different lengths, symbolic, sparse)
        errors.refuse_labels(f"an object of type {type(y).__name__} that makes no array", names)
    for array in arrays:
        if array.ndim == 0:
            errors.refuse_labels(f"a single value of type {array.dtype}", names)
        if array.dtype.kind not in "biuf" or (array.dtype.kind == "f" and not np.isfinite(array).all()):
            errors.refuse_labels(f"an array of type {array.dtype} that has NaN or no numbers", names)
    return arrays


def _names(model: keras.Model, loss: Any) -> list[str]:
    """The names of the outputs, or one for each loss of a model that does not tell them."""
    known = getattr(model, "output_names", None)
    if known is None and isinstance(loss, (dict, list, tuple)):
        known = sorted(loss) if isinstance(loss, dict) else map(str, range(len(loss)))
    return list(known or ["output"])


def _by_output(every: Any, names: Sequence[str]) -> list[Any]:
    """One for each output, from a dict by name, a list, or a single one for all."""
    if isinstance(every, dict):
        return [every.get(name) for name in names]
    return list(every) if isinstance(every, (list, tuple)) else [every] * len(names)


def _function(loss: Any) -> Loss | None:
    if loss is None:
        return None
    found = keras.losses.get(loss)
    function: Loss = found.call if isinstance(found, keras.losses.Loss) else found
    return function


def _aligned(y: tf.Tensor, out: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Labels in floating-point numbers, with an axis of length 1 wherever the output has one, as Keras casts them."""
    y, out = tf.cast(y, tf.float32), tf.cast(out, tf.float32)
    if out.shape.rank == 1:  # a number for each row, of which the loss would be one for all
        return tf.reshape(y, (-1, 1)), out[:, None]
    if y.shape.rank == out.shape.rank - 1 and out.shape[-1] == 1:
        return y[..., None], out
    if y.shape.rank == out.shape.rank + 1 and y.shape[-1] == 1:
        return tf.squeeze(y, -1), out
    return y, out


def _of_rows(values: tf.Tensor) -> tf.Tensor:
    """Means over the steps of each row."""
    values = tf.cast(values, tf.float32)
    if values.shape.rank == 0:
        errors.refuse_reduced_loss()
    return tf.reduce_mean(tf.reshape(values, (values.shape[0], -1)), axis=1)
