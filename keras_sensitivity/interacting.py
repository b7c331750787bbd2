"""`interactions`: which features act together, by real changes, or by second derivatives."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from keras_sensitivity import errors, shares
from keras_sensitivity.definition import Definition
from keras_sensitivity.interaction import Interactions, PairTable
from keras_sensitivity.moments import Moments
from keras_sensitivity.networks.choice import network_of
from keras_sensitivity.networks.network import Network
from keras_sensitivity.plan import Options, Plan
from keras_sensitivity.rows.randomness import untouched_randomness
from keras_sensitivity.rows.rows import Rows, read
from keras_sensitivity.rows.streams import is_endless, is_stream
from keras_sensitivity.screening import bounds
from keras_sensitivity.second_differences import Members, second_differences
from keras_sensitivity.swaps import check_swaps, columns_by_feature, columns_by_lag

__all__ = ["interactions"]

Array = np.ndarray[Any, Any]

# Pairs that are measured at the most, those of 50 features; of more, those that screening leaves.
MOST_PAIRS = 1225

# Rows by which pairs are screened: by derivatives, and of functions, which have none, by the second differences.
SCREENING_ROWS, PILOT_ROWS = 512, 64


def interactions(
    model: Any,
    x: Any,
    *,
    sample_weight: Any = None,
    feature_names: Sequence[str] | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    exclude: Sequence[str] = (),
    definition: Definition = Definition(),
    order: Literal["swap", "derivative"] = "swap",
    num_samples: int | None = 1024,
    batch_size: int | None = None,
    jit_compile: bool | Literal["auto"] = "auto",
    verbose: int = 0,
) -> Interactions:
    """Find out which features act together: how much of the output's variance each pair moves jointly.

    By real changes, each pair costs a forward pass over the rows, so p features cost about ``p**2 / 2`` of them. Of
    more than 1,225 pairs (50 features) those are measured that can interact most: what bounds them is found first, with
    one forward and backward pass a feature over 512 rows; of functions that are no Keras model, by the pairs themselves
    on 64 rows. `Interactions.screened` says what was left out.

    Args:
        model: As in `measure`: a Keras model, or any function of rows.
        x: As in `measure`.
        sample_weight: As in `measure`.
        feature_names: As in `measure`.
        groups: As in `measure`: the columns of a group are swapped together.
        exclude: As in `measure`.
        definition: Whose ``output``, ``logits`` and ``mode`` say what is looked at; with ``order="derivative"`` also
            its ``scale``, where "path" is "std".
        order: "swap": by real changes, which is right for every network. "derivative": by second derivatives, the
            paper's own second order, of smooth networks; one of straight pieces, such as ReLU, has none, and is
            refused.
        num_samples: Rows to measure, a fixed random subset; None: all. Their standard error falls with its root.
        batch_size: As in `measure`.
        jit_compile: As in `measure`.
        verbose: 0: silent. 1: a progress bar, and what was screened out.

    Returns:
        The `Interactions`: a table of features by features, and for sequences one of lags by lags.

    Raises:
        ValueError, TypeError, FloatingPointError, MemoryError, RuntimeError: As `measure`; also if second derivatives
            are asked of a network of straight pieces, or of a function.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> class Product(keras.layers.Layer):
    ...     def call(self, x):
    ...         return x[:, :1] * x[:, 1:2] + x[:, 2:]
    >>> model = keras.Sequential([keras.Input((3,)), Product()])
    >>> x = np.random.default_rng(0).choice([-1.0, 1.0], size=(2000, 3))
    >>> ks.interactions(model, x, num_samples=None).table.round(0)  # half of the variance is x0 * x1, about
          x0    x1    x2
    x0  50.0  51.0   0.0
    x1  51.0  51.0   0.0
    x2   0.0   0.0  50.0
    """
    options = Options(feature_names, groups, exclude, batch_size, jit_compile)
    options.check(definition, num_samples)
    errors.check_one_of("order", order, ("swap", "derivative"))
    if is_stream(x) and is_endless(x) and num_samples is None:
        errors.refuse_endless()
    with untouched_randomness():
        network = network_of(model, batch_size)
        if num_samples is None and is_stream(x):
            num_samples = sys.maxsize  # of a stream, too, the rows swap among themselves
        rows = read(x, network, num_samples=num_samples, weights=sample_weight)
        if not rows.has_one_length:
            errors.refuse_lengths()
        kind = _by_swaps if order == "swap" else _by_derivatives
        found = kind(network, rows, definition, options, bool(verbose))
        if verbose and network.effort:
            print(f"keras_sensitivity: {network.effort}.", flush=True)
    return found


class _Task(NamedTuple):
    """What is asked of which network.

    Attributes:
        network: The network.
        plan: Of its inputs.
        options: As in `measure`.
        verbose: Whether there is a bar.
    """

    network: Network
    plan: Plan[Any]
    options: Options
    verbose: bool


def _by_swaps(network: Network, rows: Rows, definition: Definition, options: Options, verbose: bool) -> Interactions:
    """By real changes, of the pairs that can interact most."""
    definition = dataclasses.replace(definition, change="swap", scale="std")
    plan = Plan(network.input_pass, network, rows, definition=definition, options=options)
    check_swaps(definition, plan.blocks, plan.features)
    task = _Task(network, plan, options, verbose)
    by_feature = columns_by_feature(plan.blocks, plan.features)
    by_lag = () if plan.traced.is_masked else columns_by_lag(plan.blocks)
    return Interactions(
        _pairs(task, by_feature, lambda each: plan.features.sum(each).sum(axis=0)),
        names=plan.features.names,
        lags=_pairs(task, by_lag, lambda each: each.sum(axis=1)) if by_lag else None,
        order="swap",
        definition=definition,
        units=plan.units,
        num_samples=len(rows.first),
    )


def _pairs(task: _Task, members: Sequence[Members], shared_out: Callable[[Array], Array]) -> PairTable:
    """The table of some features, or lags, given by their columns."""
    count = len(members)
    known = [index for index, columns in enumerate(members) if columns]
    own = [members[index] for index in known]
    pairs = np.array(list(itertools.combinations(range(len(known)), 2)), int).reshape(-1, 2)
    values, standard_errors, most = np.full((3, count, count), np.nan)
    if len(pairs) > MOST_PAIRS:
        screened = _screened(task, own, lambda each: shared_out(each)[known])
        most[np.ix_(known, known)] = screened
        largest = np.argsort(-screened[tuple(pairs.T)], kind="stable")
        if task.verbose:
            bound = screened[tuple(pairs[largest[MOST_PAIRS]])]
            print(
                f"keras_sensitivity: of {len(pairs):,} pairs {MOST_PAIRS:,} are measured; the others move at most "
                f"about {bound:.2g} % of the output's variance each.",
                flush=True,
            )
        pairs = pairs[np.sort(largest[:MOST_PAIRS])]
    first, second = pairs.T
    chosen = list(zip(first.tolist(), second.tolist(), strict=True))
    indices = second_differences(
        task.network, task.plan, task.plan.rows, members=own, pairs=chosen, progress=task.verbose
    )
    first, second = np.array(known)[pairs].T
    for table, part in zip((values, standard_errors), (0, 1), strict=True):
        table[known, known] = indices.total[part]
        table[first, second] = table[second, first] = indices.joint[part]
    return PairTable(values, standard_errors, most)


def _screened(task: _Task, members: Sequence[Members], shared_out: Callable[[Array], Array]) -> Array:
    """What each pair can move at the most, about; of functions, what it moves on a few rows."""
    network, plan = task.network, task.plan
    count = min(PILOT_ROWS if network.takes_differences else SCREENING_ROWS, len(plan.rows.first))
    batch, chunk = plan.rows.some(count)
    some = dataclasses.replace(plan.rows, first=chunk, chunks=lambda: iter([chunk]), num_rows=count)
    if not network.takes_differences:
        definition = plan.question.definition
        of_rows = Plan(network.row_pass, network, some, definition=definition, options=task.options, keeps_rows=True)
        return bounds(of_rows, batch, chunk, members, shared_out)
    pairs = list(itertools.combinations(range(len(members)), 2))
    found = np.zeros((len(members), len(members)))
    first, second = np.array(pairs).T
    found[first, second] = second_differences(network, plan, some, members=members, pairs=pairs).joint[0]
    return found + found.T


def _by_derivatives(
    network: Network, rows: Rows, definition: Definition, options: Options, verbose: bool
) -> Interactions:
    """By second derivatives, each row's own, summed over the units."""
    if definition.scale == "path":
        definition = dataclasses.replace(definition, scale="std")
    if options.batch_size is None:
        options = options._replace(batch_size=network.rows_of_curvature(rows.inputs, rows.first_batch(1)[0]))
    plan = Plan(network.curvature_pass, network, rows, definition=definition, options=options)
    inputs: Moments | None = None
    for moments, _ in Plan(network.input_pass, network, rows, definition=definition, options=options).results():
        pooled = moments.pool(axis=0)
        inputs = pooled if inputs is None else inputs.merge(pooled)
    scale = shares.scale_of(definition, inputs, plan.features)
    count, num_lags = len(plan.features.names), plan.traced.num_lags
    by_feature, by_lag = Moments.empty((count, count)), Moments.empty((num_lags or 1, num_lags or 1))
    for _, weights, squares in plan.run(verbose):
        scaled = squares * np.square(scale[:, None, None] * scale)  # (n, num_lags, num_entries, num_lags, num_entries)
        by_feature = by_feature.update(_of_features(scaled.sum(axis=(1, 3)), plan), weights)
        by_lag = by_lag.update(scaled.sum(axis=(2, 4)), weights)
    return Interactions(
        _roots(by_feature),
        names=plan.features.names,
        lags=None if num_lags is None else _roots(by_lag),
        order="derivative",
        definition=definition,
        units=plan.units,
        num_samples=len(rows.first),
    )


def _of_features(entries: Array, plan: Plan[Any]) -> Array:
    """Sums over the entries of two features, shape (num_rows, num_entries, num_entries) -> (..., num_features)."""
    half = plan.features.sum(entries)
    return plan.features.sum(half.swapaxes(1, 2)).swapaxes(1, 2)


def _roots(squares: Moments) -> PairTable:
    """Root mean squares, with standard errors by the delta method."""
    rms = np.sqrt(squares.mean)
    error = shares.quotient(np.sqrt(squares.variance / squares.weight), 2 * rms)
    return PairTable(rms, error, np.full(rms.shape, np.nan))
