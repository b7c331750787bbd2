"""`Sizes`: what a look says of each feature, before it is shared out to percent; in output, where it is scaled."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_sensitivity import shares
from keras_sensitivity.definition import Definition
from keras_sensitivity.features import Features
from keras_sensitivity.look import Look
from keras_sensitivity.moments import Means, Moments
from keras_sensitivity.redundancy import Redundancy

__all__ = ["Sizes"]

Array = np.ndarray[Any, Any]

# The part of the rows at each end that counts as a tail, and at the most where rows are few.
TAIL, WIDEST_TAIL = 0.02, 0.05

# What `Importance` asks for; `Sizes.condensed` keeps these and nothing else.
NUMBERS = (
    "num_samples", "flat_part", "num_noise_values", "is_constant", "outputs", "by_feature", "by_output", "by_lag",
    "of_lags", "by_entry", "used", "of_probes", "real_changes", "tails", "most_common", "unseen",
    "mean_and_std", "standard_errors", "estimation_errors", "variance", "loss_changes",
)  # fmt: skip

# Standard errors by which the means of a feature in two sets of rows differ, if these are no random parts of one.
UNLIKELY, FEWEST_ROWS = 6.0, 16


class Squares(NamedTuple):
    """Squared sizes of derivatives, scaled: s**2 * mean of g**2.

    Attributes:
        by_unit: Shape (num_units, num_lags, num_entries).
        total: Of all units together, shape (num_lags, num_entries).
        probes: The same of the noise of probes, shape (num_lags, num_probes).
    """

    by_unit: Array
    total: Array
    probes: Array


class Sizes:
    """The numerators of the shares, derived from a look when they are asked for.

    Args:
        look: What was summed up.
        features: What the entries make up.
        definition: How it was measured.
        swapped: The features, by their positions, of which real changes were measured.
        num_draws: How many random signs of each row estimate the sum over the units; None: it was added up.
    """

    def __init__(
        self,
        look: Look,
        features: Features,
        definition: Definition,
        swapped: tuple[int, ...],
        num_draws: int | None,
    ) -> None:
        self._look = look
        self._features = features
        self._definition = definition
        self._swapped = list(swapped)
        self._num_draws = num_draws

    def condensed(self) -> Sizes:
        """The same numbers, without the look that they were derived from."""
        return Sizes.of(self.numbers())

    def numbers(self) -> dict[str, Any]:
        """All that `Importance` asks for, by name: arrays, numbers, and None."""
        return {name: getattr(self, name) for name in NUMBERS}

    @classmethod
    def of(cls, numbers: Mapping[str, Any]) -> Sizes:
        """Sizes that have these `numbers`, and know nothing else."""
        sizes = cls.__new__(cls)
        vars(sizes).update(numbers)  # where a cached property looks before it derives anything
        return sizes

    @classmethod
    def of_record(
        cls,
        arrays: Mapping[str, Array],
        scalars: Mapping[str, float],
        shape: tuple[int, int, int, int],
        num_swapped: int,
    ) -> Sizes:
        """Sizes by what a record holds of a look; what it does not have is NaN, or None.

        Args:
            arrays: Those of the record.
            scalars: Those of the record.
            shape: How many units, features, lags and entries there are.
            num_swapped: Of how many features real changes were measured.
        """
        num_units, num_features, num_lags, num_entries = shape
        unknown = functools.partial(np.full, fill_value=np.nan)
        importance, rms = (arrays[name].astype(float) for name in ("importance", "rms"))
        q = importance * rms.sum() / 100
        numbers: dict[str, Any] = dict.fromkeys(NUMBERS)
        numbers |= {
            "num_samples": int(scalars.get("num_samples", 0)),
            "flat_part": math.nan,
            "num_noise_values": math.inf,
            "is_constant": np.asarray(arrays.get("is_constant", np.zeros(num_features)), bool),
            "outputs": unknown((2, num_units)),
            "by_feature": q,
            "by_output": q[None] if num_units == 1 else arrays.get("by_output", unknown((num_units, num_features))),
            "by_lag": arrays.get("by_lag", unknown((num_lags, num_features))),
            "of_lags": arrays.get("lags", unknown(num_lags)),
            "by_entry": unknown(num_entries),
            "used": arrays.get("usage", importance),
            "of_probes": arrays.get("probes"),
            "tails": unknown(num_features),
            "most_common": unknown(num_features),
            "mean_and_std": unknown((2, num_features)),
            "standard_errors": arrays["standard_error"],
            "variance": unknown((2, num_swapped)) if num_swapped else None,
        }
        return cls.of(numbers)

    # --- the rows -----------------------------------------------------------------------------------------------------

    @functools.cached_property
    def num_samples(self) -> int:
        """Rows that were measured."""
        return int(self._look["samples"].total)

    @functools.cached_property
    def flat_part(self) -> float:
        """The part of the rows whose derivatives are all exactly 0."""
        return float(self._look["flat"].total / max(1, self.num_samples))

    @functools.cached_property
    def num_noise_values(self) -> float:
        """About how many different rows the probes saw: of m rows the mean of a probe has the variance 1/m."""
        noise = self._look.get("noise")
        return math.inf if noise is None else float(1 / np.mean(noise.mean[0] ** 2))

    @functools.cached_property
    def is_constant(self) -> Array:
        """Whether each feature has the same value in every row and step, shape (num_features,)."""
        return np.asarray(self._features.sum(self.inputs.variance) == 0)

    @functools.cached_property
    def outputs(self) -> Array:
        """Mean and standard deviation of each unit, shape (2, num_units)."""
        outputs = self._look["outputs"]
        return np.stack([outputs.mean, np.sqrt(outputs.variance)])

    @functools.cached_property
    def inputs(self) -> Moments:
        """Moments of the entries of x over rows and steps, shape (num_entries,)."""
        pooled: Moments = self._look["inputs"].pool(axis=0)
        return pooled

    def is_unlike(self, other: Sizes) -> Array:
        """Whether each feature's mean is another one in other rows than chance would make it, shape (num_features,)."""
        one, two = self.inputs, other.inputs
        error = np.sqrt(one.variance / np.maximum(one.weight, 1) + two.variance / np.maximum(two.weight, 1))
        enough = np.minimum(one.weight, two.weight) >= FEWEST_ROWS
        return np.asarray(self._features.sum(enough & (np.abs(one.mean - two.mean) > UNLIKELY * error)) > 0)

    @functools.cached_property
    def _background(self) -> Moments:
        """Moments of the entries by which the derivatives are scaled, shape (num_entries,)."""
        background: Moments = self._look.get("background", self.inputs)
        return background

    @functools.cached_property
    def reached(self) -> Array:
        """Whether any row reaches each lag of each entry, shape (num_lags, num_entries)."""
        return np.broadcast_to(self._look["derivatives"].weight > 0, self._look["inputs"].mean.shape)

    # --- derivatives --------------------------------------------------------------------------------------------------

    @functools.cached_property
    def _newest(self) -> Squares:
        """Of the derivatives of the newest output step."""
        return self._squares("derivatives", "path")

    @functools.cached_property
    def _shared_out(self) -> Squares:
        """Of the derivatives of which lambda is made: of many-to-many models those of the same step."""
        return self._squares("same_step", "same_step_path") if "same_step" in self._look else self._newest

    @property
    def _derivatives(self) -> Moments:
        """Moments of the derivatives of which lambda is made, shape (num_units, num_lags, num_entries)."""
        derivatives: Moments = self._look.get("same_step", self._look["derivatives"])
        return derivatives

    def _squares(self, name: str, path: str) -> Squares:
        if path in self._look:
            return self._along_path(self._look[path])
        by_unit = shares.scale_of(self._definition, self._background, self._features) ** 2
        by_unit = by_unit * self._look[name].mean_square
        probes = self._look.get("probes")
        noise = np.zeros((len(self.reached), 0)) if probes is None else probes.mean_square.sum(axis=0)
        return Squares(by_unit, by_unit.sum(axis=0), noise)

    def _along_path(self, squares: Means) -> Squares:
        spread, count = self._look["spread"], len(self._features.owners)
        by_unit = shares.path_squares(spread, squares)
        several = len(by_unit) > 1
        total = shares.path_squares(spread, Means(squares.weight, squares.mean.sum(axis=0))) if several else by_unit[0]
        return Squares(by_unit[..., :count], total[..., :count], total[..., count:])

    @property
    def has_path(self) -> bool:
        """Whether the derivatives were put into bins along the values."""
        return "path" in self._look

    def curve(self, feature: int, unit: int | None, lag: int) -> dict[str, Array]:
        """The path of a feature of one entry: see `keras_sensitivity.importance.Importance.effect`.

        Args:
            feature: Its position.
            unit: The position of a unit; None: all together.
            lag: The lag.
        """
        entry = int(np.flatnonzero(self._features.of_entry == feature)[0])
        squares, spread = self._look["path"], self._look["spread"]
        mean = squares.mean.sum(axis=0) if unit is None else squares.mean[unit]
        path = shares.path(spread, Means(squares.weight, mean))
        here = path.part[:, entry] > 0
        value, part = path.value[here, entry], path.part[here, entry]
        slope, effect = path.slope[lag, here, entry], path.effect[lag, here, entry]
        if len(value) == 1:  # as for few rows: the same slope everywhere, drawn one standard deviation to either side
            apart = np.sqrt(path.variance[here, entry]) * [-1, 1]
            value, slope, part = value + apart, np.repeat(slope, 2), np.repeat(part / 2, 2)
            effect = slope * apart
        return {"value": value, "effect": effect, "slope": slope, "rows": 100 * part}

    @property
    def scale(self) -> Array:
        """The s by which the derivatives of all units together are multiplied, shape (num_lags, num_entries)."""
        return np.sqrt(shares.quotient(self._shared_out.total, self._derivatives.mean_square.sum(axis=0)))

    @functools.cached_property
    def _lag_weights(self) -> Array:
        """Weights that average over the lags that any row reaches, shape (num_lags, num_features)."""
        return shares.lag_weights(self.reached, self._features)

    @functools.cached_property
    def _feature_weights(self) -> Array:
        """Weights of the lags (for many-to-many models: of the steps) in q, shape (num_lags, num_features)."""
        newest_alone = self._definition.lags == "current" and "same_step" not in self._look
        return shares.lag_weights(self.reached, self._features, newest_alone=newest_alone)

    # --- what is shared out -------------------------------------------------------------------------------------------

    @functools.cached_property
    def by_feature(self) -> Array:
        """The q[f], shape (num_features,)."""
        rms = shares.rms_by_lag(self._shared_out.total, self._features)
        return self._with_swaps(shares.numerators(rms, self._feature_weights))

    @functools.cached_property
    def by_output(self) -> Array:
        """The q[u, f] of single units, shape (num_units, num_features)."""
        rms = shares.rms_by_lag(self._shared_out.by_unit, self._features)
        q = np.array(shares.numerators(rms, self._feature_weights))
        if self._swapped:
            q[:, self._swapped] = np.sqrt(self._look["swaps"].mean)
        return q

    @functools.cached_property
    def by_lag(self) -> Array:
        """The r[k, f] at the newest output step, shape (num_lags, num_features)."""
        return shares.rms_by_lag(self._newest.total, self._features)

    @functools.cached_property
    def of_lags(self) -> Array:
        """What is shared out among the lags, shape (num_lags,)."""
        if "lag_swaps" in self._look:
            return np.asarray(np.sqrt(self._look["lag_swaps"].mean.sum(axis=0)))
        return np.asarray(self.by_lag[:, ~self._features.are_static].sum(axis=1))

    @functools.cached_property
    def by_entry(self) -> Array:
        """Mean over the lags of the rms at the newest output step, shape (num_entries,)."""
        return shares.numerators(np.sqrt(self._newest.total), shares.averages(self.reached))

    @functools.cached_property
    def used(self) -> Array:
        """Mean over all lags of the rms at the newest output step, shape (num_features,).

        Beside probes, whose standard deviation is 1, in standard deviations, whatever the definition scales by.
        """
        squares = self._newest.total
        if "probes" in self._look and self._definition.scale != "path":
            squares = self.inputs.variance * self._look["derivatives"].mean_square.sum(axis=0)
        return self._with_swaps(shares.numerators(shares.rms_by_lag(squares, self._features), self._lag_weights))

    @functools.cached_property
    def of_probes(self) -> Array | None:
        """The same of each noise probe, shape (num_probes,); None without probes."""
        if "probes" not in self._look:
            return None
        rms = np.sqrt(self._newest.probes)
        reached = np.broadcast_to(self._look["probes"].weight > 0, rms.shape)
        return shares.numerators(rms, shares.averages(reached))

    @functools.cached_property
    def loss_changes(self) -> Array | None:
        """How the loss changes when a feature is swapped, and each probe, (num_features + num_probes,); or None."""
        return np.asarray(self._look["loss_changes"].mean) if "loss_changes" in self._look else None

    @property
    def redundancy(self) -> Redundancy | None:
        """What the features can stand in for of each other; None where that was not seen, or of too few rows."""
        if "joint" not in self._look:
            return None
        columns, joint = self._look["columns"], self._look["joint"]
        return Redundancy.of(columns, joint, self._features.of_entry, len(self._features.names))

    def _with_swaps(self, q: Array) -> Array:
        """The numbers, with real changes where they were measured."""
        if self._swapped:
            q = np.array(q)
            q[self._swapped] = np.sqrt(self._look["swaps"].mean.sum(axis=0))
        return q

    @functools.cached_property
    def real_changes(self) -> Array | None:
        """The q[f] with real changes, NaN where they are not known, shape (num_features,); None if nobody asked."""
        if "check" not in self._look:
            return None
        return self._with_swaps(np.sqrt(self._look["check"].mean.sum(axis=0)))

    @functools.cached_property
    def tails(self) -> Array:
        """The part of the variance that the outermost values make, about 4 % of the rows, shape (num_features,).

        NaN of features of several entries, and where there are no bins. Of normal values it is 0.2.
        """
        spread = self._spread
        if spread is None:
            return np.full(len(self._features.names), np.nan)
        order = np.argsort(np.where(spread.weight > 0, spread.mean, np.inf), axis=0)
        weight, mean, m2 = (np.take_along_axis(each, order, axis=0) for each in (spread.weight, spread.mean, spread.m2))
        total = weight.sum(axis=0)
        below = np.cumsum(weight, axis=0) / total
        above = 1 - below + weight / total
        # Where rows are few, the outermost bins have more of them; of a binary column half, which is no tail.
        ends = [np.where(weight > 0, each, 1).min(axis=0) for each in (below, above)]
        bounds = [np.where(end <= WIDEST_TAIL, np.maximum(end, TAIL), 0) + 1e-9 for end in ends]
        is_outer = (below <= bounds[0]) | (above <= bounds[1])
        squares = m2 + weight * (mean - (weight * mean).sum(axis=0) / total) ** 2
        return self._of_columns(shares.quotient((squares * is_outer).sum(axis=0), squares.sum(axis=0)))

    @functools.cached_property
    def most_common(self) -> Array:
        """The part of the rows that have about the most common value, shape (num_features,); NaN as in `tails`."""
        spread = self._spread
        if spread is None:
            return np.full(len(self._features.names), np.nan)
        return self._of_columns(spread.weight.max(axis=0) / spread.weight.sum(axis=0))

    @functools.cached_property
    def unseen(self) -> Array | None:
        """The part of a background whose values lie in bins without a measured row, shape (num_features,).

        None where there is no background, or no bins.
        """
        spread = self._spread
        if spread is None or "background" not in self._look:
            return None
        is_unseen = (self._look["path"].weight[..., : spread.weight.shape[-1]] == 0).all(axis=0)
        parts = shares.quotient((spread.weight * is_unseen).sum(axis=0), spread.weight.sum(axis=0))
        return np.where(np.isin(np.arange(len(self._features.names)), self._swapped), 0.0, self._of_columns(parts))

    @property
    def _spread(self) -> Moments | None:
        """Moments of the values in each bin, shape (num_bins, num_entries), without probes."""
        spread = self._look.get("spread")
        if spread is None:
            return None
        count = len(self._features.owners)
        return Moments(spread.weight[:, :count], spread.mean[:, :count], spread.m2[:, :count])

    def _of_columns(self, entries: Array) -> Array:
        return np.where(self._features.are_columns, self._features.sum(entries), np.nan)

    # --- how they scatter ---------------------------------------------------------------------------------------------

    @functools.cached_property
    def mean_and_std(self) -> Array:
        """Mean and standard deviation of the scaled derivative over rows, units and lags, shape (2, num_features)."""
        pooled = self._derivatives.pool(axis=1).pool(axis=0)
        weights = shares.averages(self.reached)
        squares = (weights * self._derivatives.mean_square.sum(axis=0)).sum(axis=0)
        scale = np.sqrt(shares.quotient((weights * self._shared_out.total).sum(axis=0), squares))
        hide = np.where(self._features.are_columns, 1.0, np.nan)
        columns = scale * pooled.mean, scale * np.sqrt(pooled.variance)
        return np.stack([hide * self._features.sum(column) for column in columns])

    @functools.cached_property
    def standard_errors(self) -> Array:
        """Of the shares, shape (num_features,), percentage points."""
        squares = self._look["squares"]
        slopes = shares.slopes_of_squares(
            self._features.sum(self._shared_out.total),
            scale=self.scale,
            weights=self._feature_weights,
            part=shares.quotient(self._look["derivatives"].weight, squares.weight),
            features=self._features,
        ).ravel()
        owners = np.tile(self._features.of_entry, len(self.reached))
        part = shares.quotient(squares.weight_squares, squares.weight**2)
        covariance = squares.covariance
        if self._swapped:
            slopes = np.where(np.isin(owners, self._swapped), 0.0, slopes)
            halves = shares.quotient(0.5, self.by_feature[self._swapped])
            covariance = self._beside_swaps(covariance)
            between = np.zeros(len(covariance) - len(halves) - len(slopes))
            slopes = np.concatenate([halves, between, slopes])
            owners = np.concatenate([self._swapped, np.zeros(len(between), int), owners])
        estimates = shares.Estimates(slopes, owners, covariance, part)
        return shares.standard_errors(self.by_feature, estimates, self._scatter_of_spread)

    @functools.cached_property
    def estimation_errors(self) -> Array | None:
        """Of the q, because h = sum over units of g**2 is estimated by random signs, percent of q, (num_features,).

        None where it is not. With K signs a row the variance of an estimated h_i is at most 2/K h_i**2, so that the
        mean of its square is at most (1 + 2/K) h_i**2; that of what is summed up of several h at most the square of the
        sum of their deviations.
        """
        if self._num_draws is None:
            return None
        squares, shape = self._look["squares"], self._shared_out.total.shape
        variances = squares.covariance if squares.m2.ndim == 1 else np.diagonal(squares.covariance)
        of_square = 2 / (self._num_draws + 2) * (squares.mean**2 + variances)
        part = shares.quotient(squares.weight_squares, squares.weight**2)
        relative = np.sqrt(shares.quotient(of_square * part, squares.mean**2)).reshape(shape)
        rms = shares.rms_by_lag(self._shared_out.total, self._features)
        errors = shares.quotient(self._features.sum(self._shared_out.total * relative), 2 * rms)
        found = 100 * shares.quotient(shares.numerators(errors, self._feature_weights), self.by_feature)
        found[self._swapped] = 0  # by the changes of each unit
        return found

    @property
    def _scatter_of_spread(self) -> Array:
        """How the q of a row scatter because its values are drawn, too, shape (num_features,).

        With Q2 the mean of (F - mean of F)**2, d q = d Q2 / (2 q). Known of paths of tables with bins of their own.
        """
        none = np.zeros(len(self.by_feature))
        if "path" not in self._look or "background" in self._look or len(self.reached) > 1:
            return none
        squares = self._look["path"]
        together = Means(squares.weight, squares.mean.sum(axis=0))
        scatter = shares.scatter_along_path(self._look["spread"], together)[0, : len(self._features.owners)]
        q = np.where(np.isin(np.arange(len(none)), self._swapped), 0.0, self.by_feature)
        return self._features.sum(scatter) * shares.quotient(0.25, q**2)

    def _beside_swaps(self, covariance: Array) -> Array:
        """The covariances of what "pairs" holds, and of the squared derivatives, which are there or apart."""
        pairs = self._look["pairs"].covariance
        if len(pairs) > len(self._swapped) + 1 + len(self._look["outputs"].mean):
            return np.asarray(pairs)
        return np.concatenate([each if each.ndim == 1 else np.diagonal(each) for each in (pairs, covariance)])

    @functools.cached_property
    def variance(self) -> Array | None:
        """Percent of the variance of the output that depends on each swapped feature, and standard errors, (2, ...).

        With D the mean of half the squared change and V = sum over u of (mean of f_u**2 - (mean of f_u)**2), the
        variance is T = 100 D / V, and by the delta method, between the covariances of what "pairs" holds,

            d T = 100 / V * (d D - D / V * (d mean of sum of f_u**2 - 2 sum over u of mean f_u * d mean f_u))

        None where no feature was swapped.
        """
        if not self._swapped:
            return None
        changes, outputs = self._look["swaps"].mean.sum(axis=0), self._look["outputs"]
        pairs = self._look["pairs"]
        total = outputs.variance.sum()
        count = len(changes)
        slopes = np.zeros((count, len(pairs.mean)))
        slopes[:, :count] = np.eye(count)
        ratio = shares.quotient(changes, total)[:, None]
        slopes[:, count : count + 1] = -ratio
        slopes[:, count + 1 : count + 1 + len(outputs.mean)] = 2 * ratio * outputs.mean
        covariance = pairs.covariance
        square = (slopes @ covariance * slopes if covariance.ndim == 2 else slopes**2 * covariance).sum(axis=1)
        square *= shares.quotient(pairs.weight_squares, pairs.weight**2)
        return 100 * np.stack([ratio[:, 0], shares.quotient(np.sqrt(np.maximum(square, 0)), total)])
