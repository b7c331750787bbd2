"""The forward pass of a model, and one backward pass a unit.

Every tensor that is differentiated with respect to is a `Part`; inside, it has the shape
(batch_size, num_lags, num_entries): a table has one lag, an image is one long row of entries. Lag 0 is the newest step;
with a mask, that is the last valid one of each row. All parts beside each other, those with fewer lags filled up with
zeros that weigh nothing, make up what is measured.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_sensitivity import errors
from keras_sensitivity.networks.keras_tf.axes import Lags, Reading, units_of
from keras_sensitivity.networks.keras_tf.backward import backward
from keras_sensitivity.networks.keras_tf.borrowing import borrowed
from keras_sensitivity.networks.keras_tf.codes import Call, Codes, Found
from keras_sensitivity.networks.keras_tf.directions import Directions
from keras_sensitivity.networks.keras_tf.heads import Heads
from keras_sensitivity.networks.keras_tf.integers import Cast
from keras_sensitivity.networks.keras_tf.layers import called, packed
from keras_sensitivity.networks.keras_tf.logits import logits_of
from keras_sensitivity.networks.keras_tf.masks import only_masks, record_masks
from keras_sensitivity.networks.keras_tf.noise import Noise
from keras_sensitivity.networks.keras_tf.parts import read
from keras_sensitivity.networks.keras_tf.precision import widen
from keras_sensitivity.networks.keras_tf.steps import stop_states
from keras_sensitivity.networks.keras_tf.timelines import has_steps_of
from keras_sensitivity.networks.network import Part, Question

__all__ = ["Forward", "Run", "Scale", "derivatives_of", "run", "wide"]

Tensors = tuple[tf.Tensor, ...]


class Run(NamedTuple):
    """What one run of a model returns.

    Attributes:
        heads: The outputs that are differentiated, by name, in float32 or float64.
        left_out: Why other outputs are not.
        found: What can be differentiated with respect to; the noise of probes comes last.
        masks: The masks of time steps.
        agreements: See `Codes`.
        activated: Names of the heads that are a softmax or sigmoid.
        stopped: The recurrent layers whose states were stopped.
    """

    heads: dict[str, tf.Tensor]
    left_out: dict[str, str]
    found: list[Found]
    masks: list[tf.Tensor]
    agreements: dict[Call, tf.Tensor]
    activated: tuple[str, ...]
    stopped: set[str]


def run(
    model: keras.Model,
    x: Tensors,
    *,
    question: Question,
    kept_as_integers: Collection[Call] = (),
    with_noise: bool = False,
    copies: int = 1,
    stopping: bool = False,
    wide: bool = False,
) -> Run:
    """Call a model, and note what happens inside.

    Args:
        model: The model.
        x: Its inputs.
        question: What is asked.
        kept_as_integers: See `Codes`.
        with_noise: Whether the noise of probes is found, too.
        copies: Of how many copies of some rows x is made, see `Noise`.
        stopping: Whether no derivative passes through the states of recurrent layers.
        wide: Whether layers that compute in less than float32 do so in float32.
    """
    excluded = {index for index, name in enumerate(question.inputs.names) if name in question.exclude}
    with borrowed(model) as loan:
        if wide:
            widen(model, loan)
        masks = record_masks(model, loan)
        noise = Noise(model, loan, copies)
        stopped = stop_states(model, loan) if stopping else set()
        codes = Codes(model, loan, inputs=x, names=question.inputs.names, kept_as_integers=kept_as_integers)
        output = called(model, packed(model, question.inputs, x))
    noise.refuse_behind_weights()
    every = Heads.of(model, output, x[0].shape[0]).with_derivatives([each.tensor for each in codes.found])
    name = question.definition.output
    heads = every.chosen(name if isinstance(name, str) else None)
    codes.refuse(list(heads.values()), excluded)
    inner = {name: logits for name, head in heads.items() if (logits := logits_of(head)) is not None}
    if question.definition.logits:
        heads = heads | (inner or errors.refuse_logits())
    found = [each for each in codes.found if not set(each.sources) <= excluded]
    found.sort(key=lambda each: (len(each.sources) > 1, each.sources))
    kind = tf.float64 if any(head.dtype == tf.float64 for head in heads.values()) else tf.float32
    return Run(
        {name: tf.cast(head, kind) for name, head in heads.items()},
        {} if isinstance(name, str) else every.left_out,
        found + [Found(tensor, (), False) for tensor in noise.made if with_noise],
        masks,
        codes.agreements,
        () if question.definition.logits else tuple(inner),
        stopped,
    )


class Scale(NamedTuple):
    """What multiplies the target before the backward pass.

    Attributes:
        rows: Of each row, 1 or 0, shape (batch_size,); with 0, nothing comes back from the row's own output.
        target: A power of 2, taken back afterwards; None: 1.
        units: Of each row and unit, 1 or 0, shape (batch_size, num_units); None: 1.
    """

    rows: tf.Tensor
    target: tf.Tensor | None
    units: tf.Tensor | None = None

    def without(self, lost: tf.Tensor | None) -> Scale:
        """The same with 0 for some units of some rows; None: of none."""
        return self if lost is None else self._replace(units=1 - tf.cast(lost, self.rows.dtype))


class Forward(NamedTuple):
    """A forward pass, and what is read of it.

    Attributes:
        x: What the model was called with, of which some integers may have been cast.
        run: What the model returned.
        used: Which of the tensors that were found the outputs depend on.
        parts: How the axes of each of these are read.
        lags: Where each lag of each is in each row.
        reading: How the steps of the heads are read.
        units: Names of the output units.
        target: The heads at their newest step, shape (batch_size, num_units).
        first: The derivatives of the first unit, by which it was found what is used.
        masking: Names of the inputs without derivatives that only say which entries of others count.
        has_missing: Whether entries may be NaN.
        activated: Of each head that is a softmax or sigmoid the positions of its units.
    """

    x: Tensors
    run: Run
    used: list[int]
    parts: tuple[Part, ...]
    lags: list[Lags]
    reading: Reading
    units: tuple[str, ...]
    target: tf.Tensor
    first: list[tf.Tensor]
    masking: tuple[str, ...]
    has_missing: bool
    activated: dict[str, range]

    @classmethod
    def of(cls, model: keras.Model, x: Tensors, question: Question, scale: Scale, **how: Any) -> Forward:
        """Run a model, with options of `run`, and read what is differentiated with respect to what."""
        definition = question.definition
        x, agreements = Cast.of(model, question.inputs, x, how["kept_as_integers"])
        found = run(model, x, question=question, **how)
        every = [read(each, x, found.masks, definition.mode) for each in found.found]
        sequences = {index: lags for index, (part, lags) in enumerate(every) if part.num_lags is not None}

        def has_steps(head: tf.Tensor, index: int) -> bool | None:
            return has_steps_of(head, found.found[index].tensor)

        reading = Reading.of(definition.mode, sequences, found.heads, has_steps)
        newest = {name: reading.newest(name, head) for name, head in found.heads.items()}
        units, target = units_of(newest, definition.output, mode=reading.mode)
        activated = _activated(newest, found.activated, definition.output)
        scale = scale.without(_rounded(target, activated))
        direction = _direction(target, Directions(len(units)), 0, scale)
        first = derivatives_of(target, [each.tensor for each in found.found], direction, scale)
        used = [index for index, gradient in enumerate(first) if gradient is not None]
        masking = _only_masking(used, found, question, x)
        parts, lags = tuple(every[index][0] for index in used), [every[index][1] for index in used]
        found = found._replace(agreements=found.agreements | agreements)
        first = [first[index] for index in used]
        rest = masking, question.has_missing, activated
        return cls(x, found, used, parts, lags, reading, units, target, first, *rest)

    @property
    def tensors(self) -> list[tf.Tensor]:
        """What is differentiated with respect to."""
        return [self.run.found[index].tensor for index in self.used]

    @property
    def shape(self) -> tuple[int, int]:
        """Lags and entries of all parts beside each other."""
        return max(lags.num_lags for lags in self.lags), sum(math.prod(part.shape) for part in self.parts)

    @property
    def valid(self) -> tf.Tensor:
        """1.0 where a row has a lag of a part, shape (batch_size, num_lags, num_entries), or 1 entry for one part.

        Where entries may be missing, 0.0 where they are.
        """
        if self.has_missing:
            return self._reached_lags * tf.cast(~tf.math.is_nan(self._raw_values), tf.float64)
        return self._reached_lags

    @property
    def is_complete(self) -> bool:
        """Whether every row surely has every entry at every lag."""
        is_masked = any(lags.steps is not None for lags in self.lags)
        return not self.has_missing and not is_masked and len({lags.num_lags for lags in self.lags}) == 1

    @property
    def _reached_lags(self) -> tf.Tensor:
        if len(self.parts) == 1:
            return self.lags[0].valid[:, :, None]
        every = [
            tf.tile(lags.valid[:, :, None], (1, 1, math.prod(part.shape)))
            for lags, part in zip(self.lags, self.parts, strict=True)
        ]
        return self._beside(every)

    @property
    def reached(self) -> tf.Tensor:
        """Whether a row has any step of any sequence, shape (batch_size,)."""
        sequences = [
            lags.reached for lags, part in zip(self.lags, self.parts, strict=True) if part.num_lags is not None
        ]
        return tf.reduce_any(tf.stack(sequences), axis=0) if sequences else self.lags[0].reached

    @property
    def values(self) -> tf.Tensor:
        """What the tensors hold, shape (batch_size, num_lags, num_entries); 0 for what is missing."""
        raw = self._raw_values
        return tf.where(tf.math.is_nan(raw), tf.zeros((), raw.dtype), raw) if self.has_missing else raw

    @property
    def _raw_values(self) -> tf.Tensor:
        return self.assembled(self.tensors)

    def derivatives(self, directions: Directions, index: Any, scale: Scale) -> list[tf.Tensor]:
        """In one of the directions with respect to each tensor, of its shape."""
        if directions.codes is None and isinstance(index, int) and index == 0:
            return self.first
        direction = _direction(self.target, directions, index, scale.without(_rounded(self.target, self.activated)))
        return derivatives_of(self.target, self.tensors, direction, scale)

    def assembled(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Tensors of the shapes of the parts, by lag, beside each other: (batch_size, num_lags, num_entries).

        In float32, or in float64 where one of them is.
        """
        kind = tf.float64 if any(tensor.dtype == tf.float64 for tensor in tensors) else tf.float32
        by_lag = [
            lags.order(tf.cast(tf.reshape(tensor, (tensor.shape[0], lags.num_lags, math.prod(part.shape))), kind))
            for tensor, lags, part in zip(tensors, self.lags, self.parts, strict=True)
        ]
        return by_lag[0] if len(by_lag) == 1 else self._beside(by_lag)

    def _beside(self, by_lag: list[tf.Tensor]) -> tf.Tensor:
        most = self.shape[0]
        return tf.concat([tf.pad(part, ((0, 0), (0, most - part.shape[1]), (0, 0))) for part in by_lag], axis=2)


