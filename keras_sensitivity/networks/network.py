"""`Network`: all that the package asks of what it measures.

One answer is a live Keras model on TensorFlow (`keras_sensitivity.networks.keras_tf`); whatever else has inputs,
outputs and derivatives of some kind may be another. No other room touches a model.
"""

from __future__ import annotations

import abc
import math
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from keras_sensitivity import errors
from keras_sensitivity.definition import Definition
from keras_sensitivity.look import Look
from keras_sensitivity.moments import Moments
from keras_sensitivity.networks.inputs import Inputs

__all__ = [
    "MOST_DERIVATIVES",
    "Batch",
    "Derivatives",
    "Entries",
    "JitCompile",
    "Network",
    "NotFiniteError",
    "Part",
    "Pass",
    "Question",
    "RowError",
    "Seen",
    "SeenRows",
]

Array = np.ndarray[Any, Any]
Batch = tuple[Array, ...]
JitCompile = bool | str
R = TypeVar("R")


# Derivatives of a row, units x lags x entries, that are put into bins at the most; more would take more than the pass.
MOST_DERIVATIVES = 4096


# Numbers that second derivatives of a batch may be.
MOST_SQUARES = 2**23


class Part(NamedTuple):
    """How the axes of a tensor that is differentiated with respect to are read.

    Attributes:
        sources: The positions of the inputs that it comes from; more than one if they are crossed, none of probes.
        shape: Of a row, without the time axis.
        num_lags: Time steps; None without a time axis.
        num_columns: How many columns of the input the entries stand for, in equal shares.
        keeps_entries: Whether each entry is what one entry of the input, in the same place, was turned into.
        is_number: Whether it is that entry itself, at most cast.
    """

    sources: tuple[int, ...]
    shape: tuple[int, ...]
    num_lags: int | None
    num_columns: int
    keeps_entries: bool
    is_number: bool

    @property
    def is_noise(self) -> bool:
        """Whether it is the noise of probes, not what an input became."""
        return not self.sources

    @property
    def num_entries(self) -> int:
        """Entries of a step, or of the whole row."""
        return math.prod(self.shape)


class Derivatives(NamedTuple):
    """The derivatives of single rows.

    Attributes:
        predictions: What is differentiated, shape (batch_size, num_units).
        gradients: For each part, of each unit at its newest step, shape (batch_size, num_units, *part_shape).
        values: For each part its values, shape (batch_size, *part_shape).
        steps: For each part the time step of each lag, shape (batch_size, num_lags).
        valid: For each part whether the row has the lag, of the same shape.
    """

    predictions: Array
    gradients: tuple[Array, ...]
    values: tuple[Array, ...]
    steps: tuple[Array, ...]
    valid: tuple[Array, ...]


class Entries(NamedTuple):
    """The values of the entries of single rows, by lag; those of probes last.

    Attributes:
        values: Shape (batch_size, num_lags, num_entries).
        weights: Of the rows, 0 where a row has not the lag; broadcastable to the values, float64.
    """

    values: Array
    weights: Array


class SeenRows(NamedTuple):
    """What the look pass saw at single rows; what it says of an entry that a row has not weighs nothing.

    Attributes:
        entries: The values.
        derivatives: Of each unit, shape (num_units, batch_size, num_lags, num_entries); where the sum over the units is
            estimated, of each draw, and the sum of their squares is that of the units.
        same_step: Those of the same step, of the same shape; many-to-many networks only, else None.
    """

    entries: Entries
    derivatives: Array
    same_step: Array | None


class Seen(NamedTuple):
    """What the look pass saw of a batch.

    Attributes:
        look: The sums.
        outputs: What is differentiated, shape (batch_size, num_units).
        rows: The single rows; None for more than `MOST_DERIVATIVES` of a row.
    """

    look: Look
    outputs: Array
    rows: SeenRows | None


class Question(NamedTuple):
    """What is asked of a network: the same question of the same network has the same answer.

    Attributes:
        inputs: What the network is called with.
        definition: What is differentiated.
        exclude: Names of inputs that are not differentiated with respect to.
        jit_compile: Whether to compile with XLA, where there is such a thing; "auto" for what is faster in all.
        has_missing: Whether entries of x may be NaN: nothing is summed up of an entry at a row where it is.
        sample: For each input some rows, that tell how far a network which takes differences has to move it; None for
            others.
    """

    inputs: Inputs
    definition: Definition
    exclude: tuple[str, ...] = ()
    jit_compile: JitCompile = "auto"
    has_missing: bool = False
    sample: Batch | None = None


