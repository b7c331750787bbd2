"""`Importance`: keeps the moments of a look, derives everything else. The formulas stand here, once."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from keras_sensitivity import _checks
from keras_sensitivity._data import Features
from keras_sensitivity.definition import Definition
from keras_sensitivity.moments import CrossMoments, LookMoments, Moments

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Importance"]

Array = np.ndarray[Any, Any]


class Importance:
    """Importance of each feature: its share of the model's sensitivity, in percent.

    With ``g[i, u, j]`` the derivative of unit u at sample i with respect to column j, and ``s[j]`` the scale of the
    column (its standard deviation, or 1; see `Definition`):

        rms[u, f]  = sqrt(sum over the columns j of feature f of s[j]**2 * mean over i of g[i, u, j]**2)
        rms[f]     = sqrt(sum over u of rms[u, f]**2)
        lambda[f]  = 100 * rms[f] / sum over f of rms[f]

    Source: section 2.3 of Horel, Mison, Xiong, Giesecke, Mangu (2018), *Sensitivity based Neural Networks
    Explanations*, arXiv 1812.01029. If every derivative is 0, all importances are 0.

    An importance is made by `measure` and `SensitivityCallback`; it keeps moments, not rows, and never changes.

    Attributes:
        definition: The `Definition` it was measured with.
        num_samples: Rows that were measured.

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
        self, moments: LookMoments, *, features: Features, units: tuple[str, ...], definition: Definition
    ) -> None:
        self._moments = moments
        self._features = features
        self._units = units
        self.definition = definition
        self.num_samples = moments.num_samples

    def __repr__(self) -> str:
        leading = ", ".join(f"{name} {share:.1f} %" for name, share in self.features.nlargest(3).items())
        return f"<Importance of {len(self.features)} features from {self.num_samples:,} samples: {leading}, ...>"

    @property
    def features(self) -> pd.Series[float]:
        """Importance of each feature (lambda), percent, shape (num_features,), in the model's order; sums to 100."""
        return pd.Series(_shares(self._rms), index=self._names, name="importance")

    @property
    def lags(self) -> None:
        """Importance of each lag (gamma), percent; None without a time axis."""
        return None

    @property
    def by_lag(self) -> None:
        """Rms of each lag and feature; None without a time axis."""
        return None

    @property
    def map(self) -> None:
        """Importance of each entry of an image, percent; None for inputs that are no images."""
        return None

    @property
    def by_output(self) -> pd.DataFrame:
        """Importances of each output unit alone, percent, shape (num_units, num_features); each row sums to 100."""
        return pd.DataFrame(_shares(self.rms_by_output.to_numpy()), index=list(self._units), columns=self._names)

    @property
    def rms_by_output(self) -> pd.DataFrame:
        """Rms of each output unit and feature, scaled, shape (num_units, num_features): output (per input)."""
        return pd.DataFrame(np.sqrt(self._unit_mean_squares), index=list(self._units), columns=self._names)

    @property
    def table(self) -> pd.DataFrame:
        """One row a feature, in the model's order, with the columns

        - ``importance``: percent.
        - ``standard_error``: of the importance, percentage points: how far another sample of as many rows would move
          it. By the delta method from the covariances of the squared derivatives, with the scale taken as known; for
          more than 128 columns from their variances alone, which is an approximation.
        - ``rms``: root mean square of the derivative, in output (per input for ``scale=None``); the importance is
          ``100 * rms / rms.sum()``.
        - ``mean``, ``std``: of the derivative over rows and units, scaled like ``rms``, so that for one unit
          ``rms**2 == mean**2 + std**2``. The sign of ``mean`` is the direction of the effect; a ``std`` near 0 means
          a linear one. Derivatives of several units may cancel: choose one with ``Definition(output=...)``. NaN for
          groups.
        - ``rank``: 1 for the most important.
        """
        importance = self.features
        mean, std = self._mean_and_std
        columns = {
            "importance": importance,
            "standard_error": self._standard_error,
            "rms": self._rms,
            "mean": mean,
            "std": std,
            "rank": importance.rank(ascending=False, method="first").astype(int),
        }
        return pd.DataFrame(columns, index=self._names)

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
        _checks.percentage("coverage", coverage)
        ordered = self.features.sort_values(ascending=False, kind="stable")
        # A share that sums to 90 but for rounding has reached 90.
        enough = int(np.searchsorted(ordered.cumsum().to_numpy(), coverage - 1e-9)) + 1
        return list(ordered.index[:enough])

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Ranking bars with standard errors: `keras_sensitivity.plots.ranking`."""
        from keras_sensitivity import plots

        return plots.ranking(self, ax=ax, **options)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to one file, a NumPy archive without pickles.

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
            "definition": dataclasses.asdict(self.definition),
            "features": dataclasses.asdict(self._features),
            "units": self._units,
            "num_samples": self._moments.num_samples,
            "num_flat": self._moments.num_flat,
        }
        arrays = {
            f"{part}.{field.name}": getattr(getattr(self._moments, part), field.name)
            for part, kind in _PARTS.items()
            for field in dataclasses.fields(kind)
        }
        with open(path, "wb") as file:  # an open file, because np.savez would append a suffix to a path
            np.savez_compressed(file, allow_pickle=False, description=np.array(json.dumps(described)), **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Importance:
        """Read what `save` wrote.

        Raises:
            ValueError: If the file was not written by `save`.
            FileNotFoundError: If there is none.
        """
        with np.load(path) as archive:
            _checks.archive(path, archive)
            described = json.loads(str(archive["description"]))
            parts: dict[str, Any] = {
                part: kind(*(archive[f"{part}.{field.name}"] for field in dataclasses.fields(kind)))
                for part, kind in _PARTS.items()
            }
        return cls(
            LookMoments(**parts, num_samples=described["num_samples"], num_flat=described["num_flat"]),
            features=Features(**{name: tuple(value) for name, value in described["features"].items()}),
            units=tuple(described["units"]),
            definition=Definition(**described["definition"]),
        )

    # --- what the rest is derived from ------------------------------------------------------------------------------

    @property
    def _names(self) -> pd.Index[str]:
        return pd.Index(self._features.names)

    @property
    def is_constant(self) -> Array:
        """Whether each feature has the same value in every row, shape (num_features,)."""
        spread = self._by_feature(self._moments.inputs.variance)
        return np.asarray(spread == 0)

    @functools.cached_property
    def _scale(self) -> Array:
        """What multiplies the derivatives, shape (num_columns,)."""
        if self.definition.scale is None:
            return np.ones(len(self._features.columns))
        if isinstance(self.definition.scale, str):
            return np.sqrt(self._moments.inputs.variance)
        return np.asarray(self.definition.scale)

    @functools.cached_property
    def _unit_mean_squares(self) -> Array:
        """rms[u, f]**2, shape (num_units, num_features)."""
        return self._by_feature(self._scale**2 * self._moments.derivatives.mean_square)

    @functools.cached_property
    def _rms(self) -> Array:
        """Shape (num_features,)."""
        return np.asarray(np.sqrt(self._unit_mean_squares.sum(axis=0)))

    def _by_feature(self, columns: Array) -> Array:
        """Sums over the columns of each feature: shape (..., num_columns) -> (..., num_features)."""
        sums = np.zeros((*columns.shape[:-1], len(self._features.names)))
        np.add.at(sums.T, np.array(self._features.membership), columns.T)
        return sums

    @property
    def _mean_and_std(self) -> tuple[Array, Array]:
        """Mean and standard deviation of the scaled derivative over rows and units, each (num_features,)."""
        derivatives = self._moments.derivatives
        mean = derivatives.mean.mean(axis=0)
        std = np.sqrt(np.maximum(derivatives.mean_square.mean(axis=0) - mean**2, 0.0))
        if len(self._units) == 1:
            std = np.sqrt(derivatives.variance[0])  # the same, without the cancellation
        grouped = np.bincount(self._features.membership) > 1
        hide = np.where(grouped, np.nan, 1.0)
        return hide * self._by_feature(self._scale * mean), hide * self._by_feature(self._scale * std)

    @property
    def _standard_error(self) -> Array:
        """Delta method, shape (num_features,), percentage points.

        With v[j] = mean of h[j] (see `LookMoments`), q[f] = sqrt(sum over j in f of s[j]**2 v[j]) and share
        p[f] = q[f] / sum q, the derivatives are

            d q[f] / d v[j] = s[j]**2 / (2 q[f])          for j in f, else 0
            d p[f] / d q[e] = ((e == f) - p[f]) / sum q

        and Var p = J Cov(h) J' sum(w**2) / sum(w)**2, J the product of the two.
        """
        rms, squares = self._rms, self._moments.squares
        if not rms.any():
            return np.zeros(len(rms))
        member = np.zeros((len(rms), len(self._scale)))
        member[list(self._features.membership), np.arange(len(self._scale))] = 1
        inner = member * self._scale**2 * np.divide(0.5, rms, out=np.zeros(len(rms)), where=rms > 0)[:, None]
        jacobian = (inner - np.outer(rms / rms.sum(), inner.sum(axis=0))) / rms.sum()
        covariance = squares.covariance
        spread = jacobian @ covariance if covariance.ndim == 2 else jacobian * covariance
        variance = (spread * jacobian).sum(axis=1) * squares.weight_squares / squares.weight**2
        return np.asarray(100 * np.sqrt(np.maximum(variance, 0.0)))


_PARTS: dict[str, type[Moments] | type[CrossMoments]] = {
    "derivatives": Moments,
    "inputs": Moments,
    "squares": CrossMoments,
}


def _shares(values: Array) -> Array:
    """Percent of the sum along the last axis; zeros where the sum is 0."""
    total = values.sum(axis=-1, keepdims=True)
    return np.asarray(np.divide(100 * values, total, out=np.zeros(values.shape), where=total > 0))
