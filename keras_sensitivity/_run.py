"""A model, rows and a traced pass: everything that can be checked is checked, then batch after batch is run."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_sensitivity import _checks
from keras_sensitivity._data import Rows, default_names, read
from keras_sensitivity._features import Block, Features
from keras_sensitivity._gradients import UNROLLED_UNITS, Pass
from keras_sensitivity._parts import Part
from keras_sensitivity._tracing import JitCompile
from keras_sensitivity.definition import Definition

__all__ = ["Run", "check_arguments", "suitable_batch_size"]

# Floats that one batch may hold in its activations and derivatives (256 MB in float32), and rows at the most.
BATCH_FLOATS = 2**26
BATCH_ROWS = 2**15

# Rows of a batch of a stream at the least, where it yields less at a time and has no known end.
STREAM_ROWS = 1024


class Run:
    """Rows of x, and a pass of some kind over the model; arguments as in `measure`.

    Making one refuses whatever can be refused before the first batch.

    Attributes:
        rows: The `Rows` to run.
        traced: The pass.
        blocks: How the measured tensors are read, in the order of the entries.
        features: The names.
    """

    def __init__(
        self,
        kind: type[Pass],
        model: keras.Model,
        x: Any,
        *,
        definition: Definition,
        feature_names: Sequence[str] | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
        exclude: Sequence[str] = (),
        num_samples: int | None = None,
        batch_size: int | None = None,
        jit_compile: JitCompile = "auto",
    ) -> None:
        _checks.backend()
        check_arguments(definition=definition, num_samples=num_samples, batch_size=batch_size, jit_compile=jit_compile)
        _checks.model(model)
        self.rows: Rows = read(x, model, num_samples)
        inputs = self.rows.inputs
        if exclude:
            _checks.excluded(exclude, inputs.names)
        first = self.rows.first()
        self._batch_size = _batch_size(model, self.rows, [leaf.shape for leaf in first.leaves], batch_size, kind)
        batch, _ = next(self.rows.batches(self._batch_size))
        self.traced: Any = kind.of(
            model, batch, inputs=inputs, definition=definition, jit_compile=jit_compile, exclude=exclude
        )
        self.blocks = [_block(part, self.rows) for part in self.traced.parts]
        self.features = Features.of(self.blocks, feature_names, groups)
        if isinstance(definition.scale, tuple):
            _checks.scale_length(len(definition.scale), len(self.features.columns))

    @property
    def description(self) -> str:
        """What is done, in one line."""
        traced = self.traced
        count = "a stream of" if self.rows.num_rows is None else f"{self.rows.num_rows:,}"
        steps = f" x {traced.num_lags} lags ({traced.mode})" if traced.num_lags else ""
        diagonal = f"; same-step derivatives: {traced.same_step}" if traced.same_step else ""
        probes = f" and {traced.num_probes} noise probes" if traced.num_probes else ""
        return (
            f"{count} rows, {len(self.features.names)} features{probes}{steps}, {len(traced.units)} output unit(s), "
            f"batches of {self._batch_size:,}; {traced.compiler}: {traced.reason}{diagonal}."
        )

    def results(self, progress: bool = False) -> Iterator[Any]:
        """What the pass returns for each batch; refuses rows that are masked entirely, and weights that are all 0."""
        batches = self.rows.batches(self._batch_size)
        if progress:
            num_rows = self.rows.num_rows
            batches = _with_progress(batches, None if num_rows is None else math.ceil(num_rows / self._batch_size))
        masked: list[int] = []
        weight = 0.0
        for index, (batch, weights) in enumerate(batches):
            result, reached = self.traced(batch, weights)
            lost = np.flatnonzero(~reached & (weights > 0)).tolist()
            masked += [self.rows.position(index * self._batch_size + row) for row in lost]
            weight += weights.sum()
            yield result
        if masked:
            _checks.masked(masked)
        if weight == 0:
            _checks.weightless()


def _block(part: Part, rows: Rows) -> Block:
    """The names of the columns that a measured tensor stands for."""
    leaves = [rows.inputs.leaves[source] for source in part.sources]
    source = "_X_".join(leaf.name for leaf in leaves)
    columns = rows.columns[part.sources[0]]
    if columns is None or part.num_lags is not None or len(columns) != part.num_columns or len(leaves) > 1:
        columns = default_names(source, part.shape if part.is_number else (part.num_columns,))
    return Block(tuple(columns), part.shape, part.num_lags, source, part.sources, part.is_number)


def check_arguments(*, definition: Any, num_samples: Any, batch_size: Any, jit_compile: Any) -> None:
    """Refuse arguments that no model and no rows could make right."""
    _checks.instance("definition", definition, Definition, "pass keras_sensitivity.Definition(...) or PAPER")
    _checks.whole_number("num_samples", num_samples, none="all rows")
    _checks.whole_number("batch_size", batch_size, none="one chosen from the model's size")
    _checks.one_of("jit_compile", jit_compile, ("auto", True, False))


def suitable_batch_size(
    model: keras.Model,
    num_rows: int,
    row_shapes: Sequence[tuple[int, ...]],
    most_units: int = UNROLLED_UNITS,
) -> int:
    """Rows of a batch whose activations and derivatives take about 256 MB, in equal batches over all rows.

    Derivatives of up to ``most_units`` units are alive at once.
    """
    widths: int = sum(variable.shape[-1] for variable in model.trainable_variables if variable.shape)
    outputs = [tensor.shape[-1] or 1 for tensor in getattr(model, "outputs", None) or [] if len(tensor.shape) > 1]
    units = min(most_units, sum(outputs) or UNROLLED_UNITS)
    # Derivatives are float64; activations have their gradients.
    positions = max(math.prod(shape[:-1]) for shape in row_shapes)
    floats_per_row = 2 * (units + 2) * sum(map(math.prod, row_shapes)) + 2 * positions * widths
    most = max(1, min(BATCH_ROWS, BATCH_FLOATS // floats_per_row))
    num_batches = -(-num_rows // most)
    return -(-num_rows // num_batches)


def _batch_size(
    model: keras.Model, rows: Rows, shapes: Sequence[tuple[int, ...]], asked: int | None, kind: type[Pass]
) -> int:
    """Rows of a batch: the model's own, where its input has a fixed one, else as asked for, else a suitable one."""
    declared = rows.inputs.leaves[0].shape
    if declared is not None and declared[0] is not None:
        _checks.fixed_batch_size(asked, declared[0])
        return declared[0]
    most_units = sys.maxsize if kind.keeps_rows else UNROLLED_UNITS
    row_shapes = [shape[1:] for shape in shapes]
    num_rows = rows.num_rows
    if num_rows is None:
        return asked or suitable_batch_size(model, max(STREAM_ROWS, shapes[0][0]), row_shapes, most_units)
    size = min(asked or suitable_batch_size(model, num_rows, row_shapes, most_units), num_rows)
    # One row is explained now, five the next time: powers of 2, so that few shapes are traced.
    return 2 ** (num_rows - 1).bit_length() if kind.keeps_rows and size == num_rows else size


def _with_progress(batches: Iterator[tuple[Any, Any]], count: int | None) -> Iterator[tuple[Any, Any]]:
    """The same batches, and a progress bar that moves when one is done."""
    bar = keras.utils.Progbar(count, unit_name="batch")
    for index, batch in enumerate(batches):
        yield batch
        bar.update(index + 1, finalize=index + 1 == count)
