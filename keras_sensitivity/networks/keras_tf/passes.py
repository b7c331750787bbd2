"""The passes over a Keras model: derivatives summed over the batch, or row by row, or only the inputs' moments."""

from __future__ import annotations

import abc
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import keras
import numpy as np
import tensorflow as tf

from keras_sensitivity.moments import Moments
from keras_sensitivity.networks.keras_tf.borrowing import borrowed
from keras_sensitivity.networks.keras_tf.codes import Call
from keras_sensitivity.networks.keras_tf.compiled import Compiled, chosen_compiler
from keras_sensitivity.networks.keras_tf.directions import Directions
from keras_sensitivity.networks.keras_tf.forward import Forward, Scale, wide
from keras_sensitivity.networks.keras_tf.layers import called, layers, packed
from keras_sensitivity.networks.keras_tf.noise import Noise
from keras_sensitivity.networks.keras_tf.precision import is_half, is_narrow, widen
from keras_sensitivity.networks.keras_tf.row_losses import RowLosses
from keras_sensitivity.networks.keras_tf.same_step import SameStep
from keras_sensitivity.networks.keras_tf.sums import (
    UNROLLED_UNITS,
    in_all_directions,
    power_sums,
    product_sums,
    sums_over_directions,
)
from keras_sensitivity.networks.network import (
    MOST_DERIVATIVES,
    Batch,
    Derivatives,
    Entries,
    NotFiniteError,
    Pass,
    Question,
    Seen,
    SeenRows,
)
from keras_sensitivity.networks.row_sums import Rows, Sums
from keras_sensitivity.probes import NoiseProbes

__all__ = ["InputPass", "KerasPass", "LookPass", "LossPass", "RowPass", "SwapPass", "specs_of"]

Array = np.ndarray[Any, Any]
R = TypeVar("R")

# What the target of a float16 network is scaled by at first.
FIRST_HALF_SCALE = 2.0**24
HALF_SCALE_STEP = 16.0


def specs_of(batch: Batch) -> tuple[tf.TensorSpec, ...]:
    """The shapes and types of the tensors of a batch."""
    return tuple(tf.TensorSpec(leaf.shape, tf.string if leaf.dtype == object else leaf.dtype) for leaf in batch)


