"""A model, rows and a traced pass: everything that can be checked is checked, then batch after batch is run."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from keras_sensitivity import _checks, _models
from keras_sensitivity._data import Rows, as_rows
from keras_sensitivity._gradients import UNROLLED_UNITS, Pass
from keras_sensitivity._tracing import JitCompile, Layout
from keras_sensitivity.definition import Definition

__all__ = ["Run", "check_arguments", "suitable_batch_size"]

# Floats that one batch may hold in its activations and derivatives (256 MB in float32), and rows at the most.
BATCH_FLOATS = 2**26
BATCH_ROWS = 2**15


class Run:
    """Rows of x, and a pass of some kind over the model; arguments as in `measure`.

    Making one refuses whatever can be refused before the first batch.

    Attributes:
        rows: The `Rows` to run.
        traced: The pass.
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
        num_samples: int | None = None,
        batch_size: int | None = None,
        jit_compile: JitCompile = "auto",
    ) -> None:
        _checks.backend()
        check_arguments(definition=definition, num_samples=num_samples, batch_size=batch_size, jit_compile=jit_compile)
        _checks.model(model)
        _checks.codes(_models.code_readers(model))
        self.rows: Rows = as_rows(
            x, model, feature_names=feature_names, groups=groups, num_samples=num_samples, mode=definition.mode
        )
        num_columns = len(self.rows.features.columns)
        if isinstance(definition.scale, tuple):
            _checks.scale_length(len(definition.scale), num_columns)
        self._batch_size = _batch_size(model, self.rows, batch_size, kind.keeps_rows)
        first, _ = next(self.rows.batches(self._batch_size))
        layout = Layout(self.rows.num_lags, num_columns)
        self.traced: Any = kind.of(model, first, layout=layout, definition=definition, jit_compile=jit_compile)

    @property
    def description(self) -> str:
        """What is done, in one line."""
        traced, features, num_lags = self.traced, self.rows.features.names, self.rows.num_lags
        steps = f" x {num_lags} lags ({traced.mode})" if num_lags else ""
        diagonal = f"; same-step derivatives: {traced.same_step}" if traced.same_step else ""
        return (
            f"{len(self.rows.entries):,} rows, {len(features)} features{steps}, {len(traced.units)} output "
            f"unit(s), batches of {self._batch_size:,}; {traced.compiler}: {traced.reason}{diagonal}."
        )

    def results(self, progress: bool = False) -> Iterator[Any]:
        """What the pass returns for each batch; refuses rows that are masked entirely."""
        batches = self.rows.batches(self._batch_size)
        if progress:
            batches = _with_progress(batches, self.rows.num_batches(self._batch_size))
        masked: list[int] = []
        for index, batch in enumerate(batches):
            result, reached = self.traced(*batch)
            if not reached.all():
                start = index * self._batch_size
                rows = self.rows.positions[start : start + self._batch_size]
                masked.extend(rows[~reached[: len(rows)]].tolist())
            yield result
        if masked:
            _checks.masked(masked)


def check_arguments(*, definition: Any, num_samples: Any, batch_size: Any, jit_compile: Any) -> None:
    """Refuse arguments that no model and no rows could make right."""
    _checks.instance("definition", definition, Definition, "pass keras_sensitivity.Definition(...) or PAPER")
    _checks.whole_number("num_samples", num_samples, none="all rows")
    _checks.whole_number("batch_size", batch_size, none="one chosen from the model's size")
    _checks.one_of("jit_compile", jit_compile, ("auto", True, False))


def suitable_batch_size(
    model: keras.Model, num_rows: int, row_shape: tuple[int, ...], most_units: int = UNROLLED_UNITS
) -> int:
    """Rows of a batch whose activations and derivatives take about 256 MB, in equal batches over all rows.

    Derivatives of up to ``most_units`` units are alive at once.
    """
    widths: int = sum(variable.shape[-1] for variable in model.trainable_variables if variable.shape)
    outputs = [tensor.shape[-1] or 1 for tensor in getattr(model, "outputs", None) or [] if len(tensor.shape) > 1]
    units = min(most_units, sum(outputs) or UNROLLED_UNITS)
    # Derivatives are float64; activations have their gradients.
    floats_per_row = 2 * (units + 2) * math.prod(row_shape) + 2 * math.prod(row_shape[:-1]) * widths
    most = max(1, min(BATCH_ROWS, BATCH_FLOATS // floats_per_row))
    num_batches = -(-num_rows // most)
    return -(-num_rows // num_batches)


def _batch_size(model: keras.Model, rows: Rows, asked: int | None, keeps_rows: bool) -> int:
    """Rows of a batch: the model's own, where its input has a fixed one, else as asked for, else a suitable one."""
    declared = _models.batch_shape(model)
    if declared is not None and declared[0] is not None:
        _checks.fixed_batch_size(asked, declared[0])
        return declared[0]
    num_rows = len(rows.entries)
    most_units = sys.maxsize if keeps_rows else UNROLLED_UNITS
    size = min(asked or suitable_batch_size(model, num_rows, rows.row_shape, most_units), num_rows)
    # One row is explained now, five the next time: powers of 2, so that few shapes are traced.
    return 2 ** (num_rows - 1).bit_length() if keeps_rows and size == num_rows else size


def _with_progress(batches: Iterator[tuple[Any, Any]], count: int) -> Iterator[tuple[Any, Any]]:
    """The same batches, and a progress bar that moves when one is done."""
    bar = keras.utils.Progbar(count, unit_name="batch")
    for index, batch in enumerate(batches):
        yield batch
        bar.update(index + 1, finalize=index + 1 == count)
