"""The derivatives of each output step of a many-to-many model with respect to the same step of its input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_sensitivity.networks.keras_tf.axes import units_of
from keras_sensitivity.networks.keras_tf.steps import keeps_steps_apart, recurrent_paths
from keras_sensitivity.networks.keras_tf.tape import Forward, Scale, gradients, run
from keras_sensitivity.networks.network import Question

__all__ = ["same_step"]

OfUnit = Callable[[Any], list[tf.Tensor]]


def same_step(
    model: keras.Model, forward: Forward, scale: Scale, question: Question, **how: Any
) -> tuple[Callable[[Any], tf.Tensor], str]:
    """A function from a unit to its derivatives of each step with respect to the same step of x, by lag; and the way.

    The way is "one pass" for recurrent stacks whose states are all that leads from step to step, "exact" with one pass
    a step for all others. Inputs with no time axis, or another one, have no such step: theirs are derivatives of the
    newest output step.
    """
    sequences = [index for index, found in enumerate(forward.used) if found in forward.reading.sources]
    one_pass = _one_pass(model, forward, sequences, scale=scale, question=question, how=how)
    diagonal = one_pass or _exact(forward, sequences, scale, question)

    def beside_static(unit: Any) -> tf.Tensor:
        found = diagonal(unit)
        every = list(found) if len(sequences) == len(forward.parts) else forward.derivatives(unit, scale)
        for index, derivative in zip(sequences, found, strict=True):
            every[index] = derivative
        return forward.assembled(every)

    return beside_static, "exact" if one_pass is None else "one pass"


def _one_pass(
    model: keras.Model,
    forward: Forward,
    sequences: Sequence[int],
    *,
    scale: Scale,
    question: Question,
    how: dict[str, Any],
) -> OfUnit | None:
    """The derivative of the sum over valid steps: the diagonal, where no step leads to another; else None."""
    steps = forward.reading.steps
    assert steps is not None
    if not keeps_steps_apart(model):
        return None
    with tf.GradientTape(persistent=True) as tape:
        stopped = run(model, forward.x, tape, question=question, stopping=True, **how)
        apart = units_of(stopped.heads, question.definition.output, keeps_steps=True)[1]
    # A cuDNN kernel would not run the cells, and so would not stop their states.
    if stopped.stopped != recurrent_paths(model):
        return None
    tensors = [stopped.found[forward.used[index]].tensor for index in sequences]
    valid = tf.cast(steps.valid_steps * scale.rows[:, None], apart.dtype)[:, :, None]

    def derivatives(unit: Any) -> list[tf.Tensor]:
        return gradients(tape, apart, tensors, valid * tf.one_hot(unit, apart.shape[2], dtype=apart.dtype), scale)

    first = derivatives(0)
    if any(gradient is None for gradient in first):
        return None  # reached through the states alone
    return lambda unit: first if isinstance(unit, int) and unit == 0 else derivatives(unit)


def _exact(forward: Forward, sequences: Sequence[int], scale: Scale, question: Question) -> OfUnit:
    """One backward pass a step, of which that step's derivatives are kept."""
    assert forward.reading.steps is not None
    count = forward.reading.steps.num_lags
    tensors = [forward.tensors[index] for index in sequences]
    with forward.tape:
        target = units_of(forward.run.heads, question.definition.output, keeps_steps=True)[1]
    rows = tf.cast(scale.rows, target.dtype)[:, None, None]

    def derivatives(unit: Any) -> list[tf.Tensor]:
        def at(step: tf.Tensor) -> list[tf.Tensor]:
            here = tf.one_hot(step, count, dtype=target.dtype)[:, None]
            direction = rows * here * tf.one_hot(unit, target.shape[2], dtype=target.dtype)
            return [g[:, step] for g in gradients(forward.tape, target, tensors, direction, scale)]

        by_step = tf.map_fn(at, tf.range(count), fn_output_signature=[tf.float64] * len(tensors))
        return [
            tf.ensure_shape(tf.transpose(g, (1, 0, *range(2, len(g.shape)))), tensor.shape)
            for g, tensor in zip(by_step, tensors, strict=True)
        ]

    return derivatives