class KerasPass(Pass[R]):
    """A forward pass of a model, traced for batches of one shape, and what a kind of pass makes of it.

    Args:
        model: A built Keras model.
        batch: Rows, whose shape and type all later batches share.
        question: What is asked.

    Attributes:
        same_step: The way to the same-step derivatives, "" without such.
    """

    watches_noise = False
    is_derived = True

    def __init__(self, model: keras.Model, batch: Batch, question: Question) -> None:
        self._model = weakref.ref(model)  # what is kept of a model must not keep it alive
        self._question = question
        self._specs = specs_of(batch)
        self._is_wide, self.is_half = is_narrow(model), is_half(model)
        self._kept_as_integers: frozenset[Call] = frozenset()
        self.same_step = ""
        self._compiler = chosen_compiler(model, question.jit_compile, self._specs)
        try:
            self._compile()
        except Exception:
            if not self._is_wide:
                raise
            self._is_wide = False  # a layer insists on its type
            self._compile()
            self.is_narrow = True
        self._settle(batch)

    def __call__(self, batch: Batch, weights: Array) -> tuple[R, Array]:
        """The result for a batch, and whether each row has a step that is not masked."""
        return self._result(self._found(batch, weights, np.ones(len(weights))))

    @property
    def description(self) -> str:
        """Which compiler was chosen, and why."""
        compiler = "XLA" if self._compiled.use_xla else "plain graph"
        diagonal = f"; same-step derivatives: {self.same_step}" if self.same_step else ""
        return f"{compiler}: {self._compiled.reason}{diagonal}"

    # --- what a kind of pass is ---------------------------------------------------------------------------------------

    @abc.abstractmethod
    def _on_device(self, x: tuple[tf.Tensor, ...], weights: tf.Tensor, forward: Forward, scale: Scale) -> Any:
        """What is computed of a forward pass: a structure of tensors."""

    def _on_host(self, found: Any, weights: Array) -> Any:
        """What is made of the same structure of arrays before anything else."""
        return found

    def _bad(self, found: Any, weights: Array) -> NotFiniteError | None:
        """What is not finite in the same structure of arrays, at rows that have a weight; None if nothing is."""
        return None

    def _has_derivatives(self, found: Any, rows: Array) -> bool:
        """Whether any derivative of rows of x is not 0; ``rows`` says which, and only these have a weight."""
        return False

    @abc.abstractmethod
    def _result(self, found: Any) -> tuple[R, Array]:
        """What the caller gets of the same structure of arrays."""

    # --- how it is run ------------------------------------------------------------------------------------------------

    def is_current(self, model: keras.Model) -> bool:
        """Whether what the pass depends on beside what the model computes is as it was."""
        return True

    def _compile(self) -> None:
        rows = self._specs[0].shape[:1]
        # A float16 network loses derivatives below 6e-8, so its target is scaled up as far as it stays finite.
        self._halves = not self._is_wide and any(
            each.compute_dtype == "float16" for each in layers(self._whole_model())
        )
        self._target_scale = FIRST_HALF_SCALE if self._halves else 1.0
        specs = (*self._specs, *[tf.TensorSpec(rows, tf.float64)] * 2, tf.TensorSpec((), tf.float32))
        self._compiled = Compiled(self._traced, specs, *self._compiler)

    def _traced(self, *arguments: tf.Tensor) -> tuple[Any, tuple[tf.Tensor, ...]]:
        """What is computed on the device; whether calls with integers cast to numbers agree with the model's own."""
        *inputs, weights, rows, target_scale = arguments
        x = self._rows(tuple(inputs))
        rows = tf.tile(rows, [x[0].shape[0] // rows.shape[0]])
        scale = Scale(rows, target_scale if self._halves else None)
        forward = Forward.of(self._whole_model(), x, self._question, scale, **self._how)
        self.units, self.left_out = forward.units, forward.run.left_out
        self.mode, self.is_guess = forward.reading.mode, forward.reading.is_guess
        self.activated, self.masking = forward.activated, forward.masking
        self.parts = tuple(part for part in forward.parts if not part.is_noise)
        self.num_probes = sum(part.num_entries for part in forward.parts if part.is_noise)
        self.makes_masks = bool(forward.run.masks)
        self.is_masked = any(lags.steps is not None for lags in forward.lags)
        self._cast_calls = tuple(forward.run.agreements)
        return self._on_device(x, weights, forward, scale), tuple(forward.run.agreements.values())

    def _rows(self, batch: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        """What the model is called with."""
        return batch

    @property
    def _how(self) -> dict[str, Any]:
        """How the model is run, in the words of `run`."""
        return {
            "kept_as_integers": self._kept_as_integers,
            "with_noise": self.watches_noise,
            "wide": self._is_wide,
        }

    def _whole_model(self) -> keras.Model:
        model = self._model()
        assert model is not None  # whoever runs a pass holds the model
        return model

    def _settle(self, batch: Batch) -> None:
        """Run once, to find which integers must not be cast, and whether the rows of a batch are mixed.

        Half of the rows, drawn at random, send their derivatives back; the others are asked what they got of them.
        """
        if not self.is_derived and not self._cast_calls:
            return
        asked = np.random.default_rng(0).permutation(len(batch[0])) % 2 == 1
        try:
            found = self._found(batch, asked.astype(float), 1.0 - asked)
        except NotFiniteError:
            return  # which is for the first look to tell
        self.mixes_rows = self._has_derivatives(found, asked)

    def _found(self, batch: Batch, weights: Array, rows: Array) -> Any:
        """What the device returns, with a target scaled as high as it stays finite."""
        tensors = [tf.constant(leaf, spec.dtype) for leaf, spec in zip(batch, self._specs, strict=True)]
        scale = self._target_scale
        while True:
            of_target = tf.constant(scale, tf.float32)
            device, agreements = self._compiled(*tensors, tf.constant(weights), tf.constant(rows), of_target)
            found = self._on_host(device, weights)
            bad = self._bad(found, weights)
            refused = {call for call, agrees in zip(self._cast_calls, agreements, strict=True) if not agrees}
            if refused:
                self._kept_as_integers |= refused
                self._compile()
            elif bad is None:
                self._target_scale = scale
                return found
            elif not self._halves or scale <= 1:
                raise bad
            else:
                scale /= HALF_SCALE_STEP


class LookPass(KerasPass[Seen]):
    """The pass of a look at a batch."""

    watches_noise = True

    def _on_device(self, x: tuple[tf.Tensor, ...], weights: tf.Tensor, forward: Forward, scale: Scale) -> Any:
        def newest(directions: Directions, index: Any) -> tf.Tensor:
            """Derivatives at the newest output step, shape (batch_size, num_lags, num_entries)."""
            return forward.assembled(forward.derivatives(directions, index, scale))

        same_step = None
        if self.mode == "many-to-many":
            same_step = SameStep(self._whole_model(), forward, scale, self._question, **self._how)
            self.same_step = same_step.way
        directions = Directions.of(x, len(self.units), same_step.passes_of_unit if same_step else 1)
        self.num_draws = directions.num_draws
        shape = (x[0].shape[0], *forward.shape)
        if self.num_derivatives > MOST_DERIVATIVES:
            return self._sums(weights, forward, directions, newest, same_step)
        return Rows(
            forward.reached,
            forward.target,
            forward.values,
            () if forward.is_complete else forward.valid,
            in_all_directions(newest, directions, shape),
            () if same_step is None else in_all_directions(same_step, directions, shape),
        )

    def _sums(
        self,
        weights: tf.Tensor,
        forward: Forward,
        directions: Directions,
        newest: Callable[[Directions, Any], tf.Tensor],
        same_step: Callable[[Directions, Any], tf.Tensor] | None,
    ) -> Sums:
        """The sums over wide rows, which are not kept."""
        valid, rows = forward.valid, weights[:, None]
        present = rows[:, :, None] * valid
        shape = (weights.shape[0], *forward.shape)
        per_unit, h = sums_over_directions(newest, directions, present, shape)
        flat = tf.reduce_all(h[..., self._of_inputs(h)] == 0, axis=(1, 2)) & (weights > 0)
        diagonal: Any = ()
        if same_step is not None:
            diagonal, h = sums_over_directions(same_step, directions, present, shape)
        h = tf.reshape((h * valid)[..., self._of_inputs(h)], (shape[0], -1))
        return Sums(
            reached=forward.reached,
            num_samples=tf.math.count_nonzero(weights),
            num_flat=tf.math.count_nonzero(flat),
            weight=tf.reduce_sum(rows),
            weight_squares=tf.reduce_sum(rows**2),
            lag_weights=tf.reduce_sum(present, axis=0),
            derivatives=per_unit,
            same_step=diagonal,
            inputs=power_sums(tf.cast(forward.values, tf.float64), present),
            outputs=power_sums(tf.cast(forward.target, tf.float64), rows),
            squares=product_sums(h, rows),
            output_rows=forward.target,
        )

    def _of_inputs(self, entries: Any) -> slice:
        """Where the entries of the inputs stand; those of the probes follow."""
        return slice(entries.shape[-1] - self.num_probes)

    def _on_host(self, found: Any, weights: Array) -> tuple[Sums, SeenRows | None]:
        """The sums, and the rows that came back."""
        if not isinstance(found, Rows):
            return Sums(*found), None
        present = weights[:, None, None] * (found.valid if len(found.valid) else 1.0)
        of_inputs, are_signs = self._of_inputs(found.values), self.num_draws is not None
        with np.errstate(invalid="ignore", over="ignore"):  # `_bad` says so
            sums = Sums.of(found, weights, present, of_inputs=of_inputs, are_signs=are_signs)
        same_step = found.same_step if len(found.same_step) else None
        return sums, SeenRows(Entries(found.values, present), found.derivatives, same_step)

    def _bad(self, found: tuple[Sums, SeenRows | None], weights: Array) -> NotFiniteError | None:
        sums, rows = found
        # The squares of derivatives, and of outputs, that are not finite would not be either.
        squares = [each[-1] for each in (sums.derivatives, sums.same_step, sums.squares, sums.outputs) if each]
        if all(np.isfinite(each).all() for each in squares):
            return None
        if rows is None:
            derivatives = ~np.isfinite(squares[0]).all(axis=(0, 1))
        else:
            every = [rows.derivatives, *([] if rows.same_step is None else [rows.same_step])]
            derivatives = ~np.all([np.isfinite(each).all(axis=(0, 2)) for each in every], axis=0)
        # Rows that are masked entirely, which may have no output, are refused in other words.
        predictions = ~np.isfinite(sums.output_rows).all(axis=1) & (sums.reached | (weights == 0))
        return NotFiniteError.of(derivatives, np.asarray(predictions), weights)

    def _has_derivatives(self, found: tuple[Sums, SeenRows | None], rows: Array) -> bool:
        return bool(found[0].num_flat < found[0].num_samples)

    def _result(self, found: tuple[Sums, SeenRows | None]) -> tuple[Seen, Array]:
        sums, rows = found
        return Seen(sums.look(self.num_probes), sums.output_rows, rows), sums.reached


class RowPass(KerasPass[Derivatives]):
    """The pass of an explanation: the `Derivatives` of each row."""

    def _on_device(
        self, x: tuple[tf.Tensor, ...], weights: tf.Tensor, forward: Forward, scale: Scale
    ) -> tuple[Derivatives, tf.Tensor]:
        types = [wide(tensor.dtype) for tensor in forward.tensors]

        def derivatives(unit: Any) -> list[tf.Tensor]:
            found = forward.derivatives(directions, unit, scale)
            return [tf.cast(g, kind) for g, kind in zip(found, types, strict=True)]

        num_units = len(self.units)
        directions = Directions(num_units)
        if num_units <= UNROLLED_UNITS:
            units = [derivatives(unit) for unit in range(num_units)]
            gradients = [tf.stack(every, axis=1) for every in zip(*units, strict=True)]
        else:
            looped = tf.map_fn(derivatives, tf.range(num_units), fn_output_signature=types)
            gradients = [tf.transpose(g, (1, 0, *range(2, len(g.shape)))) for g in looped]
        result = Derivatives(
            forward.target,
            tuple(gradients),
            tuple(tf.cast(tensor, kind) for tensor, kind in zip(forward.tensors, types, strict=True)),
            tuple(lags.all_steps for lags in forward.lags),
            tuple(lags.valid > 0 for lags in forward.lags),
        )
        return result, forward.reached

    def _bad(self, found: tuple[Derivatives, Any], weights: Array) -> NotFiniteError | None:
        derivatives, _ = found
        if all(np.isfinite(each).all() for each in (*derivatives.gradients, derivatives.predictions)):
            return None
        of_entries = [
            ~np.isfinite(each.reshape(len(weights), -1, part.num_entries)).all(axis=1)
            for each, part in zip(derivatives.gradients, self.parts, strict=True)
        ]
        predictions = np.asarray(~np.isfinite(derivatives.predictions).all(axis=1))
        return NotFiniteError.of(np.concatenate(of_entries, axis=1), predictions, weights)

    def _has_derivatives(self, found: tuple[Derivatives, Any], rows: Array) -> bool:
        return any(gradients[rows].any() for gradients in found[0].gradients)

    def _result(self, found: tuple[Derivatives, Array]) -> tuple[Derivatives, Array]:
        return found


class InputPass(KerasPass[tuple[Moments, "Entries | None"]]):
    """The pass over background rows: what the entries hold; of the model only what makes them is run."""

    watches_noise, is_derived = True, False

    def _on_device(self, x: tuple[tf.Tensor, ...], weights: tf.Tensor, forward: Forward, scale: Scale) -> Any:
        present = weights[:, None, None] * forward.valid
        rows = (forward.values, present) if self._question.definition.scale == "path" else ()
        sums = power_sums(tf.cast(forward.values, tf.float64), present)
        return forward.reached, tf.reduce_sum(present, axis=0), sums, rows

    def _result(self, found: Any) -> tuple[tuple[Moments, Entries | None], Array]:
        reached, weight, sums, rows = found
        moments = Moments.from_sums(weight, *sums).split(self.num_probes)[0]
        return (moments, Entries(*rows) if rows else None), reached


def _swapped(own: tf.Tensor, other: tf.Tensor, is_other: tf.Tensor) -> tf.Tensor:
    """Rows after each swap, one swap after the other, shape (num_swaps * batch_size, *row_shape)."""
    return tf.reshape(tf.where(is_other[:, None], other[None], own[None]), (-1, *own.shape[1:]))


class SwapPass(KerasPass[Array]):
    """The pass of swaps: all of them beside each other are one batch of the model; no derivative is run.

    Where the model has probes, the rows themselves are in front, whose noise the swapped ones keep.
    """

    is_derived = False

    def _on_device(self, x: tuple[tf.Tensor, ...], weights: tf.Tensor, forward: Forward, scale: Scale) -> Any:
        target = tf.reshape(forward.target, (-1, weights.shape[0], forward.target.shape[1]))
        return target[1:] if self._has_probes else target, forward.reached[: weights.shape[0]]

    @property
    def _has_probes(self) -> bool:
        return any(isinstance(layer, NoiseProbes) for layer in layers(self._whole_model()))

    @property
    def _how(self) -> dict[str, Any]:
        num_swaps = self._specs[-1].shape[0]
        return super()._how | {"copies": 1 + num_swaps if self._has_probes else 1}

    def _rows(self, batch: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
        count = len(batch) // 3
        rows = []
        for own, other, is_other in zip(batch[:count], batch[count : 2 * count], batch[2 * count :], strict=True):
            swapped = _swapped(own, other, is_other)
            rows.append(tf.concat([own, swapped], axis=0) if self._has_probes else swapped)
        return tuple(rows)

    def _result(self, found: tuple[Array, Array]) -> tuple[Array, Array]:
        return found


class LossPass(KerasPass[Array]):
    """The pass of losses: of the rows themselves, and after each swap of entries or of probes.

    What it is called with is described in `keras_sensitivity.networks.network.Network.loss_pass`.
    """

    is_derived = False

    def __init__(self, model: keras.Model, batch: Batch, question: Question) -> None:
        self._row_losses = RowLosses(model)
        super().__init__(model, batch, question)

    def is_current(self, model: keras.Model) -> bool:
        """Whether the model is compiled with the same loss."""
        return self._row_losses.is_of(model)

    def _traced(self, *arguments: tf.Tensor) -> tuple[Any, tuple[tf.Tensor, ...]]:
        """The losses; no integers are cast, as nothing is differentiated."""
        *batch, weights, _, _ = arguments
        self._cast_calls = ()
        count = len(self._question.inputs.leaves)
        own, other, is_other = (batch[start : start + count] for start in range(0, 3 * count, count))
        noise, targets = batch[3 * count], batch[3 * count + 1 :]
        copies = 2 + noise.shape[0]  # the rows, their partners, and what is swapped
        x = [tf.concat([a, b, _swapped(a, b, is_b)], axis=0) for a, b, is_b in zip(own, other, is_other, strict=True)]
        model = self._whole_model()
        with borrowed(model) as loan:
            if self._is_wide:
                widen(model, loan)
            Noise(model, loan, copies, tf.pad(noise, ((2, 0), (0, 0))))
            outputs = tf.nest.flatten(called(model, packed(model, self._question.inputs, tuple(x))))
        num_rows = own[0].shape[0]
        kept = [tf.concat([out[:num_rows], out[2 * num_rows :]], axis=0) for out in outputs]  # without the partners
        repeated = [tf.tile(y, [copies - 1, *[1] * (y.shape.rank - 1)]) for y in targets]
        losses = tf.reshape(self._row_losses(repeated, kept), (copies - 1, num_rows))
        return (losses, tf.ones_like(weights, tf.bool)), ()

    def _on_device(self, x: tuple[tf.Tensor, ...], weights: tf.Tensor, forward: Forward, scale: Scale) -> Any:
        raise NotImplementedError  # nothing is made of a forward pass with derivatives

    def _result(self, found: tuple[Array, Array]) -> tuple[Array, Array]:
        return found
