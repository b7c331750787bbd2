"""`compare`: several looks beside each other, and how far they are apart."""

from __future__ import annotations

import functools
import os
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.special

from keras_sensitivity import errors
from keras_sensitivity.importance import Importance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Comparison", "compare"]

Array = np.ndarray[Any, Any]

# The chance that any of the equal importances is said to differ.
CHANCE = 0.05

# Percentage points below which two importances are the same number: derivatives are float32.
ROUNDING = 1e-4


def compare(
    importances: Mapping[Any, Importance | pd.Series[float]] | Sequence[Importance | pd.Series[float]],
) -> Comparison:
    """Set several looks beside each other: of models, seeds, segments or definitions.

    Args:
        importances: A dict from the name of each look to its `Importance`, or a list, whose looks are then named by
            their position, from 0. At least two, with the same features, in any order. Also a pandas Series of percents
            that sum to 100, by feature, which has no standard errors: the importances of another method, the lags of
            `Importance.lags`, one row of `Explanation.features`.

    Returns:
        A `Comparison`, its features in the order of the first look.

    Raises:
        TypeError: If ``importances`` is neither a dict nor a list, or one of them is neither of the above.
        ValueError: If there are less than two, if they have different features, or if a Series is not in percent.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> def look(*weights):
    ...     model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    ...     model.set_weights([np.reshape(weights, (2, 1)), np.zeros(1)])
    ...     return ks.measure(model, np.eye(2), feature_names=["age", "debt"])
    >>> ks.compare({"first": look(3.0, -1.0), "second": look(1.0, 1.0)}).table
          first  second
    age    75.0    50.0
    debt   25.0    50.0
    """
    errors.check_looks(importances)
    looks = importances if isinstance(importances, Mapping) else dict(enumerate(importances))
    columns = {name: _columns(name, look) for name, look in looks.items()}
    first, features = next((name, each.index) for name, each in columns.items())
    for name, each in columns.items():
        errors.check_same_features(name, each.index, first, features)
    aligned = np.stack([each.loc[features].to_numpy() for each in columns.values()], axis=1)
    names = pd.Index(list(columns), tupleize_cols=False)
    table, standard_errors = (pd.DataFrame(aligned[..., part], index=features, columns=names) for part in (0, 1))
    return Comparison(table, standard_errors)


