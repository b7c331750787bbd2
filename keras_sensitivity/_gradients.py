"""Model + batch -> derivatives, summed over the batch or row by row: the only room with a gradient tape.

The forward pass runs once under a persistent tape; one backward pass a unit follows. Derivatives are taken with respect
to the inputs, and for codes to the first floating-point tensors that they become (see `Lookups`).

Every such tensor is a `Part`; inside, it has the shape (batch_size, num_lags, num_entries): a table has one lag, an
image is one long row of entries. Lag 0 is the newest step; with a mask, that is the last valid one of each row. All
parts beside each other, those with fewer lags filled up with zeros that weigh nothing, make up what is measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_sensitivity import _checks, _models
from keras_sensitivity._lookups import Found, Lookups, origins
from keras_sensitivity._parts import Lags, Part, keeps_steps, mode_of, units_of
from keras_sensitivity._tracing import Traced
from keras_sensitivity.moments import CrossMoments, LookMoments, Moments

__all__ = ["UNROLLED_UNITS", "BatchMoments", "Derivatives", "InputMoments", "Pass", "RowGradients"]

Array = np.ndarray[Any, Any]

# Backward passes are unrolled up to this many units; beyond, a loop keeps the time to compile flat.
UNROLLED_UNITS = 16

# Up to this many entries all products of squared derivatives are summed; beyond, only their squares.
CROSS_ENTRIES = 256


class Pass(Traced):
    """A forward pass under a tape, and what a kind of pass makes of it.

    Attributes:
        units: Names of the output units, shape (num_units,).
        parts: What is differentiated with respect to, in the order of the entries.
        mode: "static", "many-to-one" or "many-to-many".
        saturates: Whether what is differentiated is a softmax or sigmoid.
        same_step: How many-to-many models are differentiated: "one pass" for recurrent stacks whose states are all
            that leads from step to step, "exact" with one pass a step for all others, else "".
        keeps_rows: Whether the derivatives of single rows are returned, not only their sums.
        watches_noise: Whether the noise of the model's probes is differentiated with respect to, beside the inputs.
        num_probes: How many entries of it there are.
    """

    keeps_rows = False
    watches_noise = False
    units: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    num_probes = 0
    mode = "static"
    saturates = False
    same_step = ""

    @property
    def num_lags(self) -> int | None:
        """The most time steps of any input; None without a time axis."""
        return max((part.num_lags for part in self.parts if part.num_lags is not None), default=None)

    def _forward(self, x: tuple[tf.Tensor, ...]) -> _Forward:
        """The forward pass, and which of its results are differentiated with respect to what."""
        with tf.GradientTape(persistent=True) as tape:
            heads, found, masks = self._outputs(tape, x)
            read = [self._read(each, x, masks) for each in found]
            self.mode, steps = mode_of(self._definition.mode, read, [tuple(head.shape) for head in heads.values()])
            newest = {name: self._newest(head, steps) for name, head in heads.items()}
            self.units, target = units_of(newest, self._definition.output)
        used = self._reached(tape, target, found, x)
        parts = tuple(read[index][0] for index in used)
        self.parts = tuple(part for part in parts if not part.is_noise)
        self.num_probes = sum(part.num_entries for part in parts if part.is_noise)
        tensors, lags = [found[index].tensor for index in used], [read[index][1] for index in used]
        return _Forward(tape, tensors, parts, lags, heads, target, steps, used)

    def _outputs(
        self, tape: tf.GradientTape, x: tuple[tf.Tensor, ...]
    ) -> tuple[dict[str, tf.Tensor], list[Found], list[tf.Tensor]]:
        """The heads that are differentiated, in float32 or float64; with respect to what; and the masks of steps.

        The noise of probes comes last.
        """
        model = self._model()
        assert model is not None
        lookups = Lookups(tape, x, self._inputs.names)
        with (
            _models.final_activations(model) as activated,
            _models.masks(model) as masks,
            _models.noise(model, tape) as noise,
            lookups.watching(model),
        ):
            heads = _models.heads(model, _models.forward(model, self._inputs.pack(x)))
        if isinstance(self._definition.output, str):
            if self._definition.output not in heads:
                _checks.unit(self._definition.output, list(heads))
            heads = {self._definition.output: heads[self._definition.output]}
        lookups.refuse(list(heads.values()), self._excluded)
        inner = {name: activated.get(id(head)) for name, head in heads.items()}
        self.saturates = not self._definition.logits and any(logits is not None for logits in inner.values())
        if self._definition.logits:
            heads = {name: _checks.logits() if logits is None else logits for name, logits in inner.items()}
        if not all(head.dtype.is_floating for head in heads.values()):
            _checks.path(self._inputs.names)
        wide = {
            name: tf.cast(head, tf.float64 if head.dtype == tf.float64 else tf.float32) for name, head in heads.items()
        }
        kept = [each for each in lookups.found if not set(each.sources) <= self._excluded]
        kept.sort(key=lambda each: (len(each.sources) > 1, each.sources))
        return wide, kept + [Found(tensor, (), False) for tensor in noise if self.watches_noise], masks

    def _reached(
        self, tape: tf.GradientTape, target: tf.Tensor, found: list[Found], x: Sequence[tf.Tensor]
    ) -> list[int]:
        """Which tensors the target depends on; refuses inputs of which it depends on none."""
        gradients = tape.gradient(target, [each.tensor for each in found])
        used = [index for index, gradient in enumerate(gradients) if gradient is not None]
        known = {source for index in used for source in found[index].sources} | self._excluded
        names = self._inputs.names
        lost = [names[source] for source in range(len(x)) if source not in known]
        if lost:
            _checks.path(lost, [names[source] for source in sorted(known - self._excluded)])
        return used

    def _read(self, found: Found, x: tuple[tf.Tensor, ...], masks: list[tf.Tensor]) -> tuple[Part, Lags]:
        """How the axes of a tensor are read, and where each lag is in each row."""
        entries = tuple(found.tensor.shape[1:])
        # Noise is laid out like the input that it stands beside.
        leaf = tuple(x[found.sources[0]].shape[1:]) if found.sources else entries
        is_number = not found.looked_up and entries == leaf and found.in_place
        num_lags = None
        if self._has_time_axis(leaf, x) and entries and entries[0] == leaf[0]:
            num_lags, entries, leaf = entries[0], entries[1:], leaf[1:]
        num_columns = math.prod(entries)
        if not is_number:
            # One column a position, if the positions are still there, each with the entries that it became.
            keeps_positions = bool(leaf) and entries[:1] == leaf[:1] and (len(entries) > 1 or not found.looked_up)
            num_columns = leaf[0] if keeps_positions and found.in_place else 1
        part = Part(found.sources, entries, num_lags, num_columns, is_number)
        own = [mask for mask in masks if len(x) == 1 or not found.sources or set(found.sources) & origins(mask, x)]
        mask = next((mask for mask in own if num_lags and mask.shape[1] == num_lags), None)
        return part, Lags.of(found.tensor.shape[0], num_lags, mask)

    def _has_time_axis(self, row_shape: tuple[int, ...], x: tuple[tf.Tensor, ...]) -> bool:
        """Whether the first axis of the rows of an input is that of time."""
        mode = self._definition.mode
        if mode == "static" or not row_shape:
            return False
        if len(row_shape) in (2, 4) or mode == "auto":
            return len(row_shape) in (2, 4)
        # Asked for: a table is a sequence of one feature, where no other input is one already.
        return not any(len(tensor.shape) in (3, 5) for tensor in x)

    def _newest(self, head: tf.Tensor, steps: Lags | None) -> tf.Tensor:
        """A head at the newest step of each row."""
        if steps is None or not (self.mode == "many-to-many" or keeps_steps(head.shape, steps.num_lags)):
            return head
        return steps.newest(head)


class BatchMoments(Pass):
    """The pass of a look: the `LookMoments` of a batch, and whether each row has a step that is not masked."""

    watches_noise = True

    def _traced(self, x: tuple[tf.Tensor, ...], weights: tf.Tensor, target_scale: tf.Tensor) -> _Sums:
        """Sums over the batch, in float64."""
        forward = self._forward(x)
        valid = forward.valid
        rows = weights[:, None]
        present = rows[:, :, None] * valid

        def derivatives(unit: Any) -> tf.Tensor:
            """Derivatives of a unit at the newest step, shape (batch_size, num_lags, num_entries)."""
            return forward.assembled(forward.derivatives(unit, target_scale))

        shape = (x[0].shape[0], *forward.shape)
        inputs = slice(shape[-1] - self.num_probes)  # the entries of the inputs; those of the probes follow
        per_unit, h = _over_units(derivatives, present, len(self.units), shape)
        flat = tf.reduce_all(h[..., inputs] == 0, axis=(1, 2)) & (weights > 0)
        same_step: tuple[Any, ...] = ()
        if self.mode == "many-to-many":
            diagonal = self._same_step(x, forward, target_scale)
            same_step, h = _over_units(diagonal, present, len(self.units), shape)
        h = tf.reshape((h * valid)[..., inputs], (shape[0], -1))
        return _Sums(
            forward.reached,
            (tf.math.count_nonzero(weights), tf.math.count_nonzero(flat)),
            (tf.reduce_sum(rows), tf.reduce_sum(rows**2), tf.reduce_sum(present, axis=0)),
            per_unit,
            same_step,
            _power_sums(forward.values, present),
            _product_sums(h, rows),
        )

    def _is_finite(self, found: _Sums) -> bool:
        # The squares of derivatives that are not finite would not be either.
        return all(np.isfinite(sums[-1]).all() for sums in (found.derivatives, found.same_step, found.squares) if sums)

    def _result(self, found: _Sums) -> tuple[LookMoments, Array]:
        weight, weight_squares, lag_weights = found.weights
        derivatives, probes = Moments.from_sums(lag_weights, *found.derivatives).split(self.num_probes)
        inputs, noise = Moments.from_sums(lag_weights, *found.inputs).split(self.num_probes)
        same_step = Moments.from_sums(lag_weights, *found.same_step) if found.same_step else None
        moments = LookMoments(
            derivatives,
            same_step and same_step.split(self.num_probes)[0],
            inputs,
            probes,
            noise,
            CrossMoments.from_sums(weight, weight_squares, *found.squares),
            int(found.present[0]),
            int(found.present[1]),
        )
        return moments, found.reached

    def _same_step(
        self, x: tuple[tf.Tensor, ...], forward: _Forward, target_scale: tf.Tensor
    ) -> Callable[[Any], tf.Tensor]:
        """A function from a unit to its derivatives of each step with respect to the same step of x, by lag.

        Inputs with no time axis, or another one, have no such step: theirs are derivatives of the newest output step.
        """
        assert forward.steps is not None
        num_steps = forward.steps.num_lags
        sequences = [index for index, part in enumerate(forward.parts) if part.num_lags == num_steps]

        def beside_static(unit: Any, diagonal: Sequence[tf.Tensor]) -> tf.Tensor:
            every = list(diagonal) if len(sequences) == len(forward.parts) else forward.derivatives(unit, target_scale)
            for index, derivative in zip(sequences, diagonal, strict=True):
                every[index] = derivative
            return forward.assembled(every)

        one_pass = self._one_pass(x, forward, sequences, target_scale)
        self.same_step = "exact" if one_pass is None else "one pass"
        diagonal = one_pass or self._exact(forward, sequences, target_scale)
        return lambda unit: beside_static(unit, diagonal(unit))

    def _one_pass(
        self, x: tuple[tf.Tensor, ...], forward: _Forward, sequences: list[int], target_scale: tf.Tensor
    ) -> Callable[[Any], list[tf.Tensor]] | None:
        """The derivative of the sum over valid steps: the diagonal, where no step leads to another; else None."""
        model, steps = self._model(), forward.steps
        assert model is not None
        assert steps is not None
        if not _models.keeps_steps_apart(model):
            return None
        with tf.GradientTape(persistent=True) as tape, _models.stopped_states(model) as run:
            heads, found, _ = self._outputs(tape, x)
            apart = units_of(heads, self._definition.output, steps.num_lags)[1]
        # A cuDNN kernel would not run the cells, and so would not stop their states.
        if run != _models.recurrent_paths(model):
            return None
        tensors = [found[forward.used[index]].tensor for index in sequences]
        if any(gradient is None for gradient in tape.gradient(apart, tensors)):
            return None  # reached through the states alone

        def derivatives(unit: Any) -> list[tf.Tensor]:
            one_hot = tf.one_hot(unit, apart.shape[2], dtype=apart.dtype)
            direction = tf.cast(steps.valid_steps, apart.dtype)[:, :, None] * one_hot
            return _gradients(tape, apart, tensors, direction, target_scale)

        return derivatives

    def _exact(
        self, forward: _Forward, sequences: list[int], target_scale: tf.Tensor
    ) -> Callable[[Any], list[tf.Tensor]]:
        """One backward pass a step, of which that step's derivatives are kept."""
        assert forward.steps is not None
        count = forward.steps.num_lags
        tensors = [forward.tensors[index] for index in sequences]
        with forward.tape:
            target = units_of(forward.heads, self._definition.output, count)[1]

        def derivatives(unit: Any) -> list[tf.Tensor]:
            def at(step: tf.Tensor) -> list[tf.Tensor]:
                here = tf.one_hot(step, count, dtype=target.dtype)[:, None]
                direction = tf.broadcast_to(here * tf.one_hot(unit, target.shape[2], dtype=target.dtype), target.shape)
                return [g[:, step] for g in _gradients(forward.tape, target, tensors, direction, target_scale)]

            by_step = tf.map_fn(at, tf.range(count), fn_output_signature=[tf.float64] * len(tensors))
            return [
                tf.ensure_shape(tf.transpose(g, (1, 0, *range(2, len(g.shape)))), tensor.shape)
                for g, tensor in zip(by_step, tensors, strict=True)
            ]

        return derivatives


