"""`measure`: the whole way from a model and rows to an `Importance`, in one readable function."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import keras

from keras_sensitivity import _checks, _models
from keras_sensitivity._data import Rows, as_rows
from keras_sensitivity._gradients import Layout, suitable_batch_size, traced
from keras_sensitivity.definition import Definition
from keras_sensitivity.importance import Importance
from keras_sensitivity.moments import LookMoments

__all__ = ["Measurement", "check_arguments", "measure"]

# More rows than this whose derivatives are all exactly 0 behind a softmax or sigmoid are worth a warning.
SATURATED_SHARE = 0.05


def measure(
    model: keras.Model,
    x: Any,
    *,
    feature_names: Sequence[str] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    definition: Definition = Definition(),
    num_samples: int | None = None,
    batch_size: int | None = None,
    jit_compile: bool | Literal["auto"] = "auto",
    verbose: int = 0,
) -> Importance:
    """Measure how important each feature is to a model.

    Args:
        model: A built Keras model with one input. It is not changed.
        x: Rows as they go into ``model.fit``: array, tensor or DataFrame of shape (num_samples, num_features); array of
            shape (num_samples, num_steps, num_features), or (num_samples, height, width, channels), or
            (num_samples, num_steps, height, width, channels).
        feature_names: Shape (num_features,). Default: the DataFrame's columns, else "x0", "x1", ...; for images the
            position of each entry, such as "0,5,1".
        groups: Columns that count as one feature, such as the columns of a one-hot code: a dict from a name to
            column names. The importance of a group is the root of the sum of its columns' squares.
        definition: What is differentiated, and how it is scaled.
        num_samples: Rows to measure, a fixed random subset; None: all.
        batch_size: Rows of one pass; None: chosen from the model's size. It changes memory and time only.
        jit_compile: Whether to compile with XLA; "auto": where that is faster.
        verbose: 0: silent. 1: a progress bar, and which compiler was chosen and why.

    Returns:
        The `Importance`: percentages that sum to 100.

    Raises:
        ValueError, TypeError: If an argument, x or the model is not as above; each says what was expected.
        FloatingPointError: If a derivative is NaN or infinite.
        MemoryError: If a batch does not fit into the device's memory.
        RuntimeError: On a Keras backend other than TensorFlow.

    Example:

    >>> import keras, numpy as np, pandas as pd
    >>> import keras_sensitivity as ks
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.set_weights([np.array([[2.0], [1.0]]), np.zeros(1)])
    >>> x = pd.DataFrame({"income": [0.0, 1.0], "age": [0.0, 6.0]})
    >>> ks.measure(model, x).features.round(1).to_dict()  # 2 * std 0.5 : 1 * std 3
    {'income': 25.0, 'age': 75.0}
    >>> ks.measure(model, x, definition=ks.PAPER).features.round(1).to_dict()  # 2 : 1
    {'income': 66.7, 'age': 33.3}
    """
    measurement = Measurement(
        model,
        x,
        feature_names=feature_names,
        groups=groups,
        definition=definition,
        num_samples=num_samples,
        batch_size=batch_size,
        jit_compile=jit_compile,
    )
    if verbose:
        print(f"keras_sensitivity: {measurement.description}", flush=True)
    return measurement.look(progress=bool(verbose))


class Measurement:
    """A model, rows and a traced pass, ready to look as often as wanted; arguments as in `measure`.

    Making one checks everything that can be checked before the first look.
    """

    def __init__(
        self,
        model: keras.Model,
        x: Any,
        *,
        feature_names: Sequence[str] | None,
        groups: Mapping[str, Sequence[str]] | None,
        definition: Definition,
        num_samples: int | None,
        batch_size: int | None,
        jit_compile: bool | Literal["auto"],
    ) -> None:
        _checks.backend()
        check_arguments(definition=definition, num_samples=num_samples, batch_size=batch_size, jit_compile=jit_compile)
        _checks.model(model)
        _checks.codes(_models.code_readers(model))
        self._definition = definition
        self._rows: Rows = as_rows(
            x, model, feature_names=feature_names, groups=groups, num_samples=num_samples, mode=definition.mode
        )
        num_columns = len(self._rows.features.columns)
        if isinstance(definition.scale, tuple):
            _checks.scale_length(len(definition.scale), num_columns)
        self._batch_size = _batch_size(model, self._rows, batch_size)
        first, _ = next(self._rows.batches(self._batch_size))
        layout = Layout(self._rows.num_lags, num_columns)
        self._gradients = traced(model, first, layout, definition, jit_compile)
        self._warned: set[str] = set()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, shape (num_features,)."""
        return self._rows.features.names

    @property
    def description(self) -> str:
        """What a look does, in one line."""
        traced, num_lags = self._gradients, self._rows.num_lags
        steps = f" x {num_lags} lags ({traced.mode})" if num_lags else ""
        diagonal = f"; same-step derivatives: {traced.same_step}" if traced.same_step else ""
        return (
            f"{len(self._rows.entries):,} rows, {len(self.feature_names)} features{steps}, {len(traced.units)} output "
            f"unit(s), batches of {self._batch_size:,}; {traced.compiler}: {traced.reason}{diagonal}."
        )

    def rehearse(self) -> None:
        """Compile and run a look, so that whatever fails does so now; nothing is kept, nothing is warned of."""
        for _ in self._moments(self._rows.batches(self._batch_size)):
            pass

    def look(self, progress: bool = False) -> Importance:
        """Measure the model as it is now."""
        batches = self._rows.batches(self._batch_size)
        if progress:
            batches = _with_progress(batches, self._rows.num_batches(self._batch_size))
        moments = functools.reduce(LookMoments.merge, self._moments(batches))
        importance = Importance(
            moments,
            features=self._rows.features,
            row_shape=self._rows.row_shape,
            num_lags=self._rows.num_lags,
            units=self._gradients.units,
            definition=self._definition,
        )
        self._warn_of_zeros(moments, importance)
        return importance

    def _moments(self, batches: Iterator[tuple[Any, Any]]) -> Iterator[LookMoments]:
        """The moments of each batch; refuses rows that are masked entirely."""
        masked: list[int] = []
        for index, batch in enumerate(batches):
            moments, reached = self._gradients(*batch)
            if not reached.all():
                start = index * self._batch_size
                rows = self._rows.positions[start : start + self._batch_size]
                masked.extend(rows[~reached[: len(rows)]].tolist())
            yield moments
        if masked:
            _checks.masked(masked)

    def _warn_of_zeros(self, moments: LookMoments, importance: Importance) -> None:
        """Warn, once of each, of derivatives that vanish and of importances that are all 0."""
        flat = moments.num_flat / moments.num_samples
        if self._gradients.saturates and flat > SATURATED_SHARE:
            self._warn_once(_checks.saturated, flat)
        elif flat == 1:
            self._warn_once(_checks.ignores_everything)
        elif not importance.features.any():
            self._warn_once(_checks.constant if importance.is_constant.all() else _checks.ignores_newest_step)

    def _warn_once(self, warning: Callable[..., None], *arguments: Any) -> None:
        if warning.__name__ not in self._warned:
            self._warned.add(warning.__name__)
            warning(*arguments)


