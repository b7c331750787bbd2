"""Rows, a network and names, put together once; then batch after batch is run, as often as wanted."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, NamedTuple, NoReturn, TypeVar

import keras
import numpy as np

from keras_sensitivity import errors
from keras_sensitivity.definition import Definition
from keras_sensitivity.features import Block, Features
from keras_sensitivity.networks.network import (
    Batch,
    JitCompile,
    Network,
    NotFiniteError,
    Part,
    Pass,
    Question,
    RowError,
)
from keras_sensitivity.rows.names import default_names
from keras_sensitivity.rows.rows import Rows

__all__ = ["Options", "Plan", "filled_batches", "suitable_batch_size", "with_progress"]

Array = np.ndarray[Any, Any]
R = TypeVar("R")

# Floats that one batch may hold in its activations and derivatives (256 MB in float32), and rows at the most.
BATCH_FLOATS = 2**26
BATCH_ROWS = 2**15

# Steps and columns from which on a sequence that has as many of both may be a picture.
SMALLEST_PICTURE = 8

# Shapes of batches, each of which is traced by itself, that are told.
MANY_LENGTHS = 16

# What float16 holds: the smallest number above 0, and the largest.
HALF_RANGE = 6e-8, 65504.0

# Rows of a batch of a stream at the least, where it yields less at a time and has no known end.
STREAM_ROWS = 1024


class Options(NamedTuple):
    """The arguments that `measure`, `explain` and the callback share; what each means stands there."""

    feature_names: Sequence[str] | None = None
    groups: Mapping[str, Sequence[str]] | None = None
    exclude: Sequence[str] = ()
    batch_size: int | None = None
    jit_compile: bool | Literal["auto"] = "auto"
    output_names: Sequence[str] | None = None

    def check(self, definition: object, num_samples: object = None) -> None:
        """Refuse arguments that no model and no rows could make right."""
        errors.check_instance("definition", definition, Definition, "pass keras_sensitivity.Definition(...) or PAPER")
        errors.check_whole_number("num_samples", num_samples, none="all rows")
        errors.check_whole_number("batch_size", self.batch_size, none="one chosen from the model's size")
        errors.check_one_of("jit_compile", self.jit_compile, ("auto", True, False))
        errors.check_output_names(self.output_names)

    def with_output(self, definition: Definition) -> Definition:
        """The same definition, with an output that is called by a given name called by its index."""
        if isinstance(definition.output, str) and definition.output in (self.output_names or ()):
            return dataclasses.replace(definition, output=list(self.output_names or ()).index(definition.output))
        return definition

    def units(self, definition: Definition, found: tuple[str, ...]) -> tuple[str, ...]:
        """What the measured units are called: as given, else as they were found."""
        if self.output_names is None:
            return found
        names, output = tuple(map(str, self.output_names)), definition.output
        if isinstance(output, int) and output < len(names) > 1:
            names = names[output : output + 1]
        errors.check_num_output_names(names, found)
        return names


class Plan(Generic[R]):
    """A kind of pass over some rows; making one refuses whatever can be refused before the first batch.

    Args:
        kind: A kind of pass of the network, such as ``network.look_pass``.
        network: What is measured.
        rows: The rows.
        definition: What is differentiated.
        options: As in `measure`.
        keeps_rows: Whether the results of single rows are kept, not only sums.
        background: Rows that tell how far values scatter; None: the rows themselves.

    Attributes:
        features: The names of what is measured.
        units: The names of what is differentiated.
        blocks: How the measured tensors are read, in the order of the entries.
        question: What is asked of the network.
        first_batch: A batch, of which all others have the shape.
        most_rows: How many rows the network may be called with at a time.
        traced: The pass, for the network as it was when it was made, or renewed.
    """

    def __init__(
        self,
        kind: Callable[[Batch, Question], Pass[R]],
        network: Network,
        rows: Rows,
        *,
        definition: Definition,
        options: Options,
        keeps_rows: bool = False,
        background: Rows | None = None,
    ) -> None:
        inputs = rows.inputs
        if not isinstance(options.exclude, (tuple, list)) or options.exclude:
            errors.check_excluded(options.exclude, inputs.names)
        jit_compile: JitCompile = options.jit_compile
        definition = options.with_output(definition)
        sample = tuple(leaf[:] for leaf in (background or rows).sample().leaves) if network.takes_differences else None
        self.question = Question(inputs, definition, tuple(options.exclude), jit_compile, rows.has_missing, sample)
        self._kind = kind
        self.rows = rows
        try:
            self._begin(network, options.batch_size, keeps_rows)
        except ValueError as error:
            if not network.insist_on_built_size():
                raise
            try:
                self._begin(network, options.batch_size, keeps_rows)
            except ValueError:
                raise error from None
        self.blocks = [_block(part, rows) for part in self.traced.parts]
        self.units = options.units(definition, self.traced.units)
        self.features = Features.of(self.blocks, options.feature_names, options.groups)
        if isinstance(definition.scale, tuple):
            errors.check_scale_length(len(definition.scale), len(self.features.columns))

    def _begin(self, network: Network, asked: int | None, keeps_rows: bool) -> None:
        """Choose the size of the batches, and make the pass for it."""
        self.most_rows = network.fixed_batch_size or network.most_rows or _most_rows(network, self.rows)
        self.batch_size = _batch_size(network, self.rows, asked, keeps_rows)
        self.first_batch = self.rows.first_batch(self.batch_size)[0]
        with self.naming_rows(0), self.naming_features():
            self.traced = self._kind(self.first_batch, self.question)
        self._of_other_lengths: dict[Any, Pass[R]] = {}

    def _pass_for(self, batch: Batch) -> Pass[R]:
        """The pass for batches of this shape; sequences of another length have one of their own."""
        shapes = tuple(leaf.shape for leaf in batch)
        if shapes == tuple(leaf.shape for leaf in self.first_batch):
            return self.traced
        if shapes not in self._of_other_lengths:
            with self.naming_features():
                self._of_other_lengths[shapes] = self._kind(batch, self.question)
            if len(self._of_other_lengths) == MANY_LENGTHS:
                errors.warn_many_lengths(MANY_LENGTHS)
        return self._of_other_lengths[shapes]

    @property
    def description(self) -> str:
        """What is done, in one line."""
        traced = self.traced
        count = "a stream of" if self.rows.num_rows is None else f"{self.rows.num_rows:,}"
        steps = f" x {traced.num_lags} lags ({traced.mode})" if traced.num_lags else ""
        probes = f" and {traced.num_probes} noise probes" if traced.num_probes else ""
        return (
            f"{count} rows, {len(self.features.names)} features{probes}{steps}, {len(traced.units)} output unit(s), "
            f"batches of {self.batch_size:,}; {traced.description}.{self._pictures}"
        )

    @property
    def _pictures(self) -> str:
        """What is said of a sequence of as many steps as columns: it may be a picture without an axis of channels."""
        sizes = (
            block.num_lags or 0 for block in self.blocks if block.is_number and block.num_lags == len(block.columns)
        )
        size = max(sizes, default=0)
        if size < SMALLEST_PICTURE:
            return ""
        return (
            f" An input of {size} x {size} is read as {size} steps of {size} features; if it is a picture, "
            "Definition(mode='static') measures its pixels."
        )

    @property
    def remarks(self) -> list[tuple[Any, ...]]:
        """What is to be warned of in how the network was read: the warnings, each with its arguments behind it."""
        traced = self.traced
        outside = self._outside_of_halves() if traced.is_half else []
        every = [
            (outside, errors.warn_out_of_range, outside),
            (traced.left_out, errors.warn_left_out, traced.left_out),
            (traced.masking, errors.warn_masking, traced.masking),
            (traced.is_guess, errors.warn_guessed_steps, traced.num_lags),
            (traced.mixes_rows, errors.warn_mixes_rows),
            (traced.is_narrow, errors.warn_narrow),
        ]
        return [tuple(warning) for is_so, *warning in every if is_so]

    def _outside_of_halves(self) -> list[str]:
        """Names of columns of numbers of which float16 makes infinity, or nothing but 0."""
        sample, names = self.rows.sample(), []
        for block in self.blocks:
            leaf = sample.leaves[block.sources[0]] if block.is_number else None
            if leaf is None or leaf.ndim < 2 or leaf.dtype.kind != "f":
                continue
            largest = np.nanmax(np.abs(leaf[:].reshape(-1, len(block.columns))), axis=0, initial=0.0)
            is_outside = (largest > HALF_RANGE[1]) | ((largest < HALF_RANGE[0]) & (largest > 0))
            names += [name for name, outside in zip(block.columns, is_outside, strict=True) if outside]
        return names

    @property
    def num_batches(self) -> int | None:
        """How many batches the rows make; None of a stream."""
        return None if self.rows.num_rows is None else math.ceil(self.rows.num_rows / self.batch_size)

    def take(self, rows: Rows) -> None:
        """Go on with other rows of the same columns."""
        if rows.has_missing and not self.question.has_missing:
            errors.refuse_later_missing()
        if rows.columns != self.rows.columns or rows.dtypes != self.rows.dtypes:
            errors.refuse_other_part((self.rows.columns, self.rows.dtypes), (rows.columns, rows.dtypes))
        self.rows = rows

    def renew(self) -> None:
        """Ask the network for its pass anew: it may have changed since."""
        self._of_other_lengths.clear()
        with self.naming_features():
            before, self.traced = self.traced, self._kind(self.first_batch, self.question)
        if (before.units, before.parts) != (self.traced.units, self.traced.parts):
            errors.refuse_changed_network(before.units, self.traced.units)

    def results(self, progress: bool = False) -> Iterator[R]:
        """What the pass returns for each batch."""
        return (result for _, _, result in self.run(progress))

    def run(self, progress: bool = False) -> Iterator[tuple[Batch, Array, R]]:
        """Each batch, the weights of its rows, and what the pass returns for it.

        Rows that are masked entirely are refused, numbers that are not finite, and weights that are all 0.
        """
        batches: Iterable[tuple[Batch, Array]] = self.rows.batches(self.batch_size)
        if progress:
            batches = with_progress(batches, self.num_batches)
        masked: list[int] = []
        bad: list[NotFiniteError] = []
        weight = 0.0
        for index, (batch, weights) in enumerate(batches):
            try:
                with self.naming_rows(index):
                    result, reached = self._pass_for(batch)(batch, weights)
            except NotFiniteError as found:
                bad.append(found)  # all of them are counted
                continue
            masked += self._masked(reached, weights, index)
            weight += weights.sum()
            yield batch, weights, result
        if masked:
            errors.refuse_masked(masked, are_known=not self._of_other_lengths)
        if bad:
            self._refuse(bad)
        if weight == 0:
            errors.refuse_weightless()

    def rehearse(self) -> None:
        """Run the first rows, which tell already of most of what `results` would refuse; nothing more is read."""
        batch, weights = self.rows.first_batch(self.batch_size)
        with self.naming_features():
            masked = self._masked(self.traced(batch, weights)[1], weights, 0)
        if masked:
            errors.refuse_masked(masked)
        if self.rows.num_rows == len(self.rows.first) and not self.rows.first.row_weights.any():
            errors.refuse_weightless()

    @contextlib.contextmanager
    def naming_rows(self, index: int, batch_size: int | None = None) -> Iterator[None]:
        """Where a network fails at a row of the batch with this index, the error says which row of x that is."""
        try:
            yield
        except RowError as failed:
            row = index * (batch_size or self.batch_size) + failed.row
            position = self.rows.position(min(row, (self.rows.num_rows or row + 1) - 1))
            if isinstance(failed.error, tuple):
                errors.refuse_chance(position, *failed.error)
            errors.refuse_failed_row(position, failed.error)

    @contextlib.contextmanager
    def naming_features(self) -> Iterator[None]:
        """Where numbers of a batch are not finite, the error says of which features."""
        try:
            yield
        except NotFiniteError as found:
            self._refuse([found])

    def _refuse(self, bad: Sequence[NotFiniteError]) -> NoReturn:
        """Refuse numbers that are not finite, counted by feature over some batches."""
        features = getattr(self, "features", None)  # unknown in the very first batch
        rows, are_rows = 0, all(each.derivatives.ndim == 2 for each in bad)
        counts: dict[str, int] = {}
        for each in bad:
            derivatives = np.atleast_2d(each.derivatives)
            rows += int(np.count_nonzero(derivatives.any(axis=1) | each.predictions))
            if features is None:
                continue
            of_features = features.sum(derivatives[:, : len(features.owners)].astype(float)) > 0
            for name, count in zip(features.names, of_features.sum(axis=0).tolist(), strict=True):
                counts[name] = counts.get(name, 0) + count
        errors.refuse_not_finite(
            {name: count for name, count in counts.items() if count},
            num_rows=rows if are_rows else None,
            predictions=sum(int(each.predictions.sum()) for each in bad),
            has_missing=self.question.has_missing,
        )

    def _masked(self, reached: Array, weights: Array, batch: int) -> list[int]:
        """Where rows stand in the user's x that have a weight, and no step that is not masked."""
        lost = np.flatnonzero(~reached & (weights > 0)).tolist()
        return [self.rows.position(batch * self.batch_size + row) for row in lost]