class _Sums(NamedTuple):
    """What the device returns for a batch of a look."""

    reached: Any
    present: tuple[Any, Any]
    weights: tuple[Any, Any, Any]
    derivatives: tuple[Any, ...]
    same_step: tuple[Any, ...]
    inputs: tuple[Any, Any, Any]
    squares: tuple[Any, Any, Any]


class Derivatives(NamedTuple):
    """What `RowGradients` returns for a batch.

    Attributes:
        predictions: What is differentiated, shape (batch_size, num_units).
        gradients: For each part, of each unit at its newest step, shape (batch_size, num_units, *part_shape).
        values: For each part its values, shape (batch_size, *part_shape).
        steps: For each part the time step of each lag, shape (batch_size, num_lags).
        valid: For each part whether the row has the lag, of the same shape.
    """

    predictions: Any
    gradients: tuple[Any, ...]
    values: tuple[Any, ...]
    steps: tuple[Any, ...]
    valid: tuple[Any, ...]


class RowGradients(Pass):
    """The pass of an explanation: the `Derivatives` of each row, and whether it has a step that is not masked."""

    keeps_rows = True

    def _traced(
        self, x: tuple[tf.Tensor, ...], weights: tf.Tensor, target_scale: tf.Tensor
    ) -> tuple[Derivatives, tf.Tensor]:
        forward = self._forward(x)
        types = [tensor.dtype for tensor in forward.tensors]

        def derivatives(unit: Any) -> list[tf.Tensor]:
            found = forward.derivatives(unit, target_scale)
            return [tf.cast(g, _wide(kind)) for g, kind in zip(found, types, strict=True)]

        num_units = len(self.units)
        if num_units <= UNROLLED_UNITS:
            units = [derivatives(unit) for unit in range(num_units)]
            gradients = [tf.stack(every, axis=1) for every in zip(*units, strict=True)]
        else:
            looped = tf.map_fn(derivatives, tf.range(num_units), fn_output_signature=[_wide(kind) for kind in types])
            gradients = [tf.transpose(g, (1, 0, *range(2, len(g.shape)))) for g in looped]
        result = Derivatives(
            forward.target,
            tuple(gradients),
            tuple(tf.cast(tensor, _wide(tensor.dtype)) for tensor in forward.tensors),
            tuple(lags.all_steps for lags in forward.lags),
            tuple(lags.valid > 0 for lags in forward.lags),
        )
        return result, forward.reached

    def _is_finite(self, found: tuple[Derivatives, Any]) -> bool:
        return all(np.isfinite(gradients).all() for gradients in found[0].gradients)

    def _result(self, found: tuple[Derivatives, Array]) -> tuple[Derivatives, Array]:
        return found