class RowError(Exception):
    """A network could not be called with a row of a batch.

    Attributes:
        row: Where it stands in the batch.
        error: What was raised, or in words what is wrong with what was returned; or the two things that were returned.
    """

    def __init__(self, row: int, error: Exception | str | tuple[Any, Any]) -> None:
        super().__init__(row, error)
        self.row = row
        self.error = error

    @property
    def cause(self) -> Exception | None:
        """What was raised, if anything was."""
        return self.error if isinstance(self.error, Exception) else None


class NotFiniteError(Exception):
    """A network has numbers at the rows of a batch that are NaN or infinite.

    Attributes:
        derivatives: Whether a derivative is one of them, shape (batch_size, num_entries), those of probes last; of sums
            over rows that are not known one by one, shape (num_entries,).
        predictions: Whether a prediction is, shape (batch_size,).
    """

    def __init__(self, derivatives: Array, predictions: Array) -> None:
        super().__init__(derivatives, predictions)
        self.derivatives = derivatives
        self.predictions = predictions

    @classmethod
    def of(cls, derivatives: Array, predictions: Array, weights: Array) -> NotFiniteError | None:
        """What is to be raised; None if all is finite. Rows without a weight count only if no other is bad."""
        counted = weights > 0
        of_rows = derivatives & counted[:, None] if derivatives.ndim == 2 else derivatives
        if of_rows.any() or (predictions & counted).any():
            return cls(of_rows, predictions & counted)
        return cls(derivatives, predictions) if derivatives.any() or predictions.any() else None


class Pass(abc.ABC, Generic[R]):
    """A network made ready for batches of one shape: call it on a batch, get what this kind of pass returns for it.

    Attributes:
        units: Names of the output units, shape (num_units,).
        parts: What is differentiated with respect to, in the order of the entries.
        mode: "static", "many-to-one", "many-to-many" or "all-steps".
        is_guess: Whether it cannot be known if the steps of the output are those of the input, and the mode is a guess.
        num_probes: How many entries of noise are measured beside the parts.
        activated: Of each head that is a softmax or sigmoid, which saturates, the positions of its units.
        left_out: The outputs that have no derivatives, by name, and why.
        num_draws: Random signs of a row by which the sum over the units is estimated; None where each unit is measured.
        masking: Names of inputs without derivatives that only say which entries of others count; they are left out.
        is_masked: Whether the lags of some rows count back from another step than the last.
        is_half: Whether the network computes in float16 anywhere, though looks may not.
        is_narrow: Whether it computes in less than float32.
        makes_masks: Whether layers make masks, so that a row may be masked entirely, and have no output.
        mixes_rows: Whether a row's output depends on other rows of its batch; None if that is not known.
    """

    units: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    mode: str = "static"
    is_guess: bool = False
    num_probes: int = 0
    activated: Mapping[str, Sequence[int]] = types.MappingProxyType({})
    left_out: Mapping[str, str] = types.MappingProxyType({})
    num_draws: int | None = None
    masking: tuple[str, ...] = ()
    is_masked: bool = False
    is_half: bool = False
    is_narrow: bool = False
    makes_masks: bool = False
    mixes_rows: bool | None = None

    @abc.abstractmethod
    def __call__(self, batch: Batch, weights: Array) -> tuple[R, Array]:
        """The result for a batch, and whether each row has a step that is not masked.

        Args:
            batch: For each input an array of shape (batch_size, ...), of the shapes and types the pass was made for.
            weights: Of the rows, shape (batch_size,).
        """

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """How it is run, in a few words."""

    @property
    def num_lags(self) -> int | None:
        """The most time steps of any input; None without a time axis."""
        return max((part.num_lags for part in self.parts if part.num_lags is not None), default=None)

    @property
    def num_derivatives(self) -> int:
        """Of a row: units (one, where their sum is estimated) x lags x entries, those of probes, too."""
        entries = sum(part.num_entries for part in self.parts) + self.num_probes
        return (len(self.units) if self.num_draws is None else 1) * (self.num_lags or 1) * entries


