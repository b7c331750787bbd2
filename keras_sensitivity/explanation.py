"""`Explanation`: keeps the derivatives at single rows, and derives from them which features drove each prediction."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from keras_sensitivity import errors, shares
from keras_sensitivity.definition import Definition
from keras_sensitivity.features import Block, Features, image_shape
from keras_sensitivity.flips import Flips
from keras_sensitivity.labels import unit_labels
from keras_sensitivity.networks.inputs import Inputs
from keras_sensitivity.networks.network import Batch, Derivatives
from keras_sensitivity.rows.arrays import as_array
from keras_sensitivity.rows.tables import columns_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Explanation"]

Array = np.ndarray[Any, Any]

# Samples whose derivatives are scaled at one time.
BLOCK = 1024


class Explanation:
    """Which features drove single predictions: their shares of the sensitivity at each sample, in percent.

    With ``g[u, k, j]`` the derivative of unit u (at the newest output step) with respect to column j at lag k, at one
    sample, and ``s[j]`` the scale of the column, by default its standard deviation, the shares are those of
    `Importance` by derivatives for this one sample, but squared before they are shared out:

        r[k, f]    = sqrt(sum over u and the columns j of feature f of (s[j] * g[u, k, j])**2)
        lambda0[f] = 100 * q[f]**2 / sum over f of q[f]**2        with q[f] = mean over k of r[k, f]
        gamma[k]   = 100 * sum over f of r[k, f] / sum over k and f of r[k, f]

    Without a time axis there is one k, and for one unit and ``scale=None`` this is ``100 * g[j]**2 / sum of g**2``.
    ``Definition(lags="current")`` takes ``q[f] = r[0, f]``, the newest step only. If every derivative is 0 at a
    sample, so are its shares.

    Source: sections 2.4 (lambda0) and 2.5, last line (gamma), of Horel, Mison, Xiong, Giesecke, Mangu (2018),
    *Sensitivity based Neural Networks Explanations*, arXiv 1812.01029.

    An explanation is made by `explain` and never changes; it keeps the rows and their derivatives.

    Attributes:
        predictions: What was differentiated, shape (num_samples, num_units).
        units: Names of the units, shape (num_units,).
        definition: The `Definition` it was made with.
        scale: What multiplies the derivatives of each entry, shape (num_entries,).

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.set_weights([np.array([[3.0], [-1.0]]), np.array([0.5])])
    >>> explanation = ks.explain(model, [[0.0, 0.0], [2.0, 2.0]], feature_names=["a", "b"])
    >>> explanation
    <Explanation of 2 samples by 2 features>
    >>> explanation.features.to_dict("list")  # 9 : 1
    {'a': [90.0, 90.0], 'b': [10.0, 10.0]}
    >>> explanation.predictions.ravel().tolist()
    [0.5, 4.5]
    """

    def __init__(
        self,
        derivatives: Derivatives,
        *,
        inputs: Inputs,
        leaves: Batch,
        blocks: Sequence[Block],
        features: Features,
        units: tuple[str, ...],
        scale: Array,
        definition: Definition,
        frame: pd.DataFrame | None,
        flips: Flips | None = None,
    ) -> None:
        self.predictions: Array = derivatives.predictions
        self.units = units
        self._is_only_unit = len(units) == 1 and not isinstance(definition.output, int)
        self.definition = definition
        self._derivatives = derivatives
        self._inputs = inputs
        self._leaves = leaves
        self._blocks = blocks
        self._features = features
        self._num_lags = max((block.num_lags for block in blocks if block.num_lags is not None), default=None)
        self._flips = flips
        self.scale = scale
        self._index = pd.RangeIndex(len(self), name="sample") if frame is None else frame.index
        self._columns = columns_of(frame)

    def __len__(self) -> int:
        """How many samples are explained."""
        return len(self.predictions)

    @property
    def unit_labels(self) -> tuple[str, ...]:
        """What units are called in titles, shape (num_units,): without a name "unit 3", an only one "prediction"."""
        return unit_labels(self.units, is_only=self._is_only_unit)

    def __repr__(self) -> str:
        lags = f" and {self._num_lags} lags" if self._num_lags else ""
        units = f", {len(self.units)} units together" if len(self.units) > 1 else ""
        return f"<Explanation of {len(self):,} samples by {len(self._features.names):,} features{lags}{units}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the picture of the first sample, and the largest shares of the first ten."""
        from keras_sensitivity import plots

        largest = self.features.mean().sort_values(ascending=False, kind="stable").index[:10]
        table = self.features.iloc[:10][list(largest)].round(1)
        return plots.html(self.plot, repr(self)[1:-1], table, note="shares of the first samples, percent")

    @property
    def x(self) -> Any:
        """The explained rows: shape (num_samples, *input_shape), for several inputs in a dict or list of arrays."""
        return self._inputs.pack(self._leaves)

    @property
    def gradients(self) -> Any:
        """Derivatives, raw and signed, in output per input, in the input's order of time.

        Shape (num_samples, num_units, *input_shape); for several inputs in a dict or list of arrays. Of codes they are
        those with respect to what each is looked up as, such as the dimensions of an embedding; an input that was
        looked up in several ways has a tuple of them. Crossed inputs have a key of their own in a dict.
        """
        found: list[Any] = [() for _ in self._leaves]
        crossed = {}
        for block, gradients in zip(self._blocks, self._derivatives.gradients, strict=True):
            if len(block.sources) == 1:
                found[block.sources[0]] += (gradients,)
            else:
                crossed[block.source] = gradients
        packed = self._inputs.pack([each[0] if len(each) == 1 else each or None for each in found])
        return {**packed, **crossed} if crossed and isinstance(packed, dict) else packed

    @property
    def features(self) -> pd.DataFrame:
        """Share of each feature (lambda0), percent, shape (num_samples, num_features); each row sums to 100.

        The index is that of x, if x is a DataFrame.
        """
        return pd.DataFrame(shares.percent(self._squares), index=self._index, columns=list(self._features.names))

    @property
    def sizes(self) -> pd.DataFrame:
        """The q[f] of each sample, of whose squares the shares are made, shape (num_samples, num_features).

        In output (per input for ``scale=None``); without a time axis and for one unit the size of the derivative, times
        the standard deviation.
        """
        return pd.DataFrame(np.sqrt(self._squares), index=self._index, columns=list(self._features.names))

    @property
    def newest_values(self) -> pd.DataFrame:
        """The value of each feature at the newest step, shape (num_samples, num_features); NaN for groups and codes."""
        values = []
        for block, given, steps in zip(self._blocks, self._derivatives.values, self._derivatives.steps, strict=True):
            by_step = given.reshape(len(self), -1, block.num_entries)
            newest = np.take_along_axis(by_step, steps[:, :1, None], axis=1)[:, 0].astype(float)
            values.append(newest if block.is_number else np.full_like(newest, np.nan))
        first = np.unique(self._features.of_entry, return_index=True)[1]
        of_features = np.where(self._features.are_columns, np.concatenate(values, axis=1)[:, first], np.nan)
        return pd.DataFrame(of_features, index=self._index, columns=list(self._features.names))

    @property
    def lags(self) -> pd.DataFrame | None:
        """Share of each lag (gamma), percent, shape (num_samples, num_lags); rows sum to 100. None without a time axis.

        A lag that a row has not, because it is masked there, has 0.
        """
        if self._num_lags is None:
            return None
        columns = pd.RangeIndex(self._num_lags, name="lag")
        sequences = self._by_lag[:, :, ~self._features.are_static]
        return pd.DataFrame(shares.percent(sequences.sum(axis=2)), index=self._index, columns=columns)

    def by_lag(self, sample: int = 0) -> pd.DataFrame | None:
        """The r[k, f] of one sample, shape (num_lags, num_features), in output (per input for ``scale=None``).

        Of a single unit it has the sign of the derivative, but for groups and codes. None without a time axis; NaN for
        features without one, beside others.

        Raises:
            ValueError: If there is no such sample.

        Example:

        >>> import keras, numpy as np
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((4, 2)), keras.layers.Flatten(), keras.layers.Dense(1)])
        >>> x = np.random.default_rng(0).normal(size=(5, 4, 2))
        >>> ks.explain(model, x, definition=ks.PAPER).by_lag(sample=2).shape
        (4, 2)
        """
        errors.check_sample(sample, len(self))
        if self._num_lags is None:
            return None
        sizes = np.where(self._features.are_static, np.nan, self._by_lag[sample])
        if len(self.units) == 1:
            signs = self._features.sum(np.sign(self._scaled([sample])[0, 0]))
            sizes = sizes * np.where(self._features.are_columns, signs, 1)
        index = pd.RangeIndex(self._num_lags, name="lag")
        return pd.DataFrame(sizes, index=index, columns=list(self._features.names))

    def values(self, sample: int = 0) -> dict[str, Any]:
        """The values of the features that are single columns of tables, numbers or codes, by name.

        Example:

        >>> import keras
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> ks.explain(model, [[1.0, 2.0], [3.0, 4.0]], feature_names=["age", "debt"]).values(sample=1)
        {'age': 3.0, 'debt': 4.0}
        """
        alone = np.bincount(self._features.membership) == 1
        values: dict[str, Any] = {}
        start = 0
        for block in self._blocks:
            owners = dict.fromkeys(self._features.owners[start : start + block.num_entries])
            start += block.num_entries
            leaf = self._leaves[block.sources[0]][[sample]].ravel()
            if block.num_lags is None and len(block.sources) == 1 and len(leaf) == len(owners) and len(block.shape) < 3:
                names = [(self._features.columns[owner], alone[self._features.membership[owner]]) for owner in owners]
                values |= {name: value.item() if isinstance(value, np.generic) else value
                           for (name, is_alone), value in zip(names, leaf, strict=True) if is_alone}  # fmt: skip
        return values

    def table(self, sample: int = 0) -> pd.DataFrame:
        """One row a feature of one sample, the largest share first.

        Its columns:

        - ``value``: of single columns of tables, else None.
        - ``share``: percent, as in ``features``.
        - ``sign``: of the derivative, as in ``signs``; NaN for groups, and of several units.
        - ``other_value``: of a column of few values and of codes (see ``change`` of `Definition`) the most common other
          value among the background; else None.
        - ``flip``: what that value would change in the prediction, in output; of several units NaN: see `of_unit`.

        Between a yes and a no there is nothing, so that a derivative there says less than what the other answer does.

        Raises:
            ValueError: If there is no such sample.

        Example:

        >>> import keras, numpy as np
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.set_weights([np.array([[3.0], [1.0]]), np.zeros(1)])
        >>> x = np.column_stack([np.arange(20) % 2, np.linspace(0, 1, 20)])
        >>> table = ks.explain(model, x, feature_names=["member", "age"]).table(sample=1)
        >>> print(table.loc["member", "other_value"], table.loc["member", "flip"].round(3))
        0.0 -3.0
        """
        errors.check_sample(sample, len(self))
        names, values = list(self._features.names), self.values(sample)
        others, changes = np.full(len(names), None, dtype=object), np.full(len(names), np.nan)
        if self._flips is not None:
            flipped = list(self._flips.features)
            others[flipped] = self._flips.other_values[:, sample]
            changes[flipped] = self._flips.changes[:, sample, 0] if len(self.units) == 1 else np.nan
        columns = {
            "value": np.array([values.get(name) for name in names], dtype=object),
            "share": self.features.iloc[sample].to_numpy(),
            "sign": self._signs[sample],
            "other_value": others,
            "flip": changes,
        }
        return pd.DataFrame(columns, index=pd.Index(names)).sort_values("share", ascending=False, kind="stable")

    def newest_image(self, sample: int = 0) -> Array:
        """The image of one sample, of a sequence of images the newest, shape (height, width, channels)."""
        image = self._leaves[self._blocks[0].sources[0]][sample]
        return np.asarray(image if self._num_lags is None else image[self._derivatives.steps[0][sample, 0]])

    @functools.cached_property
    def map(self) -> Array | None:
        """Share of each entry of an image, percent, shape (num_samples, height, width, channels); else None.

        Of a sequence of images, all steps together.
        """
        shape = image_shape(self._blocks)
        if shape is None:
            return None
        entries = np.sqrt(self._entry_squares).mean(axis=1) ** 2
        return shares.percent(entries).reshape(-1, *shape)

    @property
    def signs(self) -> pd.DataFrame:
        """Direction in which each feature moves the output: 1, -1 or 0, shape (num_samples, num_features).

        The sign of the derivative, summed over the lags. NaN for groups, and where there are several units: choose one
        with `of_unit`.
        """
        return pd.DataFrame(self._signs, index=self._index, columns=list(self._features.names), copy=True)

    def approximate(self, x_near: Any) -> Array:
        """The predictions at rows near the explained ones, to first order, shape (num_samples, num_units).

            f(x_near) ~ f(x) + sum over all entries of g * (x_near - x)

        Source: the expansion of section 2.4 of the paper. The error falls with the square of the distance.

        Args:
            x_near: One row for each explained one, of the shape of x; or any number of rows, if one is explained.

        Raises:
            ValueError: If the rows do not fit those that were explained, or if x has codes, between which there is
                nothing to expand.

        Example:

        >>> import keras, numpy as np
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> model.set_weights([np.array([[3.0], [-1.0]]), np.array([0.5])])
        >>> ks.explain(model, [[1.0, 1.0]], definition=ks.PAPER).approximate([[2.0, 1.0], [2.0, 2.0]]).tolist()
        [[5.5], [4.5]]
        """
        near = [as_array(value, text=True) for value in self._inputs.flatten(x_near)]
        approximation = self.predictions
        for block, gradients, values in zip(
            self._blocks, self._derivatives.gradients, self._derivatives.values, strict=True
        ):
            if not block.is_number:
                errors.refuse_codes_near(block.source or "x")
            columns, others = near[block.sources[0]]
            errors.check_same_columns("x_near", columns, self._columns)
            others = others[:, None] if others.ndim + 1 == values.ndim == 2 and values.shape[1] == 1 else others
            errors.check_near(others.shape, values.shape)
            moves = np.where(np.isnan(values), 0.0, others - values).reshape(-1, 1, values[0].size)
            slopes = gradients.reshape(len(self), len(self.units), -1)
            approximation = approximation + (slopes * moves).sum(axis=2)
        return np.asarray(approximation)

    def of_unit(self, unit: int | str) -> Explanation:
        """The explanation of one unit alone, by its index or name.

        Raises:
            ValueError: If there is no such unit.

        Example:

        >>> import keras
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "softmax")])
        >>> explanation = ks.explain(model, [[1.0, 2.0], [3.0, 4.0]])
        >>> explanation.units, explanation.of_unit(1).units
        (('0', '1', '2'), ('1',))
        """
        position = errors.check_member("unit", unit, self.units)
        chosen = copy.copy(self)
        for name, attribute in vars(Explanation).items():
            if isinstance(attribute, functools.cached_property):
                vars(chosen).pop(name, None)  # derived from all units
        chosen.predictions = self.predictions[:, position : position + 1]
        chosen._derivatives = self._derivatives._replace(
            predictions=chosen.predictions,
            gradients=tuple(gradients[:, position : position + 1] for gradients in self._derivatives.gradients),
        )
        chosen.units = (self.units[position],)
        if self._flips is not None:
            chosen._flips = self._flips._replace(changes=self._flips.changes[:, :, position : position + 1])
        return chosen

    def plot(self, sample: int = 0, unit: int | str | None = None, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw one sample: bars, for sequences lags by features, for images an overlay.

        Args:
            sample: Position of the row, from 0.
            unit: One unit alone, by its index or name; only then have bars and lags a sign. None: all together.
            ax: Axes to draw on; None: new ones.
            options: For `plots.local_bars`, `plots.local_heat_map` or `plots.image_overlay`.

        Returns:
            The axes.

        Raises:
            ValueError: If there is no such sample or unit.

        Example:

        >>> import keras
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "softmax")])
        >>> ax = ks.explain(model, [[1.0, 2.0], [3.0, 4.0]]).plot(sample=1, unit=2)
        >>> len(ax.patches)
        2
        """
        from keras_sensitivity import plots

        errors.check_sample(sample, len(self))
        one = self if unit is None else self.of_unit(unit)
        draw: Callable[..., Axes] = plots.local_bars if self._num_lags is None else plots.local_heat_map
        if image_shape(self._blocks) is not None:
            draw = plots.image_overlay
        return draw(one, sample, ax=ax, **options)

    def to_html(self, path: str | os.PathLike[str] | None = None, *, title: str | None = None) -> str:
        """One page: of each sample, the first 20 where there are more, the picture and the table.

        Args:
            path: A file to write; None: none.
            title: Of the page.

        Returns:
            The page, as text; see `Importance.to_html`.

        Raises:
            OSError: If the file cannot be written.

        Example:

        >>> import keras
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> "<h2>Row 1</h2>" in ks.explain(model, [[1.0, 2.0], [3.0, 4.0]]).to_html()
        True
        """
        from keras_sensitivity import report

        return report.written(report.explanation_page(self, report.Context(title=title)), path)

    def plot_beeswarm(self, unit: int | str | None = None, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw `keras_sensitivity.plots.beeswarm`: all samples, a row a feature, a dot a sample.

        Example:

        >>> import keras, numpy as np
        >>> import keras_sensitivity as ks
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "softmax")])
        >>> ax = ks.explain(model, np.eye(2)).plot_beeswarm(unit=2)
        >>> ax.get_xlabel().splitlines()
        ['rise of unit 2, to first order,', 'where the feature rises by one standard deviation']
        """
        from keras_sensitivity import plots

        return plots.beeswarm(self, ax=ax, unit=unit, **options)

    # --- what the rest is derived from ------------------------------------------------------------------------------

    def _scaled(self, samples: slice | list[int]) -> Array:
        """s[j] * g[u, k, j], 0 where a lag does not exist, shape (num_samples, num_units, num_lags, num_entries)."""
        found = self._derivatives
        parts, most = [], self._num_lags or 1
        for block, gradients, steps, valid in zip(self._blocks, found.gradients, found.steps, found.valid, strict=True):
            g = gradients[samples]
            g = g.reshape(*g.shape[:2], steps.shape[1], block.num_entries)
            by_lag = np.take_along_axis(g, steps[samples][:, None, :, None], axis=2)
            by_lag = by_lag * valid[samples][:, None, :, None]
            parts.append(np.pad(by_lag, ((0, 0), (0, 0), (0, most - by_lag.shape[2]), (0, 0))))
        return np.asarray(np.concatenate(parts, axis=3) * self.scale)

    @functools.cached_property
    def _entry_squares(self) -> Array:
        """Sum over u of (s[j] * g[u, k, j])**2, shape (num_samples, num_lags, num_entries); a block at a time."""
        squares = np.empty((len(self), self._num_lags or 1, len(self.scale)))
        for start in range(0, len(self), BLOCK):
            block = slice(start, start + BLOCK)
            squares[block] = np.square(self._scaled(block)).sum(axis=1)
        return squares

    @functools.cached_property
    def _signs(self) -> Array:
        """The numbers of `signs`; a block at a time, and none where no feature has a sign."""
        signs = np.full((len(self), len(self._features.names)), np.nan)
        if len(self.units) == 1:
            for start in range(0, len(self), BLOCK):
                block = slice(start, start + BLOCK)
                sums = self._features.sum(self._scaled(block).sum(axis=2)[:, 0])
                signs[block] = np.where(self._features.are_columns, np.sign(sums), np.nan)
        return signs

    @functools.cached_property
    def _reached(self) -> Array:
        """Whether each row has each lag of each entry, shape (num_samples, num_lags, num_entries)."""
        most = self._num_lags or 1
        return np.concatenate(
            [
                np.pad(
                    np.repeat(valid[:, :, None], block.num_entries, axis=2),
                    ((0, 0), (0, most - valid.shape[1]), (0, 0)),
                )
                for block, valid in zip(self._blocks, self._derivatives.valid, strict=True)
            ],
            axis=2,
        )

    @functools.cached_property
    def _by_lag(self) -> Array:
        """The r[k, f] of the class docstring, shape (num_samples, num_lags, num_features)."""
        return shares.rms_by_lag(self._entry_squares, self._features)

    @functools.cached_property
    def _squares(self) -> Array:
        """The q[f]**2 of the class docstring, shape (num_samples, num_features)."""
        newest_alone = self.definition.lags == "current"
        weights = shares.lag_weights(self._reached, self._features, newest_alone=newest_alone)
        return shares.numerators(self._by_lag, weights) ** 2
