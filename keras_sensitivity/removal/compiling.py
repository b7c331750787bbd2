"""A new model compiled as the old one was."""

from __future__ import annotations

import types
from typing import Any

import keras

from keras_sensitivity import errors
from keras_sensitivity.removal.anew import from_config
from keras_sensitivity.removal.graphs import is_by_keras

__all__ = ["compile_alike"]


def compile_alike(old: keras.Model, new: keras.Model) -> None:
    """Compile a new model as the old one was, or else warn."""
    if not is_by_keras(old, "compile", "compute_loss", "compute_metrics", "train_step", "test_step"):
        errors.warn_not_compiled("its class trains in a way of its own")
        return
    try:
        arguments = dict(old._compile_config.config)
        for name in ("metrics", "weighted_metrics"):
            arguments[name] = keras.tree.map_structure(_metric_anew, arguments.get(name))
        arguments["optimizer"] = optimizer = _optimizer_anew(old.optimizer)
        if optimizer is not None:
            optimizer.build(new.trainable_variables)
        new.compile(**arguments, auto_scale_loss=False)  # an optimizer that scales was already wrapped
    except Exception as error:  # noqa: BLE001  (whatever the user's metrics raise)
        errors.warn_not_compiled(error)


def _metric_anew(old: Any) -> Any:
    """A metric that counts by itself; names and functions as they are."""
    return from_config(old, old.get_config()) if isinstance(old, keras.metrics.Metric) else old


def _optimizer_anew(old: Any) -> Any:
    """An optimizer of the same configuration; a schedule of learning rates, which has no state, is shared."""
    if old is None:
        return None
    config = old.get_config()
    schedule = getattr(old, "_learning_rate", None)
    if isinstance(schedule, (keras.optimizers.schedules.LearningRateSchedule, types.FunctionType)):
        config["learning_rate"] = schedule
    return from_config(old, config)
