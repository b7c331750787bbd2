"""The passes over a function: rows with one entry moved, and rows with entries of others, as few calls as may be."""

from __future__ import annotations

import abc
import math
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from keras_sensitivity import errors
from keras_sensitivity.moments import Moments
from keras_sensitivity.networks.functions.steps import Steps
from keras_sensitivity.networks.network import (
    MOST_DERIVATIVES,
    Batch,
    Derivatives,
    Entries,
    Part,
    Pass,
    Question,
    RowError,
    Seen,
    SeenRows,
)
from keras_sensitivity.networks.row_sums import Rows, Sums

if TYPE_CHECKING:
    from keras_sensitivity.networks.functions.network import FunctionNetwork

__all__ = ["InputPass", "LookPass", "RowPass", "SwapPass"]

Array = np.ndarray[Any, Any]
R = TypeVar("R")


class FunctionPass(Pass[R]):
    """What all passes know of a function.

    Args:
        network: The function's.
        batch: Rows.
        question: What is asked.
    """

    def __init__(self, network: FunctionNetwork, batch: Batch, question: Question) -> None:
        self._network = network
        self._question = question
        if network.calls.units is None:
            network.calls.rehearse(batch)
        every = network.calls.units or ()
        self._unit = errors.check_function_output(question.definition.output, every)
        self.units = every[self._unit]
        self._are_codes = network.are_codes(batch)
        self._steps_of: dict[int, Steps] = {}
        names = question.inputs.names
        kept = [index for index, name in enumerate(names) if name not in question.exclude]
        self.parts = tuple(_part(index, batch[index], question, self._are_codes[index]) for index in kept)
        if self.num_lags is not None:
            self.mode = "many-to-one"

    @property
    def description(self) -> str:
        """How the function is called."""
        if self._question.definition.change == "swap":
            return "a function: no differences, only swaps"
        step = self._question.definition.step
        return f"a function: differences over {step:g} standard deviations on either side"

    def __call__(self, batch: Batch, weights: Array) -> tuple[R, Array]:
        """The result for a batch; every row has every step."""
        return self._result(batch, weights), np.ones(len(weights), bool)

    @abc.abstractmethod
    def _result(self, batch: Batch, weights: Array) -> R:
        """What the caller gets."""

    def _outputs(self, rows: Batch, count: int) -> Array:
        """What is measured of what is returned for copies of a batch, shape (num_copies, batch_size, num_units).

        Args:
            rows: The copies, one behind the other.
            count: The size of the batch.
        """
        try:
            outputs = self._network.calls(rows)[:, self._unit]
        except RowError as failed:
            raise RowError(failed.row % count, failed.error) from failed.cause
        return outputs.reshape(-1, count, outputs.shape[1])

    def _values(self, batch: Batch) -> list[Array]:
        """The numbers of each part, in the order of x, shape (batch_size, num_lags * num_entries)."""
        return [self._numbers(batch, part) for part in self.parts]

    def _numbers(self, batch: Batch, part: Part) -> Array:
        leaf = batch[part.sources[0]].reshape(len(batch[0]), -1)
        if leaf.dtype != object:
            return leaf
        assert self._question.sample is not None
        words = np.unique(self._question.sample[part.sources[0]])
        return np.searchsorted(words, leaf).astype(float)

    def _by_lag(self, arrays: list[Array]) -> Array:
        """Arrays of shape (..., num_lags * num_entries), the newest step first, parts beside each other."""
        most = self.num_lags or 1
        found = []
        for part, array in zip(self.parts, arrays, strict=True):
            lags = array.reshape(*array.shape[:-1], part.num_lags or 1, part.num_entries)[..., ::-1, :]
            missing = most - lags.shape[-2]
            found.append(np.pad(lags, [*[(0, 0)] * (lags.ndim - 2), (0, missing), (0, 0)]))
        return np.concatenate(found, axis=-1)

    def _present(self, values: list[Array]) -> Array:
        """1.0 where a row has an entry, shape (batch_size, num_lags, num_entries)."""
        return self._by_lag([(~np.isnan(each)).astype(float) for each in values])

    def _differences(self, batch: Batch) -> tuple[Array, list[Array]]:
        """What is returned, and of each part the derivatives, shape (num_units, batch_size, num_lags * num_entries).

        A row and all that are moved go into one call, if it may be as large.
        """
        count, moves, widths = len(batch[0]), [], []
        leaves: list[list[Array]] = [[leaf] for leaf in batch]
        for part in self.parts:
            source = part.sources[0]
            for entry in range(0 if self._are_codes[source] else (part.num_lags or 1) * part.num_entries):
                for moved in self._moved(batch[source], part, entry):
                    for index, leaf in enumerate(leaves):
                        leaf.append(moved if index == source else batch[index])
                    moves.append(moved.reshape(count, -1)[:, entry])
        outputs, *after = self._outputs(tuple(map(np.concatenate, leaves)), count)
        slopes = iter(
            _quotient(after[index] - after[index + 1], moves[index] - moves[index + 1])
            for index in range(0, len(after), 2)
        )
        for part in self.parts:
            size = (part.num_lags or 1) * part.num_entries
            if self._are_codes[part.sources[0]]:
                widths.append(np.zeros((len(self.units), count, size)))
            else:
                widths.append(np.stack([next(slopes).T for _ in range(size)], axis=2))
        return outputs, widths

    def _moved(self, leaf: Array, part: Part, entry: int) -> tuple[Array, Array]:
        """An input after a step up of one entry, and after a step down."""
        steps = self._steps(part)
        own = leaf.reshape(len(leaf), -1)[:, entry]
        both = []
        for values in steps.moved(own, entry % part.num_entries):
            copy = leaf.reshape(len(leaf), -1).copy()
            copy[:, entry] = values
            both.append(copy.reshape(leaf.shape))
        return both[0], both[1]

    def _steps(self, part: Part) -> Steps:
        """How far the entries of a part are moved."""
        source = part.sources[0]
        if source not in self._steps_of:
            assert self._question.sample is not None
            rows = np.asarray(self._question.sample[source], float)
            self._steps_of[source] = Steps(rows, part.num_entries, self._question.definition.step)
        return self._steps_of[source]