def _block(part: Part, rows: Rows) -> Block:
    """The names of the columns that a measured tensor stands for."""
    leaves = [rows.inputs.leaves[source] for source in part.sources]
    source = "_X_".join(leaf.name for leaf in leaves)
    columns = rows.columns[part.sources[0]]
    if columns is None or part.num_lags is not None or len(columns) != part.num_columns or len(leaves) > 1:
        columns = default_names(source, part.shape if part.keeps_entries else (part.num_columns,))
    return Block(tuple(columns), part.shape, part.num_lags, source, part.sources, part.is_number)


def suitable_batch_size(num_rows: int, floats_per_row: int) -> int:
    """Rows of a batch whose numbers take about 256 MB, in equal batches over all rows.

    >>> suitable_batch_size(100, 1), suitable_batch_size(100, 2**20)
    (100, 50)
    """
    most = max(1, min(BATCH_ROWS, BATCH_FLOATS // max(1, floats_per_row)))
    num_batches = -(-num_rows // most)
    return -(-num_rows // num_batches)


def _most_rows(network: Network, rows: Rows) -> int:
    floats = network.floats_per_row([leaf.shape[1:] for leaf in rows.first.leaves], keeps_rows=False)
    return max(1, BATCH_FLOATS // floats)


def _batch_size(network: Network, rows: Rows, asked: int | None, keeps_rows: bool) -> int:
    """Rows of a batch: the network's own number, where it has one, else as asked for, else a suitable one."""
    fixed = network.fixed_batch_size
    if fixed is not None:
        errors.check_fixed_batch_size(asked, fixed)
        return fixed
    floats = network.floats_per_row([leaf.shape[1:] for leaf in rows.first.leaves], keeps_rows=keeps_rows)
    if rows.num_rows is None:
        return asked or suitable_batch_size(max(STREAM_ROWS, len(rows.first)), floats)
    if asked is not None:
        return min(asked, rows.num_rows)
    size = suitable_batch_size(rows.num_rows, floats)
    # One row is explained now, five the next time: powers of 2, so that few shapes are traced.
    return 2 ** (size - 1).bit_length() if keeps_rows and size == rows.num_rows else size


def filled_batches(rows: Batch, size: int) -> Iterator[Batch]:
    """Rows in batches of one size, the last filled up with copies of the last row."""
    count = len(rows[0])
    for start in range(0, count, size):
        some = np.minimum(np.arange(start, start + size), count - 1)
        yield tuple(leaf[some] for leaf in rows)


def with_progress(batches: Iterable[tuple[Any, Any]], count: int | None) -> Iterator[tuple[Any, Any]]:
    """The same batches, and a progress bar that moves when one is done."""
    bar = keras.utils.Progbar(count, unit_name="batch")
    for index, batch in enumerate(batches):
        yield batch
        bar.update(index + 1, finalize=index + 1 == count)
