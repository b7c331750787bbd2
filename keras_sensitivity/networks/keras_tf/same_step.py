"""The derivatives of each output step of a many-to-many model with respect to the same step of its input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_sensitivity.networks.keras_tf.axes import units_of
from keras_sensitivity.networks.keras_tf.directions import Directions
from keras_sensitivity.networks.keras_tf.forward import Forward, Scale, derivatives_of, run
from keras_sensitivity.networks.keras_tf.steps import keeps_steps_apart, recurrent_paths
from keras_sensitivity.networks.network import Question

__all__ = ["SameStep"]

Diagonal = Callable[[Directions, Any], list[tf.Tensor]]


class SameStep:
    """The derivatives of each output step with respect to the same step of x, by lag.

    Inputs with no time axis, or another one, have no such step: theirs are derivatives of the newest output step.

    Args:
        model: The model.
        forward: Its forward pass.
        scale: As there.
        question: What is asked.
        how: How the model is run, in the words of `run`.

    Attributes:
        way: "one pass" for recurrent stacks whose states are all that leads from step to step, "exact" for all others.
        passes_of_unit: Backward passes that a unit takes: one, or one a step.
    """

    def __init__(self, model: keras.Model, forward: Forward, scale: Scale, question: Question, **how: Any) -> None:
        self._forward, self._scale = forward, scale
        self._sequences = [index for index, found in enumerate(forward.used) if found in forward.reading.sources]
        one_pass = _one_pass(model, forward, self._sequences, scale=scale, question=question, how=how)
        self._diagonal = one_pass or _exact(forward, self._sequences, scale, question)
        assert forward.reading.steps is not None
        self.way = "exact" if one_pass is None else "one pass"
        self.passes_of_unit = max(2, forward.reading.steps.num_lags) if one_pass is None else 1

    def __call__(self, directions: Directions, index: Any) -> tf.Tensor:
        """In one of the directions, shape (batch_size, num_lags, num_entries)."""
        forward = self._forward
        found = self._diagonal(directions, index)
        is_all = len(self._sequences) == len(forward.parts)
        every = list(found) if is_all else list(forward.derivatives(directions, index, self._scale))
        for position, derivative in zip(self._sequences, found, strict=True):
            every[position] = derivative
        return forward.assembled(every)


def _one_pass(
    model: keras.Model,
    forward: Forward,
    sequences: Sequence[int],
    *,
    scale: Scale,
    question: Question,
    how: dict[str, Any],
) -> Diagonal | None:
    """The derivative of the sum over valid steps: the diagonal, where no step leads to another; else None."""
    steps = forward.reading.steps
    assert steps is not None
    if not keeps_steps_apart(model):
        return None
    stopped = run(model, forward.x, question=question, stopping=True, **how)
    apart = units_of(stopped.heads, question.definition.output, keeps_steps=True)[1]
    # A cuDNN kernel would not run the cells, and so would not stop their states.
    if stopped.stopped != recurrent_paths(model):
        return None
    tensors = [stopped.found[forward.used[index]].tensor for index in sequences]
    valid = tf.cast(steps.valid_steps * scale.rows[:, None], apart.dtype)[:, :, None]

    def derivatives(directions: Directions, index: Any) -> list[tf.Tensor]:
        direction = valid * directions(index, apart.dtype)[:, None]
        return derivatives_of(apart, tensors, direction, scale)

    first = derivatives(Directions(apart.shape[2]), 0)
    return derivatives if all(gradient is not None for gradient in first) else None  # None: through the states alone


def _exact(forward: Forward, sequences: Sequence[int], scale: Scale, question: Question) -> Diagonal:
    """One backward pass a step, of which that step's derivatives are kept."""
    assert forward.reading.steps is not None
    count = forward.reading.steps.num_lags
    tensors = [forward.tensors[index] for index in sequences]
    target = units_of(forward.run.heads, question.definition.output, keeps_steps=True)[1]
    rows = tf.cast(scale.rows, target.dtype)[:, None, None]
    kinds = [tensor.dtype if scale.target is None else tf.float64 for tensor in tensors]

    def derivatives(directions: Directions, index: Any) -> list[tf.Tensor]:
        of_rows = rows * directions(index, target.dtype)[:, None]

        def at(step: tf.Tensor) -> list[tf.Tensor]:
            direction = of_rows * tf.one_hot(step, count, dtype=target.dtype)[:, None]
            return [g[:, step] for g in derivatives_of(target, tensors, direction, scale)]

        by_step = tf.map_fn(at, tf.range(count), fn_output_signature=kinds)
        return [
            tf.ensure_shape(tf.transpose(g, (1, 0, *range(2, len(g.shape)))), tensor.shape)
            for g, tensor in zip(by_step, tensors, strict=True)
        ]

    return derivatives
