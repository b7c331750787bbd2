"""The outputs of a model: which can be differentiated, and what they are called."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_sensitivity import errors
from keras_sensitivity.networks.keras_tf.backward import depends_on

__all__ = ["Heads"]


class Heads(NamedTuple):
    """The outputs of a model by name.

    Attributes:
        measured: Those that have a value of floating point for each row, shape (batch_size, ...).
        left_out: Why the others cannot be differentiated.
    """

    measured: dict[str, tf.Tensor]
    left_out: dict[str, str]

    @classmethod
    def of(cls, model: keras.Model, output: Any, num_rows: int) -> Heads:
        """The tensors in what a model returned; a None is no output."""
        found = [(path, _value(part)) for path, part in _leaves(output) if part is not None]
        measured, left_out = {}, {}
        for name, (_, tensor) in zip(_names(model, [path for path, _ in found]), found, strict=True):
            fault = _fault(tensor, num_rows)
            if fault:
                left_out[name] = fault
            else:
                measured[name] = tf.ensure_shape(tensor, (num_rows, *tensor.shape[1:]))
        return cls(measured, left_out)

    def with_derivatives(self, tensors: Sequence[tf.Tensor]) -> Heads:
        """Of several, those that have derivatives; others are numbers that stand for a choice, such as an argmax."""
        if len(self.measured) < 2:
            return self
        flat = [name for name, head in self.measured.items() if not depends_on(head, tensors)]
        if len(flat) == len(self.measured):
            return self  # the inputs are to blame
        measured = {name: head for name, head in self.measured.items() if name not in flat}
        return Heads(measured, self.left_out | dict.fromkeys(flat, "without derivatives, as of an argmax"))

    def chosen(self, name: str | None) -> dict[str, tf.Tensor]:
        """The head that was asked for, or all; refuses what is not there or cannot be measured."""
        if name in self.left_out or not self.measured:
            errors.refuse_heads({name: self.left_out[name]} if name in self.left_out else self.left_out)
        if name is None:
            return self.measured
        if name not in self.measured:
            errors.refuse_unit(name, list(self.measured))
        return {name: self.measured[name]}


def _leaves(output: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """What stands at the ends of nested dicts, lists and tuples, and the way there."""
    if isinstance(output, dict):
        for key, part in output.items():
            yield from _leaves(part, (*path, str(key)))
    elif isinstance(output, (list, tuple)):
        for index, part in enumerate(output):
            yield from _leaves(part, (*path, index))
    else:
        yield path, output


def _value(part: Any) -> Any:
    """The mean of what a model returns as a distribution; anything else as it is."""
    is_distribution = callable(getattr(part, "mean", None)) and callable(getattr(part, "sample", None))
    return part.mean() if is_distribution else part


def _names(model: keras.Model, paths: list[tuple[str | int, ...]]) -> list[str]:
    """The keys on the way in dicts, else the names that the model has for its outputs, made different as Keras does."""
    own = getattr(model, "output_names", None) or []
    own = own if len(own) == len(paths) else [f"output_{index}" for index in range(len(paths))]
    keyed = any(isinstance(step, str) for path in paths for step in path)
    names: list[str] = []
    for path, name in zip(paths, own, strict=True):
        wanted = "/".join(map(str, path)) if keyed else name
        numbered = (f"{wanted}_{count}" for count in itertools.count(1))
        names.append(next(each for each in itertools.chain([wanted], numbered) if each not in names))
    return names


def _fault(tensor: Any, num_rows: int) -> str | None:
    """Why an output has no derivatives of single rows."""
    if not isinstance(tensor, tf.Tensor):
        return f"a {type(tensor).__name__}"
    if not tensor.dtype.is_floating:
        return f"of type {tensor.dtype.name}"
    if tensor.shape.rank is None or not tensor.shape[1:].is_fully_defined():
        return "of unknown shape"
    if not tensor.shape.rank or tensor.shape[0] not in (None, num_rows) or not math.prod(tensor.shape[1:]):
        return f"of shape {tuple(tensor.shape)}, without a value for each row"
    return None
