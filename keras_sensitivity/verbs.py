"""The verbs: `measure` and `explain`, each a readable way from rows to a result, and the mixin of both."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from keras_sensitivity import errors, shares
from keras_sensitivity.definition import Definition
from keras_sensitivity.distribution import measure_dataset
from keras_sensitivity.explanation import Explanation
from keras_sensitivity.features import Block
from keras_sensitivity.flatness import dead_rows
from keras_sensitivity.flips import flips
from keras_sensitivity.importance import Importance
from keras_sensitivity.measurement import Measurement
from keras_sensitivity.moments import Moments
from keras_sensitivity.networks.choice import network_of
from keras_sensitivity.networks.network import Derivatives, Network
from keras_sensitivity.plan import Options, Plan
from keras_sensitivity.records.explanations import write_explanation
from keras_sensitivity.rows.datasets import is_dataset
from keras_sensitivity.rows.randomness import untouched_randomness
from keras_sensitivity.rows.rows import Rows, read
from keras_sensitivity.rows.streams import is_endless, is_stream
from keras_sensitivity.rows.tables import columns_of

__all__ = ["ExplainMixin", "explain", "measure"]

Array = np.ndarray[Any, Any]

# Rows whose values are summed up at one time.
ROWS_AT_A_TIME = 4096


def measure(
    model: keras.Model | Callable[[Any], Any],
    x: Any,
    *,
    sample_weight: Any = None,
    background: Any = None,
    feature_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    exclude: Sequence[str] = (),
    definition: Definition = Definition(),
    num_samples: int | None = None,
    batch_size: int | None = None,
    jit_compile: bool | Literal["auto"] = "auto",
    verbose: int = 0,
) -> Importance:
    """Measure how important each feature is to a model.

    Args:
        model: A built Keras model, or an object that holds one as ``model_`` or ``model``; a saved one, as
            `keras.layers.TFSMLayer` or `tf.saved_model.load` has it. It is not changed. Or any function of rows, such
            as ``forest.predict_proba``, that takes x as it is passed (arrays in floating point) and returns a number,
            or as many for each row: its derivatives are differences, see ``step`` of `Definition`.
        x: Rows as they go into ``model.fit``: array, tensor or DataFrame of shape (num_samples, num_features); array of
            shape (num_samples, num_steps, num_features), or (num_samples, height, width, channels), or
            (num_samples, num_steps, height, width, channels); integers and strings that the model looks up; for
            several inputs a list or dict of these. Or a stream of batches of them: `tf.data.Dataset`,
            `keras.utils.PyDataset` or generator, yielding x, (x, y) or (x, y, sample_weight); the weights of its
            rows weigh the averages. Or a `ray.data.Dataset`, whose rows are measured where they are. Dates are numbers
            of days since 1970-01-01, durations numbers of days. NaN is refused, unless the model makes finite
            predictions of it: it is then left out of what is averaged.
        sample_weight: Of the rows of arrays, shape (num_samples,), in their order: they weigh the averages, so that the
            importance is that of the weighted population. None: all weigh 1. A stream yields its own; of a
            `ray.data.Dataset` the name of a column.
        background: Rows like x that give the scale, the bins and the partners of swaps (see `Definition`), and by which
            it is chosen what "auto" swaps; None: x itself. With the same background, what is measured on segments of
            the rows compares, and merges to what is measured on all.
        feature_names: Shape (num_columns,), in the model's order of inputs. Default: the columns of DataFrames, else
            the names of the inputs, as "price" or "prices/0", else "x0", "x1", ...; for images the position of each
            entry, such as "0,5,1".
        output_names: Names of the output units, such as classes, shape (num_units,), in the model's order. Default:
            "0", "1", ..., of several heads "head" or "head/0".
        groups: Columns that count as one feature, such as the columns of a one-hot code: a dict from a name to
            column names. The importance of a group is the root of the sum of its columns' squares.
        exclude: Names of inputs to leave out, because no derivative reaches them; the model gets them all the same.
        definition: What is differentiated, and how it is scaled.
        num_samples: Rows to measure, a fixed random subset; None: all. A stream is read through once for it; where that
            takes more than 10 seconds, as far as they go. Of generators and streams without end the first rows are
            taken. Both are warned of.
        batch_size: Rows of one pass; None: chosen from the model's size. It changes memory and time only. Of a function
            rows of a call at the most; None: 8,192.
        jit_compile: Whether to compile with XLA; "auto": only on a GPU, where the layers support it.
        verbose: 0: silent. 1: a progress bar, which compiler was chosen and why, how many features are swapped; and of
            tables the importances are compared with those of real changes on 512 rows, which costs as many forward
            passes of these as there are features, up to 64: see `Importance.agreement`.

    Returns:
        The `Importance`: percentages that sum to 100.

    Raises:
        ValueError, TypeError: If an argument, x or the model is not as above; each says what was expected.
        FloatingPointError: If a derivative is NaN or infinite.
        MemoryError: If a batch does not fit into the device's memory.
        RuntimeError: If a stream raises before its end, or on a Keras backend other than TensorFlow.

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
    options = Options(feature_names, groups, exclude, batch_size, jit_compile, output_names)
    options.check(definition, num_samples)
    if is_dataset(x):
        return measure_dataset(
            model,
            x,
            sample_weight=sample_weight,
            background=background,
            definition=definition,
            options=options,
            num_samples=num_samples,
            verbose=verbose,
        )
    with untouched_randomness():
        network = network_of(model, batch_size)
        rows = read(x, network, num_samples=num_samples, weights=sample_weight)
        others = _background(background, x, network)
        measurement = Measurement(network, rows, definition=definition, options=options, background=others)
        if verbose:
            print(f"keras_sensitivity: {measurement.description}", flush=True)
        importance = measurement.look(progress=bool(verbose))
        if verbose:
            importance = measurement.checked(importance)
            _tell_effort(network)
        return importance


