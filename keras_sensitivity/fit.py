"""What can be known of the fit that is about to begin: its data, and its other callbacks."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

import keras

from keras_sensitivity import errors
from keras_sensitivity.rows.streams import can_be_read_again

__all__ = ["callbacks_before", "refuse_shared_generator"]


def callbacks_before(callback: keras.callbacks.Callback) -> list[keras.callbacks.Callback]:
    """The callbacks of a fit that are called before this one; Keras tells no callback of the others."""
    for frame in _frames():
        caller = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList) and callback in caller.callbacks:
            return list(caller.callbacks[: caller.callbacks.index(callback)])
    return []


def refuse_shared_generator(x: Any) -> None:
    """Refuse a generator that the fit was given, too; what one reads the other misses."""
    if can_be_read_again(x):
        return
    for frame in _frames():
        if frame.f_code.co_name == "fit":
            for name, what in (("x", "the training data"), ("validation_data", "the validation data")):
                if frame.f_locals.get(name) is x:
                    errors.refuse_shared_generator(what)


def _frames() -> Iterator[types.FrameType]:
    """Whoever called, the nearest first."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back