def _activated(heads: dict[str, tf.Tensor], names: Collection[str], output: int | str | None) -> dict[str, range]:
    """The positions of the units of some heads; of one unit that was asked for its own, if its head is one of them."""
    ends = list(itertools.accumulate(math.prod(head.shape[1:]) for head in heads.values()))
    units = {name: range(start, end) for name, start, end in zip(heads, [0, *ends], ends, strict=False)}
    every = {name: units[name] for name in heads if name in names}
    return {name: range(1) for name, own in every.items() if output in own} if isinstance(output, int) else every


def _only_masking(used: Sequence[int], found: Run, question: Question, x: Tensors) -> tuple[str, ...]:
    """The inputs that are nothing but masks; refuses others that the outputs do not depend on through derivatives."""
    names = question.inputs.names
    known = {names[source] for index in used for source in found.found[index].sources}
    lost = [index for index, name in enumerate(names) if name not in known and name not in question.exclude]
    masking = [index for index in lost if known and only_masks(index, x, found.heads.values())]
    refused = [names[index] for index in lost if index not in masking]
    if refused:
        errors.refuse_path(refused, [name for name in names if name in known])
    return tuple(names[index] for index in masking)


def _direction(target: tf.Tensor, directions: Directions, index: Any, scale: Scale) -> tf.Tensor:
    """One of the directions at every row that sends its derivatives back, else 0."""
    rows = scale.rows[:, None] if scale.units is None else scale.rows[:, None] * scale.units
    return tf.cast(rows, target.dtype) * directions(index, target.dtype)