def explain(
    model: keras.Model | Callable[[Any], Any],
    x: Any,
    *,
    background: Any = None,
    feature_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    exclude: Sequence[str] = (),
    definition: Definition = Definition(),
    batch_size: int | None = None,
    log_dir: str | os.PathLike[str] | None = None,
    jit_compile: bool | Literal["auto"] = "auto",
    verbose: int = 0,
) -> Explanation:
    """Explain single predictions: how much each feature moves the output near each row of x.

    Args:
        model: As in `measure`. Of a function the derivatives are differences; words and categories have none.
        x: The rows to explain, of the shapes that `measure` takes; one row is ``x[:1]``.
        background: Rows like x, such as the training data, that give the standard deviations for ``scale="path"`` and
            "std", and say which columns have few values and which of these are common (see `Explanation.table`). None:
            x itself; a single row has no standard deviation, so that ``scale`` becomes None, with a warning.
        feature_names: As in `measure`.
        output_names: As in `measure`.
        groups: As in `measure`; the share of a group adds the squares of its columns.
        exclude: As in `measure`.
        definition: What is differentiated, and how it is scaled. Many-to-many models: the newest output step. The
            expansion at a single row is of first order, so shares are made of derivatives, and ``scale="path"`` is
            "std": to first order a path is straight. ``change`` says which features the table flips.
        log_dir: A folder: write TensorBoard pictures and tables of the first 50 rows to ``log_dir/explanations``.
        batch_size: Rows of one pass; None: chosen from the model's size. It changes memory and time only.
        jit_compile: As in `measure`.
        verbose: 0: silent. 1: a progress bar, and which compiler was chosen and why.

    Returns:
        The `Explanation`: percentages that sum to 100 in each row.

    Raises:
        ValueError, TypeError, FloatingPointError, MemoryError, RuntimeError: As `measure`.
        OSError: If ``log_dir`` cannot be written.

    Example:

    >>> import keras, numpy as np, pandas as pd
    >>> import keras_sensitivity as ks
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.set_weights([np.array([[2.0], [-1.0]]), np.zeros(1)])
    >>> train = pd.DataFrame({"income": [0.0, 1.0], "age": [0.0, 2.0]})
    >>> explanation = ks.explain(model, train[:1], background=train)
    >>> explanation.features.round(1)  # (2 * std 0.5)**2 : (-1 * std 1)**2
       income   age
    0    50.0  50.0
    >>> explanation.signs
       income  age
    0     1.0 -1.0
    """
    if log_dir is not None:
        errors.check_folder(log_dir)
    options = Options(feature_names, groups, exclude, batch_size, jit_compile, output_names)
    options.check(definition)
    if is_stream(x) and is_endless(x):
        errors.refuse_endless()
    with untouched_randomness():
        network = network_of(model, batch_size)
        # Of a stream, too, the rows are a part of the result.
        rows = read(x, network, num_samples=sys.maxsize if is_stream(x) else None)
        if not rows.has_one_length:
            errors.refuse_lengths()
        others = _background(background, x, network)
        plan = Plan(
            network.row_pass,
            network,
            rows,
            definition=definition,
            options=options,
            keeps_rows=True,
            background=others,
        )
        is_scaled = isinstance(definition.scale, str)
        if is_scaled and background is None and rows.num_rows == 1:
            is_scaled, definition = False, dataclasses.replace(definition, scale=None)
            errors.warn_single_row()
        if verbose:
            print(f"keras_sensitivity: {plan.description}", flush=True)
        inputs = None
        flipped = flips(network, plan, definition, (others or rows).sample())
        if is_scaled and others is not None:
            inputs = _input_moments(network, others, definition, options)
        derivatives = _collected(plan, progress=bool(verbose))
        if is_scaled and others is None:
            inputs = _moments_of_values(derivatives, plan.blocks, rows.first.row_weights)
        explanation = Explanation(
            derivatives,
            inputs=rows.inputs,
            leaves=rows.entries,
            blocks=plan.blocks,
            features=plan.features,
            units=plan.units,
            scale=shares.scale_of(definition, inputs, plan.features),
            definition=definition,
            frame=x if isinstance(x, pd.DataFrame) else None,
            flips=flipped,
        )
        _warn_of_rows(network, plan, explanation)
        if verbose:
            _tell_effort(network)
    if log_dir is not None:
        write_explanation(explanation, log_dir)
    return explanation