class Network(abc.ABC):
    """What is measured: it has inputs, takes batches of rows up to some size, and has derivatives of some kind.

    Attributes:
        takes_differences: Whether its derivatives are differences, which cost more than real changes do.
        most_rows: How many rows it may be called with at a time; None: as its `floats_per_row` allows.
    """

    takes_differences = False
    most_rows: int | None = None

    @property
    def effort(self) -> str:
        """What it took so far, in a few words, where that is worth telling."""
        return ""

    @abc.abstractmethod
    def inputs(self, x: Any) -> Inputs:
        """The inputs as the network declares them, or as they are found in x, some rows."""

    @abc.abstractmethod
    def batch_types(self, inputs: Inputs, rows: Batch) -> tuple[str, ...]:
        """For each input the type that its batches are cast to; "string" for text.

        Args:
            inputs: The inputs.
            rows: Some rows of each, as they come.
        """

    def handles_missing(self, inputs: Inputs, batches: Iterable[Batch]) -> bool:
        """Whether the network makes finite numbers of rows with NaN; one that does not say so, does not.

        Args:
            inputs: The inputs.
            batches: Rows that have NaN, of one shape, in the types of the batches of the inputs.
        """
        return False

    @property
    @abc.abstractmethod
    def fixed_batch_size(self) -> int | None:
        """How many rows every batch must have; None if any number will do, as far as is known."""

    def insist_on_built_size(self) -> bool:
        """Take the size of the batch that the network was built on for the only one; whether that is another try."""
        return False

    @abc.abstractmethod
    def floats_per_row(self, row_shapes: list[tuple[int, ...]], *, keeps_rows: bool) -> int:
        """About how many numbers a row takes while its derivatives are made; an estimate never raises."""

    def num_passes(self, definition: Definition) -> int:
        """About how many passes, forward and backward, a look takes; an estimate never raises."""
        return 2

    @abc.abstractmethod
    def look_pass(self, batch: Batch, question: Question) -> Pass[Seen]:
        """A pass that sums up the derivatives of a batch, and for ``scale="path"`` returns them."""

    @abc.abstractmethod
    def row_pass(self, batch: Batch, question: Question) -> Pass[Derivatives]:
        """A pass that returns the derivatives of single rows."""

    @abc.abstractmethod
    def input_pass(self, batch: Batch, question: Question) -> Pass[tuple[Moments, Entries | None]]:
        """A pass that sums up the values of what would be differentiated with respect to; for "path", returns them.

        The moments have the shape (num_lags, num_entries), without probes.
        """

    @abc.abstractmethod
    def swap_pass(self, batch: Batch, question: Question) -> Pass[Array]:
        """A pass that returns what would be differentiated of rows some of whose entries are those of other rows.

        Args:
            batch: For each input some rows; then for each as many other rows; then for each, swap by swap, whether an
                entry is that of the other row, shape (num_swaps, *row_shape), bool.
            question: As for any pass.

        Returns:
            The pass, which returns numbers of shape (num_swaps, batch_size, num_units).
        """

    # --- second derivatives, of networks that have any ----------------------------------------------------------------

    def rows_of_curvature(self, inputs: Inputs, batch: Batch) -> int:
        """How many rows a batch of second derivatives should have."""
        size: int = sum(max(1, math.prod(leaf.shape[1:])) for leaf in batch)
        return max(1, MOST_SQUARES // (size * size))

    def curvature_pass(self, batch: Batch, question: Question) -> Pass[Array]:
        """A pass that returns the squared second derivatives of each row, summed over the units.

        Of shape (batch_size, num_lags, num_entries, num_lags, num_entries).
        """
        errors.refuse_second_derivatives()

    # --- labels, of networks that have a loss -------------------------------------------------------------------------

    def targets(self, y: Any) -> tuple[Array, ...]:
        """The labels of each output, as arrays; refuses what the network has no loss for."""
        errors.refuse_labels_without_loss()

    def loss_pass(self, batch: Batch, question: Question) -> Pass[Array]:
        """A pass that returns the loss of each row, before and after swaps.

        Args:
            batch: As for `swap_pass`; then, swap by swap, whether a probe has the noise of the other row, shape
                (num_swaps, num_probes), bool; then the labels of each output.
            question: As for any pass.

        Returns:
            The pass, which returns numbers of shape (1 + num_swaps, batch_size).
        """
        errors.refuse_labels_without_loss()

    def row_losses(self, x: Any, y: Any) -> Array:
        """The loss of each row of x, shape (num_rows,), without what layers add, such as penalties."""
        errors.refuse_labels_without_loss()