def _rounded(target: tf.Tensor, activated: Mapping[str, Sequence[int]]) -> tf.Tensor | None:
    """Which probabilities are 1 but for rounding, as some processors divide: ``p * (1 - p)`` is no more than that.

    Shape (batch_size, num_units); None where there are no probabilities.
    """
    columns = [unit for units in activated.values() for unit in units]
    if not columns:
        return None
    is_probability = np.isin(np.arange(target.shape[1]), columns)
    return is_probability & (target >= 1 - 2 * np.finfo(target.dtype.as_numpy_dtype).epsneg)


def wide(kind: Any) -> Any:
    """The type in which derivatives of or with respect to a tensor are returned."""
    return tf.float64 if kind == tf.float64 else tf.float32


def derivatives_of(target: tf.Tensor, tensors: Sequence[tf.Tensor], direction: tf.Tensor, scale: Scale) -> list[Any]:
    """Derivatives of ``sum(direction * target)`` with respect to each tensor, of its shape; None of none.

    The scale, a power of 2, lifts them over the smallest float16 on their way; taking it back in float64 is exact.
    """
    if scale.target is None:
        found = backward(target, tensors, tf.broadcast_to(direction, target.shape))
    else:
        found = backward(target, tensors, direction * tf.cast(scale.target, target.dtype))
    return [
        None if derivative is None else _unscaled(tf.ensure_shape(derivative, tensor.shape), scale.target)
        for derivative, tensor in zip(found, tensors, strict=True)
    ]


def _unscaled(derivative: tf.Tensor, scale: tf.Tensor | None) -> tf.Tensor:
    if scale is None:
        return derivative
    return tf.cast(derivative, tf.float64) / tf.cast(scale, tf.float64)