def _tell_effort(network: Network) -> None:
    """Say what it took, where that is worth telling."""
    if network.effort:
        print(f"keras_sensitivity: {network.effort}.", flush=True)


def _background(background: Any, x: Any, network: Network) -> Rows | None:
    """The rows of the background, of the columns of x; None without one."""
    if background is None:
        return None
    errors.check_same_columns("background", columns_of(background), columns_of(x))
    return read(background, network)


def _input_moments(network: Network, rows: Rows, definition: Definition, options: Options) -> Moments:
    """Moments of the entries over rows and steps, shape (num_entries,)."""
    definition = dataclasses.replace(definition, scale="std")  # no single row is asked for
    plan = Plan(network.input_pass, network, rows, definition=definition, options=options)
    return functools.reduce(Moments.merge, (moments.pool(axis=0) for moments, _ in plan.results()))


def _moments_of_values(found: Derivatives, blocks: Sequence[Block], weights: Array) -> Moments:
    """Moments of the entries of the explained rows over rows and steps, shape (num_entries,); a block at a time."""
    parts = []
    for block, values, steps, valid in zip(blocks, found.values, found.steps, found.valid, strict=True):
        moments = Moments.empty((block.num_entries,))
        for start in range(0, len(values), ROWS_AT_A_TIME):
            some = slice(start, start + ROWS_AT_A_TIME)
            present = valid[some] * weights[some, None]  # by lag, as the steps are
            by_lag = values[some].reshape(-1, steps.shape[1], block.num_entries)
            if steps.shape[1] > 1:
                by_lag = np.take_along_axis(by_lag, steps[some][:, :, None], axis=1)
            moments = moments.update(by_lag.reshape(-1, block.num_entries), present.ravel())
        parts.append(moments)
    return Moments.beside(parts)


def _collected(plan: Plan[Derivatives], progress: bool) -> Derivatives:
    """The derivatives of all rows, without those that only fill up the last batch."""
    count, start = plan.rows.num_rows, 0
    every: Derivatives | None = None
    assert count is not None
    for batch in plan.results(progress):
        if every is None:
            every = tf.nest.map_structure(lambda part: np.empty((count, *part.shape[1:]), part.dtype), batch)
        for whole, part in zip(tf.nest.flatten(every), tf.nest.flatten(batch), strict=True):
            whole[start : start + len(part)] = part[: count - start]
        start += len(batch.predictions)
    assert every is not None
    return every


def _warn_of_rows(network: Network, plan: Plan[Derivatives], explanation: Explanation) -> None:
    """Warn of what makes the shares mean something else than they seem to."""
    for warning, *arguments in plan.remarks:
        warning(*arguments)
    words = [name for block in plan.blocks if not block.is_number for name in block.columns]
    if words and network.takes_differences:
        errors.warn_words_without_share(words)
    empty = np.flatnonzero(~explanation.features.any(axis=1).to_numpy())
    if len(empty) and not explanation.scale.any():
        errors.warn_constant()
    elif len(empty):
        _warn_of_flat_rows(network, plan, empty, len(explanation))


def _warn_of_flat_rows(network: Network, plan: Plan[Derivatives], flat: Array, count: int) -> None:
    """Warn of rows at which nothing moves the output, and say why."""
    is_dead = np.ones(len(flat), dtype=bool)
    if plan.traced.activated:
        is_dead = dead_rows(network, plan, tuple(leaf[flat] for leaf in plan.rows.entries))
    if not is_dead.all():
        errors.warn_saturated_rows(flat[~is_dead].tolist(), count)
    if is_dead.any():
        errors.warn_flat_rows(flat[is_dead].tolist(), count)


class ExplainMixin:
    """Makes `explain` and `measure` methods of a model class.

    It stands before `keras.Model` among the bases and has no ``__init__``, so it works with Sequential, functional and
    subclassed models, and is kept when they are saved, loaded and copied. A model whose class is not yours is passed to
    the functions instead, ``ks.explain(model, x)``; so is a clone of a Sequential model, which Keras makes a plain one.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> @keras.saving.register_keras_serializable(package="docs")
    ... class Forecaster(ks.ExplainMixin, keras.Model):
    ...     pass
    >>> inputs = keras.Input((2,))
    >>> model = Forecaster(inputs, keras.layers.Dense(1)(inputs))
    >>> model.explain(np.eye(2)).features.sum(axis=1).round(3).tolist()
    [100.0, 100.0]
    >>> model.measure(np.eye(2)).num_samples
    2
    """

    explain = explain
    measure = measure
