"""A model lent by its user: whatever is changed while it is looked at is given back, whoever interrupts.

Looking at the inside of a model takes functions of its layers, such as ``call``, and puts others in their place, and
runs the user's own Python. Both happen here only, within one lock for all models: two threads that each put back what
they found would leave the patch of the other.

What the user's Python does beyond setting attributes of its layers cannot be undone, such as a list that it appends to.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras.src.backend.common import global_state

from keras_sensitivity.networks.keras_tf.layers import operations, trainer_attributes

__all__ = ["LOCK", "Loan", "borrowed"]

# In what is called so Keras and TensorFlow keep a layer's books: what else stands there after a look is put back, too.
BOOKS = {
    "_layers",
    "_loss_ids",
    "_losses",
    "_losses_override",
    "_non_trainable_variables",
    "_seed_generators",
    "_tracked",
    "_trainable_variables",
}

# Where Keras keeps the generator for layers that were given no seed.
GENERATOR = "global_seed_generator"

# Held whenever a model is changed for a while, or what is known of one is changed.
LOCK = threading.RLock()


class Loan:
    """The layers and operations of a model, to be patched while the block of `borrowed` lasts.

    Attributes:
        thread: Who patches; the calls of others go on as they are.
    """

    def __init__(self, model: keras.Model) -> None:
        self.thread = threading.get_ident()
        self._before = [_Before(each) for each in operations(model)]

    def replace(self, layer: Any, name: str, function: Callable[..., Any]) -> None:
        """Put a function in the place of a layer's own; other threads that run the model go on with the old one."""
        original, owner = getattr(layer, name), self.thread

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            return (function if threading.get_ident() == owner else original)(*args, **kwargs)

        vars(layer)[name] = call  # past Keras' own tracking of attributes

    def give_back(self) -> None:
        """Make every layer what it was; an interruption is let through after that, not in between."""
        try:
            while self._before:
                self._before[-1].restore()
                self._before.pop()
        finally:
            if self._before:
                self.give_back()


@contextlib.contextmanager
def borrowed(model: keras.Model) -> Iterator[Loan]:
    """Within the block this thread may patch the model's layers and run them; at its end they are what they were."""
    with LOCK, _without_drawing():
        loan = Loan(model)
        try:
            yield loan
        finally:
            loan.give_back()


@contextlib.contextmanager
def _without_drawing() -> Iterator[None]:
    """Leave it to the training to make the generator that Keras falls back to: its seed is drawn from Python's."""
    if global_state.get_global_attribute(GENERATOR) is not None:
        yield
        return
    global_state.set_global_attribute(GENERATOR, _stand_in())
    try:
        yield
    finally:
        global_state.set_global_attribute(GENERATOR, None)


@functools.cache
def _stand_in() -> keras.random.SeedGenerator:
    return keras.random.SeedGenerator(seed=0, name="stand_in")


class _Before:
    """What a layer or operation was: its attributes, and Keras' books of them.

    What a training in another thread writes to the model itself is not looked at.
    """

    def __init__(self, layer: Any) -> None:
        self._layer = layer
        self._ignored = trainer_attributes() if isinstance(layer, keras.Model) else frozenset()
        self._attributes = self._now()
        books = [value for name, value in self._attributes.items() if name in BOOKS or name.startswith("_self_")]
        self._books = [(book, _kind(book)(book)) for book in books if isinstance(book, (list, set, dict))]
        tracker = vars(layer).get("_tracker")
        stored = {} if tracker is None else {name: set(ids) for name, ids in tracker.stored_ids.items()}
        self._tracker = tracker, dict(vars(tracker or self)), stored

    def _now(self) -> dict[str, Any]:
        own = dict(vars(self._layer))  # a copy at once: another thread may be setting one
        return {name: value for name, value in own.items() if name not in self._ignored}

    def restore(self) -> None:
        """Make it that again."""
        own = vars(self._layer)
        for name in self._now().keys() - self._attributes.keys():
            del own[name]
        for name, value in self._attributes.items():
            if own.get(name, own) is not value:
                own[name] = value
        for book, before in self._books:
            _rewrite(book, before)
        tracker, attributes, stored = self._tracker
        if tracker is not None:
            vars(tracker).update(attributes)
            for name, ids in stored.items():
                _rewrite(tracker.stored_ids[name], ids)


def _kind(book: Any) -> Any:
    return next(kind for kind in (list, set, dict) if isinstance(book, kind))


def _rewrite(book: Any, before: Any) -> None:
    """Put back what stood in a list, set or dict, past Keras' own tracking of it."""
    if isinstance(before, list):
        if len(book) != len(before) or any(map(operator.is_not, book, before)):
            list.__setitem__(book, slice(None), before)
    elif book.keys() != before.keys() if isinstance(before, dict) else book != before:
        type(before).clear(book)
        type(before).update(book, before)