class InputMoments(Pass):
    """The pass over background rows: the `Moments` of the entries; of the model only what makes them is run."""

    def _traced(self, x: tuple[tf.Tensor, ...], weights: tf.Tensor, target_scale: tf.Tensor) -> tuple[Any, ...]:
        forward = self._forward(x)
        present = weights[:, None, None] * forward.valid
        return forward.reached, tf.reduce_sum(present, axis=0), _power_sums(forward.values, present)

    def _is_finite(self, found: tuple[Any, ...]) -> bool:
        return True

    def _result(self, found: tuple[Any, ...]) -> tuple[Moments, Array]:
        reached, weight, sums = found
        return Moments.from_sums(weight, *sums), reached


class _Forward(NamedTuple):
    """A forward pass.

    Attributes:
        tape: Persistent, to be asked once a unit.
        tensors: What is differentiated with respect to.
        parts: How the axes of each are read.
        lags: Where each lag of each is in each row.
        heads: The outputs that are differentiated.
        target: The heads at their newest step, shape (batch_size, num_units).
        steps: The lags of the time axis that heads have; None without one.
        used: Which of the tensors that were found these are.
    """

    tape: tf.GradientTape
    tensors: list[tf.Tensor]
    parts: tuple[Part, ...]
    lags: list[Lags]
    heads: dict[str, tf.Tensor]
    target: tf.Tensor
    steps: Lags | None
    used: list[int]

    @property
    def shape(self) -> tuple[int, int]:
        """Lags and entries of all parts beside each other."""
        return max(lags.num_lags for lags in self.lags), sum(math.prod(part.shape) for part in self.parts)

    @property
    def valid(self) -> tf.Tensor:
        """1.0 where a row has a lag of a part, shape (batch_size, num_lags, num_entries), or 1 entry for one part."""
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
        """What the tensors hold, shape (batch_size, num_lags, num_entries), in float64."""
        return self.assembled([tf.cast(tensor, tf.float64) for tensor in self.tensors])

    def derivatives(self, unit: Any, target_scale: tf.Tensor) -> list[tf.Tensor]:
        """Of one unit with respect to each tensor, of its shape, in float64."""
        one_hot = tf.one_hot(unit, self.target.shape[1], dtype=self.target.dtype)
        direction = tf.broadcast_to(one_hot, self.target.shape)
        return _gradients(self.tape, self.target, self.tensors, direction, target_scale)

    def assembled(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """Tensors of the shapes of the parts, by lag, beside each other: (batch_size, num_lags, num_entries)."""
        by_lag = [
            lags.order(tf.reshape(tensor, (tensor.shape[0], lags.num_lags, math.prod(part.shape))))
            for tensor, lags, part in zip(tensors, self.lags, self.parts, strict=True)
        ]
        return by_lag[0] if len(by_lag) == 1 else self._beside(by_lag)

    def _beside(self, by_lag: list[tf.Tensor]) -> tf.Tensor:
        most = self.shape[0]
        return tf.concat([tf.pad(part, ((0, 0), (0, most - part.shape[1]), (0, 0))) for part in by_lag], axis=2)


def _wide(kind: Any) -> Any:
    """The type in which derivatives with respect to a tensor are returned."""
    return tf.float64 if kind == tf.float64 else tf.float32


def _gradients(
    tape: tf.GradientTape,
    target: tf.Tensor,
    tensors: Sequence[tf.Tensor],
    direction: tf.Tensor,
    target_scale: tf.Tensor,
) -> list[tf.Tensor]:
    """Derivatives of ``sum(direction * target)`` with respect to each tensor, of its shape, in float64.

    The scale, a power of 2, lifts them over the smallest float16 on their way; taking it back in float64 is exact.
    """
    scaled = direction * tf.cast(target_scale, target.dtype)
    found = tape.gradient(target, list(tensors), output_gradients=scaled)
    return [
        tf.cast(tf.ensure_shape(gradient, tensor.shape), tf.float64) / tf.cast(target_scale, tf.float64)
        for gradient, tensor in zip(found, tensors, strict=True)
    ]


def _over_units(
    derivatives: Callable[[Any], tf.Tensor], weights: tf.Tensor, num_units: int, shape: tuple[int, ...]
) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
    """The power sums of each unit's derivatives, stacked, and h = sum over units of g**2, of ``shape``."""
    h = tf.zeros(shape, tf.float64)
    if num_units <= UNROLLED_UNITS:
        every = []
        for unit in range(num_units):
            g = derivatives(unit)
            h += g**2
            every.append(_power_sums(g, weights))
        return tuple(tf.stack(sums) for sums in zip(*every, strict=True)), h

    def body(unit: tf.Tensor, h: tf.Tensor, *columns: tf.TensorArray) -> tuple[Any, ...]:
        g = tf.ensure_shape(derivatives(unit), shape)
        written = [column.write(unit, sums) for column, sums in zip(columns, _power_sums(g, weights), strict=True)]
        return unit + 1, h + g**2, *written

    empty = [tf.TensorArray(tf.float64, num_units, element_shape=shape[1:]) for _ in range(3)]
    looped = tf.while_loop(lambda unit, *_: unit < num_units, body, (0, h, *empty), maximum_iterations=num_units)
    return tuple(column.stack() for column in looped[2:]), looped[1]


def _power_sums(values: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Shift, and weighted sums of ``v - shift`` and its squares: see `Moments.from_sums`.

    The weights have the axes of the values, rows first, the last of them maybe 1.
    """
    shift = values[0]
    centred = values - shift
    weighted = centred * weights
    return shift, tf.reduce_sum(weighted, axis=0), tf.reduce_sum(weighted * centred, axis=0)


def _product_sums(values: tf.Tensor, weights: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Shift, and weighted sums of ``v - shift`` and its products, or only squares for wide inputs."""
    if values.shape[1] > CROSS_ENTRIES:
        return _power_sums(values, weights)
    shift = values[0]
    centred = values - shift
    weighted = centred * weights
    return shift, tf.reduce_sum(weighted, axis=0), tf.matmul(weighted, centred, transpose_a=True)