class LookPass(FunctionPass[Seen]):
    """The pass of a look at a batch; where all features are swapped, nothing is moved."""

    def _result(self, batch: Batch, weights: Array) -> Seen:
        values = self._values(batch)
        if self._question.definition.change == "swap":
            (outputs,) = self._outputs(batch, len(weights))
            gradients = [np.zeros((len(self.units), *each.shape)) for each in values]
        else:
            outputs, gradients = self._differences(batch)
        valid = self._present(values)
        rows = Rows(
            np.ones(len(weights), bool),
            outputs,
            self._by_lag([np.nan_to_num(each, nan=0.0) for each in values]),
            valid,
            self._by_lag(gradients),
            (),
        )
        present = weights[:, None, None] * valid
        sums = Sums.of(rows, weights, present, of_inputs=slice(None), are_signs=False)
        seen = SeenRows(Entries(rows.values, present), rows.derivatives, None)
        return Seen(sums.look(), outputs, seen if self.num_derivatives <= MOST_DERIVATIVES else None)


class RowPass(FunctionPass[Derivatives]):
    """The pass of an explanation."""

    def _result(self, batch: Batch, weights: Array) -> Derivatives:
        outputs, gradients = self._differences(batch)
        count = len(weights)
        shapes = [part.shape if part.num_lags is None else (part.num_lags, *part.shape) for part in self.parts]
        steps = [np.arange(part.num_lags or 1)[::-1] for part in self.parts]
        return Derivatives(
            outputs,
            tuple(
                each.swapaxes(0, 1).reshape(count, len(self.units), *shape)
                for each, shape in zip(gradients, shapes, strict=True)
            ),
            tuple(each.reshape(count, *shape) for each, shape in zip(self._values(batch), shapes, strict=True)),
            tuple(np.tile(each, (count, 1)) for each in steps),
            tuple(np.ones((count, len(each)), bool) for each in steps),
        )


class InputPass(FunctionPass[tuple[Moments, "Entries | None"]]):
    """The pass over background rows, of which nothing is asked."""

    def _result(self, batch: Batch, weights: Array) -> tuple[Moments, Entries | None]:
        values = self._values(batch)
        present = weights[:, None, None] * self._present(values)
        known = self._by_lag([np.nan_to_num(each, nan=0.0) for each in values])
        sums = (present * known).sum(axis=0), (present * np.square(known)).sum(axis=0)
        moments = Moments.from_sums(present.sum(axis=0), np.zeros(known.shape[1:]), *sums)
        return moments, Entries(known, present)


class SwapPass(FunctionPass[Array]):
    """The pass of swaps, all of which go into one call, if it may be as large."""

    def _result(self, batch: Batch, weights: Array) -> Array:
        count = len(self._question.inputs.leaves)
        every = zip(batch[:count], batch[count : 2 * count], batch[2 * count :], strict=True)
        rows = tuple(
            np.where(is_other[:, None], other[None], own[None]).reshape(-1, *own.shape[1:])
            for own, other, is_other in every
        )
        return self._outputs(rows, len(weights))


def _part(index: int, leaf: Array, question: Question, is_code: bool) -> Part:
    """How the axes of an input are read: as Keras models read them."""
    mode, shape = question.definition.mode, leaf.shape[1:]
    num_lags = None
    if mode == "many-to-one" and len(shape) == 1:
        num_lags, shape = shape[0], (1,)
    elif mode != "static" and len(shape) in (2, 4):
        num_lags, shape = shape[0], shape[1:]
    elif len(shape) != 3:
        shape = (math.prod(shape),)
    return Part((index,), shape, num_lags, math.prod(shape), keeps_entries=True, is_number=not is_code)


def _quotient(change: Array, distance: Array) -> Array:
    """The slope of each unit, shape (batch_size, num_units); 0 where nothing could be moved."""
    known = np.isfinite(distance) & (distance != 0)
    return np.where(known[:, None], change, 0.0) / np.where(known, distance, 1.0)[:, None]