def _batch_size(model: keras.Model, rows: Rows, asked: int | None) -> int:
    """Rows of a batch: the model's own, where its input has a fixed one, else as asked for, else a suitable one."""
    declared = _models.batch_shape(model)
    if declared is not None and declared[0] is not None:
        _checks.fixed_batch_size(asked, declared[0])
        return declared[0]
    num_rows = len(rows.entries)
    return min(asked or suitable_batch_size(model, num_rows, rows.row_shape), num_rows)


def check_arguments(*, definition: Any, num_samples: Any, batch_size: Any, jit_compile: Any) -> None:
    """Refuse arguments that no model and no rows could make right."""
    _checks.instance("definition", definition, Definition, "pass keras_sensitivity.Definition(...) or PAPER")
    _checks.whole_number("num_samples", num_samples, none="all rows")
    _checks.whole_number("batch_size", batch_size, none="one chosen from the model's size")
    _checks.one_of("jit_compile", jit_compile, ("auto", True, False))


def _with_progress(batches: Iterator[tuple[Any, Any]], count: int) -> Iterator[tuple[Any, Any]]:
    """The same batches, and a progress bar that moves when one is done."""
    bar = keras.utils.Progbar(count, unit_name="batch")
    for index, batch in enumerate(batches):
        yield batch
        bar.update(index + 1, finalize=index + 1 == count)
