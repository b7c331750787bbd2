"""`Importance`: keeps a look, and derives from it whatever is asked for."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from keras_sensitivity import errors, shares
from keras_sensitivity.archives import read_archive, refusing, write_archive
from keras_sensitivity.definition import Definition
from keras_sensitivity.features import Features
from keras_sensitivity.labels import in_words, unit_labels
from keras_sensitivity.look import FORMAT, Look
from keras_sensitivity.moments import Means
from keras_sensitivity.redundancy import Redundancy
from keras_sensitivity.sizes import NUMBERS, Sizes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Importance"]

Array = np.ndarray[Any, Any]

# When a number is to be taken with care: see `Importance.table` and `Importance.agreement`.
HEAVY, RARE, DIFFERENCE, FACTOR = 0.5, 0.95, 2.0, 1.5

# What the numbers of a condensed importance are called in its file.
KEPT = "numbers/"


class Importance:
    """Importance of each feature and of each time lag: their shares of how far they move the output, in percent.

    Each feature f has a size q[f], and each lag k one for each feature, r[k, f]:

        lambda[f] = 100 * q[f] / sum over f of q[f]
        gamma[k]  = 100 * sum over f of r[k, f] / sum over k and f of r[k, f]

    By derivatives, with ``g[i, u, k, j]`` that of unit u (at the newest output step) at sample i with respect to
    column j at lag k, along the path of the values of the column, which is the default of `Definition`:

        h[k, j](z) = mean of sum over u of g[i, u, k, j]**2 over the rows i where the column has the value z
        F[k, j](t) = integral up to t of sqrt(h[k, j](z)) dz
        r[k, f]    = sqrt(sum over the columns j of feature f of the variance over the rows of F[k, j](x))
        q[f]       = mean over k of r[k, f]

    With any other scale ``s[j]`` (the standard deviation of the column, 1, or what was passed):

        r[k, f]    = sqrt(sum over u and the columns j of feature f of s[j]**2 * mean over i of g[i, u, k, j]**2)

    By real changes, of the features that are swapped (see `Definition`), with y_u what is returned, and i' another row:

        q[f]       = sqrt(mean over i of sum over u of (y_u(x_i) - y_u(x_i with feature f of row i'))**2 / 2)

    For a linear model, q is the size of the weight times the standard deviation in all cases but ``scale=None``.

    Without a time axis there is one k. ``Definition(lags="current")`` takes ``q[f] = r[0, f]``, the newest step only.
    In many-to-many models q[f] is the mean over the steps l of the r of the derivative of output step l with respect
    to the same input step l, whatever ``lags`` says; gamma is as above. Of forecasts of several steps (``mode`` is
    "all-steps") each step is a unit u. If nothing moves the output, all importances are 0.

    Source: sections 2.3 (lambda) and 2.5 (gamma) of Horel, Mison, Xiong, Giesecke, Mangu (2018), *Sensitivity based
    Neural Networks Explanations*, arXiv 1812.01029, for r with a scale s. How the path is estimated, see
    `keras_sensitivity.shares.path_squares`; real changes, `keras_sensitivity.swaps`.

    An importance is made by `measure` and `SensitivityCallback`; it keeps moments (or, see `condensed`, only what
    they come to), not rows, and never changes.

    Attributes:
        definition: The `Definition` it was measured with.
        mode: What its ``mode`` was taken for: "static", "many-to-one", "many-to-many" or "all-steps".

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.set_weights([np.array([[3.0], [-1.0]]), np.zeros(1)])
    >>> ks.measure(model, [[0.0, 0.0], [1.0, 1.0]], feature_names=["a", "b"]).features
    a    75.0
    b    25.0
    Name: importance, dtype: float64
    """

    def __init__(
        self,
        look: Look,
        *,
        features: Features,
        image_shape: tuple[int, ...] | None,
        num_lags: int | None,
        units: tuple[str, ...],
        definition: Definition,
        mode: str = "static",
        num_draws: int | None = None,
        swapped: tuple[int, ...] = (),
    ) -> None:
        self._look = look
        self._features = features
        self._image_shape = image_shape
        self._num_lags = num_lags
        self._units = units
        self._swapped = swapped
        self.mode = mode
        self._num_draws = num_draws
        self.definition = definition

    @property
    def num_samples(self) -> int:
        """Rows that were measured."""
        return int(self._sizes.num_samples)

    @property
    def unit_labels(self) -> tuple[str, ...]:
        """What units are called in titles, shape (num_units,): without a name "unit 3", an only one "prediction"."""
        return unit_labels(self._units, is_only=len(self._units) == 1 and not isinstance(self.definition.output, int))

    def __repr__(self) -> str:
        leading = in_words(self.features, most=3)
        lags = f" and {self._num_lags} lags" if self._num_lags else ""
        return f"<Importance of {len(self._names)} features{lags} from {self.num_samples:,} samples: {leading}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the picture of `plot`, and the ten leading rows of `table`."""
        from keras_sensitivity import plots

        leading = self.table.sort_values("rank")[:10].drop(columns="rank").round(2)
        note = "mean and std of the derivatives; importance and standard error in percent"
        heading = f"{len(self._names):,} features from {self.num_samples:,} samples"
        return plots.html(self.plot, f"Importance of {heading}", leading, note=note)

    @property
    def features(self) -> pd.Series[float]:
        """Importance of each feature (lambda), percent, shape (num_features,), in the model's order; sums to 100."""
        return pd.Series(shares.percent(self._sizes.by_feature), index=self._names, name="importance")

    @property
    def lags(self) -> pd.Series[float] | None:
        """Importance of each lag (gamma), percent, shape (num_lags,); sums to 100. None without a time axis."""
        if self._num_lags is None:
            return None
        return pd.Series(shares.percent(self._sizes.of_lags), index=self._lag_index, name="importance")

    @property
    def by_lag(self) -> pd.DataFrame | None:
        """The r[k, f] of the derivatives at the newest output step, shape (num_lags, num_features).

        In output (per input for ``scale=None``). None without a time axis; NaN for features without one, beside others.
        """
        if self._num_lags is None:
            return None
        by_lag = np.where(self._features.are_static, np.nan, self._sizes.by_lag)
        return pd.DataFrame(by_lag, index=self._lag_index, columns=self._names)

    @property
    def map(self) -> Array | None:
        """Importance of each entry of an image, percent, in the image's shape; None for other inputs.

        Of a sequence of images, all steps together.
        """
        if self._image_shape is None:
            return None
        return shares.percent(self._sizes.by_entry).reshape(self._image_shape)

    @property
    def usage(self) -> pd.Series[float]:
        """Importance of each feature at the newest output step over all lags, percent, whatever the definition's lags.

        This is what `DeadFeatureMonitor` judges: a feature that only an older lag or another output step uses has no
        share in the paper's lambda, and yet is not dead. Beside probes it is measured as they are: along a path, or
        with any other scale in standard deviations; of features that are swapped by real changes.
        """
        return pd.Series(shares.percent(self._sizes.used), index=self._names, name="usage")

    @property
    def probes(self) -> pd.Series[float] | None:
        """Importance of each noise probe, percent of the sum over the features, shape (num_probes,).

        Measured as `usage` is. None without `NoiseProbes` in the model.
        """
        return None if self._probes is None else pd.Series(self._probes, name="probe", copy=True)

    @property
    def noise_level(self) -> float | None:
        """Importance of pure noise: the mean of `probes`, percent of the sum over the features."""
        return None if self._probes is None else float(self._probes.mean())

    @property
    def noise_band(self) -> tuple[float, float] | None:
        """Between which importances a feature of one column of pure noise would lie, percent.

        On the logarithmic scale, with the mean m and the standard deviation s (ddof 1) of the k `probes`,

            m -+ t(0.99, k - 1) * s * sqrt(1 + 1/k)

        the bounds of a prediction, so that one irrelevant feature in a hundred lies above; but at most twice the
        largest probe, since with a penalty that switches weights off some probes are 0 and the logarithms scatter
        without end. None without `NoiseProbes` in the model.
        """
        return None if self._probes is None else shares.noise_band(self._probes)

    @property
    def noise_average(self) -> float | None:
        """The middle of the noise band: the geometric mean of `probes`, percent."""
        return None if self._probes is None else float(np.exp(shares.logarithms(self._probes).mean()))

    @property
    def num_noise_values(self) -> float:
        """About how many different rows the probes saw: of m rows the mean of a probe has the variance 1/m."""
        return float(self._sizes.num_noise_values)

    @property
    def flat_part(self) -> float:
        """The part of the rows whose derivatives are all exactly 0."""
        return float(self._sizes.flat_part)

    @property
    def outputs(self) -> pd.DataFrame:
        """What was differentiated, at the newest output step: its ``mean`` and ``std``, one row a unit, in output.

        Shape (num_units, 2).
        """
        return pd.DataFrame(self._sizes.outputs.T, index=list(self._units), columns=["mean", "std"])

    @property
    def units(self) -> tuple[str, ...]:
        """Names of the output units, shape (num_units,)."""
        return self._units

    @property
    def estimation_error(self) -> pd.Series[float] | None:
        """About how far the size q of each feature may be off because the sum over the units is estimated.

        One standard error, at most, percent of the size, shape (num_features,); it is a part of ``standard_error`` in
        `table`. With h estimated by K random signs of each row i, to first order

            error of the mean of h <= sqrt(2/K * sum over i of h_i**2) / n

        where equal rows count as one, since they have the same signs. None where each unit was measured by itself. More
        than 64 units are estimated, see `Definition`.
        """
        found = self._sizes.estimation_errors
        return None if found is None else pd.Series(found, index=self._names, name="estimation_error")

    @property
    def by_output(self) -> pd.DataFrame:
        """Importances of each output unit alone, percent, shape (num_units, num_features); each row sums to 100.

        Raises:
            ValueError: If the units were not measured one by one: see `estimation_error`.
        """
        return pd.DataFrame(shares.percent(self.rms_by_output.to_numpy()), index=list(self._units), columns=self._names)

    @property
    def rms_by_output(self) -> pd.DataFrame:
        """The size q of each feature for each output unit alone, shape (num_units, num_features).

        In output (per input for ``scale=None``).

        Raises:
            ValueError: If the units were not measured one by one: see `estimation_error`.
        """
        errors.check_single_units(self._num_draws, len(self._units))
        return pd.DataFrame(self._sizes.by_output, index=list(self._units), columns=self._names)

    @property
    def table(self) -> pd.DataFrame:
        """One row a feature, in the model's order.

        Its columns:

        - ``importance``: percent.
        - ``standard_error``: of the importance, percentage points: how far another sample of as many rows would move
          it. By the delta method from the covariances of the squared derivatives or changes; along the path of a table
          the values scatter, too, while by other scales, of sequences and with a background the spread of the data is
          taken as known. For more than 256 entries from the variances alone, which is an approximation.
        - ``rms``: the size q, in output (per input for ``scale=None``): of the derivative, scaled or along the path, or
          of real changes; the importance is ``100 * rms / rms.sum()``. With a time axis, the mean over the lags.
        - ``mean``, ``std``: of the derivative over rows, units and lags, scaled as that is for ``rms``, so that for one
          unit, no time axis and no swap ``rms**2 == mean**2 + std**2``. The sign of ``mean`` is the direction of the
          effect; a ``std`` near 0 means a linear one. Derivatives of several units may cancel: choose one with
          ``Definition(output=...)``. NaN for groups and codes, where the units were not measured one by one, and where
          a feature was swapped and no derivative taken, or it was 0 in all rows.
        - ``change``: what the feature was changed by: "derivative" or "swap", see `Definition`.
        - ``caution``: why a derivative may say something else than a real change: "heavy tails", where the outermost
          4 % of the values make more than half of the variance; "rare values", where 95 % of the rows have about the
          same value; else "". See `agreement`.
        - ``rank``: 1 for the most important.
        """
        importance = self.features
        mean, std = self._sizes.mean_and_std if self._num_draws is None else np.full((2, len(importance)), np.nan)
        has_derivatives = ~(self._is_swapped & (mean == 0) & (std == 0))
        columns = {
            "importance": importance,
            "standard_error": self.standard_errors,
            "rms": self.rms,
            "mean": np.where(has_derivatives, mean, np.nan),
            "std": np.where(has_derivatives, std, np.nan),
            "change": np.where(self._is_swapped, "swap", "derivative"),
            "caution": self._cautions,
            "rank": importance.rank(ascending=False, method="first").astype(int),
        }
        return pd.DataFrame(columns, index=self._names)

    @property
    def standard_errors(self) -> Array:
        """Those of `table`, percentage points, shape (num_features,)."""
        return self._sizes.standard_errors

    @property
    def rms(self) -> Array:
        """That of `table`, shape (num_features,)."""
        return self._sizes.by_feature

    @property
    def _is_swapped(self) -> Array:
        return np.isin(np.arange(len(self._names)), self._swapped)

    @property
    def agreement(self) -> pd.DataFrame | None:
        """The importances beside those of real changes of all features, one row a feature.

        Its columns:

        - ``importance``: percent, as in `table`.
        - ``real_change``: percent, with real changes (see ``change`` of `Definition`) on some rows; NaN of features
          that were not among those compared.
        - ``differs``: whether it is another share by a factor of 1.5 and by 2 percentage points.

        None where it was not looked at: `measure` does so with ``verbose=1``, the callback at the end of a fit.

        Example:

        >>> import keras, numpy as np
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", "mse")
        >>> x = np.random.default_rng(0).normal(size=(200, 2))
        >>> watch = ks.SensitivityCallback(x)
        >>> _ = model.fit(x, x[:, 0], epochs=1, callbacks=[watch], verbose=0)
        >>> bool(watch.importance.agreement["differs"].any())
        False
        """
        q = self._sizes.real_changes
        if q is None:
            return None
        importance = self.features.to_numpy()
        known = ~np.isnan(q)
        real = np.where(known, shares.percent(np.where(known, q, self._sizes.by_feature)), np.nan)
        larger, smaller = np.maximum(real, importance), np.minimum(real, importance)
        differs = (larger - smaller > DIFFERENCE) & (larger > FACTOR * smaller)
        columns = {"importance": importance, "real_change": real, "differs": differs}
        return pd.DataFrame(columns, index=self._names)

    @property
    def _cautions(self) -> list[str]:
        heavy = np.where(self._sizes.tails > HEAVY, "heavy tails", "")
        rare = np.where((self._sizes.most_common >= RARE) & ~self.is_constant, "rare values", "")
        every = zip(heavy, rare, self._is_swapped, strict=True)
        return ["" if is_swapped else ", ".join(filter(None, reasons)) for *reasons, is_swapped in every]

    def with_check(self, changes: Means) -> Importance:
        """The same with real changes on some rows beside it: see "check" of `Look`."""
        return Importance(Look({**self._look, "check": changes}), **self._kind)

    @property
    def variance(self) -> pd.DataFrame | None:
        """How much of the variance of the output depends on each feature that was swapped, one row a feature.

        Its columns:

        - ``variance``: percent of the variance of the output, summed over the units: the total-effect index of Sobol,
          estimated as by Jansen (1999), *Analysis of variance designs for model output*; interactions count for each
          feature that takes part, so that the sum may be more than 100. It is exact where the features are independent.
        - ``standard_error``: of that, percentage points.

        None where no feature was swapped.
        """
        variance = self._sizes.variance
        if variance is None:
            return None
        return pd.DataFrame(variance.T, index=self._names[list(self._swapped)], columns=["variance", "standard_error"])

    def effect(self, feature: int | str, *, unit: int | str | None = None, lag: int | None = None) -> pd.DataFrame:
        """How far the output moves along the values of one feature: its path F (see above), a row a bin of values.

        The path adds up how far the output moves, whether up or down, since it is made of squared derivatives: it never
        falls, is steep where the network is sensitive to the feature, and flat where it is not. Its standard deviation
        over the rows is the size q of the feature. In which direction the output moves on average says the sign of
        ``mean`` in `table`.

        Args:
            feature: Its name or index; a single column whose derivative was taken along its path.
            unit: One output unit alone, by its name or index; None: all together.
            lag: The time lag; None: the one at which the feature counts most.

        Returns:
            One row a bin, in the order of the values, shape (num_bins, 4), with a time axis (num_bins, 5). Its columns:

            - ``value``: the mean value of the feature in the bin, in its own unit.
            - ``effect``: F there, less its mean over the rows, in output: up to the bin the output has moved that much
              further than on average.
            - ``slope``: sqrt(h), the root mean square of the derivative there, in output per unit of the feature.
            - ``rows``: percent of the rows that are in the bin.
            - ``lag``: only with a time axis.

        Raises:
            ValueError: If there is no such feature, unit or lag, or if the feature has no path.

        Example:

        >>> import keras, numpy as np
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Lambda(keras.ops.square)])
        >>> x = np.linspace(-1, 3, 4001)[:, None]
        >>> curve = ks.measure(model, x, feature_names=["age"]).effect("age")
        >>> bool(np.allclose(curve["slope"], 2 * curve["value"].abs(), atol=0.02))  # of the square
        True
        """
        self._check_moments("drawn along a feature")
        position = errors.check_member("feature", feature, self._features.names)
        only = None if unit is None else errors.check_member("unit", unit, self._units)
        if only is not None:
            errors.check_single_units(self._num_draws, len(self._units))
        errors.check_path(
            self._features.names[position],
            num_entries=int((self._features.of_entry == position).sum()),
            is_swapped=bool(self._is_swapped[position]),
            has_bins=self._sizes.has_path,
            scale=self.definition.scale,
        )
        if lag is None:
            lag = int(self._sizes.by_lag[:, position].argmax())
        lag = errors.check_member("lag", lag, [str(each) for each in range(self._num_lags or 1)])
        curve = pd.DataFrame(self._sizes.curve(position, only, lag))
        return curve if self._num_lags is None else curve.assign(lag=lag)

    def top(self, coverage: float = 90) -> list[str]:
        """The fewest features whose importances sum to ``coverage`` percent, the most important first.

        Raises:
            ValueError: If ``coverage`` is not a percentage.

        Example:

        >>> import keras, numpy as np
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        >>> model.set_weights([np.array([[3.0], [1.0], [6.0]]), np.zeros(1)])
        >>> ks.measure(model, np.eye(3)).top(coverage=85)
        ['x2', 'x0']
        """
        errors.check_percentage("coverage", coverage)
        ordered = self.features.sort_values(ascending=False, kind="stable")
        # A share that sums to 90 but for rounding has reached 90.
        enough = int(np.searchsorted(ordered.cumsum().to_numpy(), coverage - 1e-9)) + 1
        return list(ordered.index[:enough])

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw `keras_sensitivity.plots.ranking`, bars with standard errors; of images `plots.image_map`.

        Example:

        >>> import keras, numpy as np
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.set_weights([np.array([[3.0], [-9.0]]), np.zeros(1)])
        >>> ax = ks.measure(model, np.eye(2)).plot()
        >>> [bar.get_width().round(1).item() for bar in ax.patches]
        [75.0, 25.0]
        """
        from keras_sensitivity import plots

        draw = plots.ranking if self.map is None else plots.image_map
        return draw(self, ax=ax, **options)

    def plot_effect(self, feature: int | str, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw `keras_sensitivity.plots.effect`: how far the output moves along the values of one feature.

        Example:

        >>> import keras, numpy as np
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> x = np.random.default_rng(0).normal(size=(500, 2))
        >>> ax = ks.measure(model, x, feature_names=["age", "debt"]).plot_effect("age")
        >>> ax.get_xlabel()
        'age'
        """
        from keras_sensitivity import plots

        return plots.effect(self, feature, ax=ax, **options)

    def to_html(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        title: str | None = None,
        trajectory: pd.DataFrame | None = None,
        events: pd.DataFrame | None = None,
    ) -> str:
        """One page: ranking, what to mind, agreement with real changes, lags, how it was measured, with which versions.

        It loads nothing and has no scripts, so that the file can be sent and printed. The command ``keras-sensitivity
        report`` writes it for a model and its data, with both of them named by their hashes.

        Args:
            path: A file to write; None: none.
            title: Of the page.
            trajectory: `SensitivityCallback.trajectory`, to be drawn.
            events: `SensitivityCallback.events`, to be listed.

        Returns:
            The page, as text.

        Raises:
            OSError: If the file cannot be written.

        Example:

        >>> import keras, numpy as np
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> page = ks.measure(model, np.eye(2)).to_html(title="My first network")
        >>> "<h1>My first network</h1>" in page
        True
        """
        from keras_sensitivity import report

        context = report.Context(title=title, trajectory=trajectory, events=events)
        return report.written(report.importance_page(self, context), path)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to one file, whole or not at all: a NumPy archive without pickles.

        The page "Save models and results" describes the format.

        Example:

        >>> import keras, tempfile
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> importance = ks.measure(model, [[0.0, 0.0], [1.0, 1.0]])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     importance.save(f"{folder}/importance.npz")
        ...     loaded = ks.Importance.load(f"{folder}/importance.npz")
        >>> loaded.features.equals(importance.features)
        True
        """
        described = {
            "format": FORMAT,
            "definition": dataclasses.asdict(self.definition),
            "features": dataclasses.asdict(self._features),
            "image_shape": self._image_shape,
            "num_lags": self._num_lags,
            "units": self._units,
            "mode": self.mode,
            "num_draws": self._num_draws,
            "swapped": self._swapped,
        }
        write_archive(path, described, self._look.arrays() or _arrays(self._sizes.numbers()))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Importance:
        """Read what `save` wrote.

        Raises:
            ValueError: If the file was not written by `save`, or by that of another version.
            FileNotFoundError: If there is none.
        """
        described, arrays = read_archive(path, "Importance")
        errors.check_format(path, described.get("format"), FORMAT)
        with refusing(path, "Importance"):
            numbers = _numbers(arrays)
            importance = cls(
                Look({}) if numbers else Look.from_arrays(arrays),
                features=Features(**{name: tuple(value) for name, value in described["features"].items()}),
                image_shape=described["image_shape"] and tuple(described["image_shape"]),
                num_lags=described["num_lags"],
                units=tuple(described["units"]),
                mode=str(described["mode"]),
                num_draws=described["num_draws"],
                definition=Definition(**described["definition"]),
                swapped=tuple(described["swapped"]),
            )
            if numbers:
                vars(importance)["_sizes"] = Sizes.of(numbers)
            importance._check_whole()
        return importance

    def _check_whole(self) -> None:
        """Raise whatever is raised where the numbers do not fit the names, or each other."""
        for each in ("table", "lags", "by_lag", "map", "usage", "outputs", "num_samples", "flat_part"):
            getattr(self, each)
        _ = self.by_output if self._num_draws is None else self.estimation_error

    def merge(self, other: Importance) -> Importance:
        """The importance of the rows of both: looks at parts of the rows, such as those of several machines, add up.

        The order does not matter. Measured with the same background, which gives the scale, the bins and the rows to
        swap with, the numbers are up to rounding what they are over all rows at once. Each with its own rows as
        background, the bins of paths merge quantile by quantile, so that parts that are alike give nearly that, and
        parts that are not do not. Real changes add up pair by pair; the rows of each part swap among themselves.

        Args:
            other: Of the same model, the same features and the same definition.

        Raises:
            ValueError: If units, features, lags, definition, or what was swapped differ.
            TypeError: If it is no importance.

        Example:

        >>> import keras, numpy as np
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
        >>> x = np.random.default_rng(0).normal(size=(100, 2))
        >>> merged = ks.measure(model, x[:30], background=x).merge(ks.measure(model, x[30:], background=x))
        >>> bool(np.allclose(merged.features, ks.measure(model, x).features)), merged.num_samples
        (True, 100)
        """
        errors.check_instance("other", other, Importance, "pass what measure or SensitivityCallback returned")
        errors.check_mergeable(self._kind, other._kind)
        self._check_moments("merged")
        other._check_moments("merged")
        if "background" not in self._look and ("spread" in self._look or self._swapped):
            unlike = self._sizes.is_unlike(other._sizes)
            if unlike.any():
                errors.warn_unlike_parts(list(self._names[unlike]))
        return Importance(self._look.merge(other._look), **self._kind)

    def condensed(self) -> Importance:
        """The same numbers without the moments that they were derived from, in a small part of the memory.

        It cannot be merged any more, and has no `effect`; all else is the same. Of this kind are the looks of a
        `SensitivityCallback` but for the newest.

        Example:

        >>> import keras, numpy as np
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> importance = ks.measure(model, np.eye(2))
        >>> importance.condensed().table.equals(importance.table)
        True
        """
        condensed = Importance(Look({}), **self._kind)
        vars(condensed)["_sizes"] = self._sizes.condensed()
        return condensed

    def restored(self, arrays: Mapping[str, Array], scalars: Mapping[str, float]) -> Importance:
        """Another look at the same features, by what a `keras_sensitivity.records.record.Record` holds of it."""
        restored = Importance(Look({}), **self._kind)
        shape = len(self._units), len(self._names), self._num_lags or 1, len(self._features.owners)
        vars(restored)["_sizes"] = Sizes.of_record(arrays, scalars, shape, len(self._swapped))
        return restored

    def _check_moments(self, done: str) -> None:
        if not self._look:
            errors.refuse_condensed(done)

    @property
    def _kind(self) -> dict[str, Any]:
        """What two importances must have in common to be merged."""
        return {
            "features": self._features,
            "units": self._units,
            "mode": self.mode,
            "num_draws": self._num_draws,
            "num_lags": self._num_lags,
            "image_shape": self._image_shape,
            "definition": self.definition,
            "swapped": self._swapped,
        }

    # --- what the rest is derived from ------------------------------------------------------------------------------

    @functools.cached_property
    def _sizes(self) -> Sizes:
        return Sizes(self._look, self._features, self.definition, self._swapped, self._num_draws)

    @property
    def _names(self) -> pd.Index[str]:
        return self._features.index

    @property
    def _lag_index(self) -> pd.Index[int]:
        return pd.RangeIndex(self._num_lags, name="lag")

    @property
    def is_constant(self) -> Array:
        """Whether each feature has the same value in every row and step, shape (num_features,)."""
        return self._sizes.is_constant

    @property
    def redundancy(self) -> Redundancy | None:
        """What of each feature others can stand in for, which the monitor asks for; None where it was not seen."""
        return self._sizes.redundancy if self._look else None

    @property
    def loss_changes(self) -> pd.DataFrame | None:
        """By how much the loss rises when a feature has the values of other rows; None where no labels were given.

        The mean over up to 1,024 measured rows of the loss that the model was compiled with, less that without the
        swap: the permutation importance of Breiman (2001) and of Fisher, Rudin, Dominici (2019), on the measured rows.
        What a network has memorised of a feature counts, as it does for the probes.

        One row a feature, and after them one a probe ("probe 0", ...); its columns:

        - ``loss_change``: in units of the loss; NaN of features that several inputs make together.
        - ``is_probe``: whether it is noise of `NoiseProbes`.
        """
        changes = self._sizes.loss_changes
        if changes is None:
            return None
        names = [*self._names, *(f"probe {index}" for index in range(len(changes) - len(self._names)))]
        is_probe = np.arange(len(changes)) >= len(self._names)
        return pd.DataFrame({"loss_change": changes, "is_probe": is_probe}, index=names)

    @property
    def unseen(self) -> pd.Series[float]:
        """Percent of the background's rows with values where no row was measured, shape (num_features,).

        How sensitive the network is there was not seen; 0 without a background, and of features that were swapped.
        """
        unseen = self._sizes.unseen
        return pd.Series(0.0 if unseen is None else 100 * unseen, index=self._names, name="unseen")

    @property
    def num_columns(self) -> Array:
        """How many columns of x make up each feature, shape (num_features,)."""
        return np.bincount(self._features.membership, minlength=len(self._names))

    @functools.cached_property
    def _probes(self) -> Array | None:
        """The numbers of `probes`; the monitor, the plots and the summaries of a look ask for them several times."""
        probes = self._sizes.of_probes
        return None if probes is None else shares.quotient(100 * probes, self._sizes.used.sum())


def _arrays(numbers: Mapping[str, Any]) -> dict[str, Array]:
    """Numbers by name as an archive has them; what is None is left out."""
    return {KEPT + name: np.asarray(value) for name, value in numbers.items() if value is not None}


def _numbers(arrays: Mapping[str, Array]) -> dict[str, Any]:
    """What `_arrays` was made of; nothing, if the archive is another."""
    kept = {name.removeprefix(KEPT): value for name, value in arrays.items() if name.startswith(KEPT)}
    return {name: kept.get(name) for name in NUMBERS} if kept else {}
