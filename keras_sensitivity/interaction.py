"""`Interactions`: which features act together, so that the effect of one depends on the other."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from keras_sensitivity import errors
from keras_sensitivity.archives import read_archive, refusing, write_archive
from keras_sensitivity.definition import Definition

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Interactions", "PairTable"]

Array = np.ndarray[Any, Any]

# Percent of the variance below which a pair is not named.
WORTH_A_WORD = 0.05

# Of what `Interactions.save` writes.
FORMAT = 1


class PairTable(NamedTuple):
    """Numbers of pairs, each of shape (num_members, num_members) and symmetric.

    Attributes:
        joint: What each pair moves jointly, and on the diagonal each in all; NaN of pairs that were not measured.
        standard_errors: Of these.
        bounds: What a pair can be at the most, as far as screening tells; NaN where there was none.
    """

    joint: Array
    standard_errors: Array
    bounds: Array


class Interactions:
    """Which features act together: percent of the variance of the output that pairs of them move jointly.

    With ``f_u`` unit u, x row i, x_j' the same with feature j of another row i', and x_jk' with both, by real changes:

        T[j, k] = 100 * mean over i of sum over u of (f_u(x) - f_u(x_j') - f_u(x_k') + f_u(x_jk'))**2 / (4 V)
        T[j, j] = 100 * mean over i of sum over u of (f_u(x) - f_u(x_j'))**2 / (2 V)

    where V is the variance of the output, summed over the units. Off the diagonal it is the total interaction index:
    what disappears if the effects of j and k only add up; 0 for features that do not interact. On the diagonal it is
    the total-effect index of Sobol, all that the feature moves, alone and together with others: see
    `Importance.variance`. Both are exact where the features are independent; where they are not, swaps make rows that
    there are not. As what three features do together counts for each of their pairs, pairs may sum to more than 100.

    With ``order="derivative"``, the second order of the paper, in output:

        T[j, k] = s[j] * s[k] * sqrt(mean over i of sum over u of (d2 y_u / dx_j dx_k)**2)

    with s the standard deviations, or what ``scale`` of the definition says. On the diagonal j is k: the curvature.

    Source: Fruth, Roustant, Kuhnt (2014), *Total interaction index*; Liu, Owen (2006), *Estimating mean dimensionality
    of analysis of variance decompositions*; the second order: section 5 of Horel, Mison, Xiong, Giesecke, Mangu (2018),
    *Sensitivity based Neural Networks Explanations*, arXiv 1812.01029.

    Interactions are made by `interactions`, and never change.

    Attributes:
        order: "swap" or "derivative".
        definition: The `Definition` they were measured with.
        units: Names of the output units, shape (num_units,).
        num_samples: Rows that were measured.

    Example:

    >>> import numpy as np
    >>> import keras_sensitivity as ks
    >>> x = np.random.default_rng(0).normal(size=(2000, 3))
    >>> found = ks.interactions(lambda x: x[:, 0] * x[:, 1] + x[:, 2], x, feature_names=["a", "b", "c"])
    >>> found
    <Interactions of 3 features from 1,024 samples: 'a' x 'b' 51.3 %>
    >>> found.top(1).round(1)
      first second  interaction  standard_error
    0     a      b         51.3             4.3
    """

    def __init__(
        self,
        features: PairTable,
        *,
        names: tuple[str, ...],
        lags: PairTable | None,
        order: Literal["swap", "derivative"],
        definition: Definition,
        units: tuple[str, ...],
        num_samples: int,
    ) -> None:
        self._features = features
        self._names = names
        self._lags = lags
        self.order = order
        self.definition = definition
        self.units = units
        self.num_samples = num_samples

    def __repr__(self) -> str:
        leading = [tuple(row) for row in self.top(3).to_numpy() if row[2] > self._least]
        ends = [f"{first!r} x {second!r} {self.in_words(value)}" for first, second, value, _ in leading]
        screened = f", {len(self.screened):,} pairs screened out" if len(self.screened) else ""
        words = ", ".join(ends) or "none"
        return f"<Interactions of {len(self._names):,} features from {self.num_samples:,} samples{screened}: {words}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the picture of `plot`, and the ten leading pairs."""
        from keras_sensitivity import plots

        return plots.html(self.plot, repr(self)[1:-1].split(":")[0], self.top(10).round(2), note=self.unit_of_measure)

    def in_words(self, value: float) -> str:
        """A number of the table with its unit of measure."""
        return f"{value:.1f} %" if self.order == "swap" else f"{value:.3g}"

    @property
    def _least(self) -> float:
        """What is worth a word."""
        return WORTH_A_WORD if self.order == "swap" else 0.0

    @property
    def unit_of_measure(self) -> str:
        """What the numbers of the table are."""
        return "percent of the output's variance" if self.order == "swap" else "second derivatives, in output"

    @property
    def table(self) -> pd.DataFrame:
        """The T[j, k], shape (num_features, num_features), percent of the output's variance; symmetric.

        On the diagonal what each feature moves in all. NaN of pairs that were screened out, and of features that
        several inputs make together. With ``order="derivative"``, in output.
        """
        return self._frame(self._features.joint)

    @property
    def standard_errors(self) -> pd.DataFrame:
        """Of `table`, in its unit: how far another sample of as many rows would move it, by the delta method."""
        return self._frame(self._features.standard_errors)

    @property
    def lags(self) -> pd.DataFrame | None:
        """The same of time lags, all features of which are swapped at once, shape (num_lags, num_lags).

        None without a time axis, and of sequences that a mask shortens.
        """
        return None if self._lags is None else _by_lag(self._lags.joint)

    @property
    def lag_standard_errors(self) -> pd.DataFrame | None:
        """Of `lags`."""
        return None if self._lags is None else _by_lag(self._lags.standard_errors)

    @property
    def screened(self) -> pd.DataFrame:
        """The pairs that were screened out, one a row: ``first``, ``second``, ``bound``; the largest bound first.

        The bound is in percent of the output's variance, and holds for independent normal features: see
        `keras_sensitivity.screening`. None are where there are at most 50 features.
        """
        places = np.argwhere(np.triu(np.isnan(self._features.joint) & ~np.isnan(self._features.bounds), k=1))
        first, second = places.T
        columns = {"first": first, "second": second, "bound": self._features.bounds[first, second]}
        return self._named(pd.DataFrame(columns)).sort_values("bound", ascending=False, ignore_index=True)

    def top(self, n: int = 5) -> pd.DataFrame:
        """The pairs of features that interact most, one a row.

        Its columns are ``first``, ``second``, ``interaction`` and ``standard_error``, in the unit of the table.

        Raises:
            ValueError, TypeError: If ``n`` is no whole number.
        """
        errors.check_whole_number("n", n)
        first, second = np.triu_indices(len(self._names), k=1)
        values = self._features.joint[first, second]
        order = np.argsort(-np.nan_to_num(values, nan=-1.0), kind="stable")[:n]
        order = order[~np.isnan(values[order])]
        columns = {
            "first": first[order],
            "second": second[order],
            "interaction": values[order],
            "standard_error": self._features.standard_errors[first, second][order],
        }
        return self._named(pd.DataFrame(columns))

    def plot(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw `keras_sensitivity.plots.interaction_map`: pairs as colours, what each feature moves on the diagonal.

        Example:

        >>> import numpy as np
        >>> import keras_sensitivity as ks
        >>> x = np.random.default_rng(0).normal(size=(200, 3))
        >>> ax = ks.interactions(lambda x: x[:, 0] * x[:, 1] + x[:, 2], x).plot()
        >>> [text.get_text() for text in ax.get_xticklabels()]
        ['x0', 'x1', 'x2']
        """
        from keras_sensitivity import plots

        return plots.interaction_map(self, ax=ax, **options)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to one file, a NumPy archive without pickles; whole or not at all.

        Example:

        >>> import numpy as np, tempfile
        >>> import keras_sensitivity as ks
        >>> x = np.random.default_rng(0).normal(size=(200, 2))
        >>> found = ks.interactions(lambda x: x[:, 0] * x[:, 1], x)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found.save(f"{folder}/interactions.npz")
        ...     loaded = ks.Interactions.load(f"{folder}/interactions.npz")
        >>> loaded.table.equals(found.table)
        True
        """
        described = {
            "interactions": FORMAT,
            "definition": dataclasses.asdict(self.definition),
            "names": self._names,
            "order": self.order,
            "units": self.units,
            "num_samples": self.num_samples,
        }
        tables = {"features": self._features} | ({} if self._lags is None else {"lags": self._lags})
        arrays = {f"{name}/{field}": part for name, table in tables.items() for field, part in table._asdict().items()}
        write_archive(path, described, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Interactions:
        """Read what `save` wrote.

        Raises:
            ValueError: If the file was not written by `save`, or by that of another version.
            FileNotFoundError: If there is none.
        """
        described, arrays = read_archive(path, "Interactions")
        errors.check_format(path, described.get("interactions"), FORMAT)
        with refusing(path, "Interactions"):
            features, lags = (
                PairTable(*(arrays[f"{name}/{field}"] for field in PairTable._fields))
                if f"{name}/joint" in arrays
                else None
                for name in ("features", "lags")
            )
            if features is None or features.joint.shape != (len(described["names"]),) * 2:
                raise ValueError("the table does not fit the names")
            return cls(
                features,
                names=tuple(described["names"]),
                lags=lags,
                order=described["order"],
                definition=Definition(**described["definition"]),
                units=tuple(described["units"]),
                num_samples=int(described["num_samples"]),
            )

    def _frame(self, values: Array) -> pd.DataFrame:
        return pd.DataFrame(values, index=list(self._names), columns=list(self._names))

    def _named(self, pairs: pd.DataFrame) -> pd.DataFrame:
        """The same with names for the positions of features."""
        names = np.array(self._names, dtype=object)
        return pairs.assign(first=names[pairs["first"]], second=names[pairs["second"]])


def _by_lag(values: Array) -> pd.DataFrame:
    index = pd.RangeIndex(len(values), name="lag")
    return pd.DataFrame(values, index=index, columns=index)