class Comparison:
    """Importances of the same features in several looks, and how far the looks are apart.

    With ``p[l, f]`` the importance of feature f in look l, in percent, and ``e[l, f]`` its standard error:

        distance[l, m]   = sum over f of |p[l, f] - p[m, f]| / 2
        difference       = p[m, f] - p[l, f]
        standard_error   = sqrt(e[l, f]**2 + e[m, f]**2)
        z                = difference / standard_error

    A standard error says how far another sample of rows would move an importance of *this* network; how far another
    training would, looks at networks from several seeds show: `spread` has both.

    A comparison is made by `compare`, and never changes.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> def look(*weights):
    ...     model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    ...     model.set_weights([np.reshape(weights, (3, 1)), np.zeros(1)])
    ...     return ks.measure(model, np.eye(3), definition=ks.PAPER)
    >>> comparison = ks.compare([look(6.0, 3.0, 1.0), look(6.0, 1.0, 3.0)])
    >>> comparison
    <Comparison of 2 looks at 3 features: rank correlation 0.50, distance 20.0 points>
    >>> comparison.spread.round(1)
        mean   std   min   max  standard_error
    x0  60.0   0.0  60.0  60.0             0.0
    x1  20.0  14.1  10.0  30.0             0.0
    x2  20.0  14.1  10.0  30.0             0.0
    """

    def __init__(self, table: pd.DataFrame, standard_errors: pd.DataFrame) -> None:
        self._table = table
        self._standard_errors = standard_errors

    def __repr__(self) -> str:
        pairs = np.triu_indices(self._table.shape[1], k=1)
        several = "s" if len(pairs[0]) > 1 else ""
        correlations = _range(self.correlations.to_numpy()[pairs], ".2f")
        distances = _range(self.distances.to_numpy()[pairs], ".1f")
        apart = f"rank correlation{several} {correlations}, distance{several} {distances} points"
        return f"<Comparison of {self._table.shape[1]} looks at {len(self._table):,} features: {apart}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the picture of `plot`, and `spread`, of the ten leading features."""
        from keras_sensitivity import plots

        leading = self.spread.sort_values("mean", ascending=False, kind="stable")[:10].round(2)
        note = "percent; std: from look to look; standard error: from sample to sample of rows, in one look"
        return plots.html(functools.partial(self.plot, top=10), repr(self)[1:-1], leading, note=note, height=4.8)

    @property
    def table(self) -> pd.DataFrame:
        """Importance of each feature in each look, percent, shape (num_features, num_looks); each column sums to 100.

        The lambda of `Importance`: its ``features``.
        """
        return self._table.copy()

    @property
    def standard_errors(self) -> pd.DataFrame:
        """Of the importances, percentage points, shape (num_features, num_looks).

        Those of ``Importance.table``; NaN for a look that came as a Series.
        """
        return self._standard_errors.copy()

    @property
    def correlations(self) -> pd.DataFrame:
        """Spearman's rank correlation of each two looks, -1 to 1, shape (num_looks, num_looks).

        The correlation of the ranks of the features, ties having the mean of their ranks; 1 for the same ranking. NaN
        for a look in which all features are equally important, which ranks nothing.
        """
        return self._table.corr(method="spearman")

    @property
    def distances(self) -> pd.DataFrame:
        """How many percentage points one look gives to other features than the other, shape (num_looks, num_looks).

        Half the sum of the absolute differences of the importances: 0 for the same, 100 if none has a feature of the
        other. It is what the fit log calls ``importance_shift``.
        """
        shares = self._table.to_numpy().T
        apart = [np.abs(shares - share).sum(axis=1) / 2 for share in shares]
        return pd.DataFrame(apart, index=self._table.columns, columns=self._table.columns)

    @property
    def spread(self) -> pd.DataFrame:
        """How far the looks are apart at each feature, shape (num_features, 5), percentage points.

        Its columns:

        - ``mean``, ``min``, ``max``: of the importance over the looks.
        - ``std``: standard deviation of the importance over the looks (ddof 1). Over networks from several seeds: how
          far another training would move it.
        - ``standard_error``: root mean square of the standard errors of the looks, those that have one: how far another
          sample of as many rows would move it.
        """
        columns = {
            "mean": self._table.mean(axis=1),
            "std": self._table.std(axis=1),
            "min": self._table.min(axis=1),
            "max": self._table.max(axis=1),
            "standard_error": np.sqrt((self._standard_errors**2).mean(axis=1)),
        }
        return pd.DataFrame(columns)

    @property
    def differences(self) -> pd.DataFrame:
        """Which differences are larger than their errors: one row for each two looks and each feature.

        Shape (num_looks * (num_looks - 1) / 2 * num_features, 7). Its columns:

        - ``first``, ``second``: names of the two looks.
        - ``feature``: its name.
        - ``difference``: percentage points that it has more in the second than in the first.
        - ``standard_error``: of the difference, percentage points; the root of the sum of both squares.
        - ``z``: the difference in standard errors; 0 where both are equal but for the rounding of float32, infinite
          where they are not and have no error, as in linear models. NaN where one of the looks came without errors.
        - ``differs``: whether ``|z|`` is above the normal quantile at 1 - 0.05 / (2 m), with m the rows that have a z.
          With this correction, Bonferroni's, the chance that any of m equal ones is said to differ is at most 5 %.
          False where z is NaN.

        The errors are added as if the looks were independent. Looks at the same rows move together as a rule, so that
        theirs is too large rather than too small, and more may differ than is said. Looks at segments want a common
        ``measure(background=...)``, whose spread counts as known.

        Example:

        >>> import keras, numpy as np
        >>> import keras_sensitivity as ks
        >>> x = np.random.default_rng(0).normal(size=(200, 2))
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(1)])
        >>> parts = {"even": ks.measure(model, x[::2]), "odd": ks.measure(model, x[1::2])}
        >>> list(ks.compare(parts).differences.columns)
        ['first', 'second', 'feature', 'difference', 'standard_error', 'z', 'differs']
        """
        first, second = np.triu_indices(self._table.shape[1], k=1)
        shares, own = self._table.to_numpy().T, self._standard_errors.to_numpy().T
        difference = (shares[second] - shares[first]).ravel()
        standard_error = np.hypot(own[first], own[second]).ravel()
        z = _in_errors(difference, standard_error)
        names, features = self._table.columns.to_numpy(), self._table.index.to_numpy()
        columns = {
            "first": np.repeat(names[first], len(features)),
            "second": np.repeat(names[second], len(features)),
            "feature": np.tile(features, len(first)),
            "difference": difference,
            "standard_error": standard_error,
            "z": z,
            "differs": np.abs(z) > _critical(int(np.isfinite(standard_error).sum())),
        }
        return pd.DataFrame(columns)

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw `keras_sensitivity.plots.side_by_side`: a row a feature, a dot with its standard error for each look.

        Example:

        >>> import pandas as pd
        >>> import keras_sensitivity as ks
        >>> ax = ks.compare([pd.Series({"age": 40.0, "debt": 60.0}), pd.Series({"age": 50.0, "debt": 50.0})]).plot()
        >>> [text.get_text() for text in ax.get_yticklabels()]
        ['debt', 'age']
        """
        from keras_sensitivity import plots

        return plots.side_by_side(self, ax=ax, **options)

    def to_html(self, path: str | os.PathLike[str] | None = None, *, title: str | None = None) -> str:
        """One page: the looks side by side, how far they are apart, and which differences are larger than their errors.

        Args:
            path: A file to write; None: none.
            title: Of the page.

        Returns:
            The page, as text; see `Importance.to_html`.

        Raises:
            OSError: If the file cannot be written.

        Example:

        >>> import pandas as pd
        >>> import keras_sensitivity as ks
        >>> looks = {"first": pd.Series({"age": 40.0, "debt": 60.0}), "second": pd.Series({"age": 45.5, "debt": 54.5})}
        >>> "<h1>2 looks beside each other</h1>" in ks.compare(looks).to_html()
        True
        """
        from keras_sensitivity import report

        return report.written(report.comparison_page(self, report.Context(title=title)), path)


def _columns(name: Hashable, look: Importance | pd.Series[float]) -> pd.DataFrame:
    """Importances and standard errors of one look, shape (num_features, 2)."""
    errors.check_look(name, look, Importance)
    if isinstance(look, Importance):
        return look.table[["importance", "standard_error"]]
    errors.check_percents(name, look)
    return pd.DataFrame({"importance": look.to_numpy(dtype=float), "standard_error": np.nan}, index=look.index)


def _in_errors(difference: Array, standard_error: Array) -> Array:
    """The quotient; 0 for differences of rounding, however small their errors; NaN where no error is known.

    >>> _in_errors(np.array([3.0, 3.0, 1e-6]), np.array([2.0, 0.0, 0.0]))
    array([1.5, inf, 0. ])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(difference) > ROUNDING, difference / standard_error, 0 * standard_error)


def _critical(count: int) -> float:
    """The normal quantile beyond which one of ``count`` differences lies, on either side, with the chance of 5 %.

    >>> round(_critical(1), 2), round(_critical(100), 2)
    (1.96, 3.48)
    """
    return float(-scipy.special.ndtri(CHANCE / 2 / max(1, count)))


def _range(values: Array, form: str) -> str:
    """The least and the largest, or the only one.

    >>> _range(np.array([0.5, np.nan, 0.125]), ".2f"), _range(np.array([3.0]), ".1f")
    ('0.12 to 0.50', '3.0')
    """
    known = pd.Series(values)
    ends = [format(end, form) for end in (known.min(), known.max())]
    return " to ".join(dict.fromkeys(ends))
