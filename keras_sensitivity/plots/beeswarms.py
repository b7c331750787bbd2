"""Swarms: the derivatives at all explained samples, a row a feature, a dot a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from keras_sensitivity import errors
from keras_sensitivity.plots._style import BLUE, GREY, INK, ORANGE, new_axes, percent, plain
from keras_sensitivity.plots._text import picture, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from keras_sensitivity.explanation import Explanation

__all__ = ["beeswarm"]

Array = np.ndarray[Any, Any]

# Dots are stacked in so many columns over the width, to half of a row's height at the most.
COLUMNS, REACH, CLOSEST = 90, 0.4, 0.08

# The colours end at these percentiles of the values, so that a far value does not make all others alike.
ENDS = (5, 95)

# More dots than this are drawn as pixels where the rest is drawn as lines, as in a PDF.
MOST_DOTS = 2000


@picture
def beeswarm(explanation: Explanation, ax: Axes | None = None, *, unit: int | str | None = None, top: int = 20) -> Axes:
    """A dot for each sample and feature: to the right where a higher value raises the output, to the left where not.

    Its place is the derivative times the standard deviation of the feature, with a time axis the mean over the lags;
    its colour says whether the sample has a low or a high value of the feature. So a line of dots at one place is a
    linear effect, blue dots on one side and orange ones on the other an effect that turns.

    Args:
        explanation: What to draw; of one unit.
        ax: Axes to draw on; None: new ones.
        unit: One output unit, by its name or index; needed where the model has several.
        top: Rows at the most: the features with the largest mean squares, the first above. A last row names the mean
            share of the rest.

    Returns:
        The axes: in output to the right (per input for ``scale=None``), a row a feature. Groups and codes have no
        direction: their dots are grey, and lie on the right.

    Raises:
        ValueError: If there are several units and none is chosen, or no such one.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> from keras_sensitivity import plots
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.set_weights([np.array([[3.0], [-9.0]]), np.zeros(1)])
    >>> x = np.random.default_rng(0).normal(size=(50, 2))
    >>> ax = plots.beeswarm(ks.explain(model, x, feature_names=["age", "debt"]))
    >>> [text.get_text() for text in ax.get_yticklabels()], len(ax.collections[0].get_offsets())
    (['debt', 'age'], 100)
    """
    one = explanation if unit is None else explanation.of_unit(unit)
    errors.check_one_unit(one.units)
    ranked = (one.sizes**2).mean().sort_values(ascending=False, kind="stable").index
    names, rest = ranked[:top], ranked[top:]
    labels = short(names, 24)
    if len(rest):
        labels.append(f"the other {len(rest):,}: {percent(one.features[rest].sum(axis=1).mean())}")
    ax = new_axes(6.8, 1.5 + 0.32 * len(labels)) if ax is None else ax
    effects = one.sizes[names] * one.signs[names].fillna(1).replace(0, 1)
    _swarm(ax, effects.to_numpy(), _colour_values(one.newest_values[names].where(one.signs[names].notna())))
    ax.axvline(0, color=INK, linewidth=0.8, zorder=1)
    ax.set(yticks=range(len(labels)), yticklabels=labels, ylim=(len(labels) - 0.5, -0.5))
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(_meaning(one), loc="right")
    plain(ax)
    return ax


def _swarm(ax: Axes, effects: Array, values: Array) -> None:
    """Dots at (effect, row) for arrays of shape (num_samples, num_features), stacked where they are many."""
    from matplotlib.colors import LinearSegmentedColormap

    rows = np.arange(effects.shape[1]) + _stacked(effects)
    known = ~np.isnan(values)
    size, is_rasterized = 14 if len(effects) <= 300 else 6, effects.size > MOST_DOTS
    colours = LinearSegmentedColormap.from_list("values", [BLUE, "#BDB4C6", ORANGE])
    dots = ax.scatter(effects[known], rows[known], size, values[known], cmap=colours, vmin=0, vmax=1, linewidths=0,
                      zorder=3, rasterized=is_rasterized)  # fmt: skip
    if not known.all():
        ax.scatter(effects[~known], rows[~known], size, GREY, linewidths=0, zorder=3, rasterized=is_rasterized)
    bar = ax.figure.colorbar(dots, ax=ax, label="value of the feature", aspect=max(15, 6 * effects.shape[1]))
    bar.set_ticks([0, 1], labels=["low", "high"])
    bar.outline.set_visible(False)


def _stacked(effects: Array) -> Array:
    """How far each dot stands from the middle of its row, so that where many are, the row is thick.

    >>> _stacked(np.array([[1.0], [1.0], [1.0], [9.0]])).round(2).ravel().tolist()
    [0.0, -0.08, 0.08, 0.0]
    """
    low, high = effects.min(), effects.max()
    columns = pd.DataFrame(np.floor((effects - low) / max(high - low, np.finfo(float).tiny) * COLUMNS))
    number = np.column_stack([columns.groupby(columns[row]).cumcount() for row in range(columns.shape[1])])
    steps = (number + 1) // 2 * np.where(number % 2, -1, 1)
    return np.asarray(steps * np.minimum(CLOSEST, REACH / np.maximum(1, np.abs(steps).max(axis=0))))


def _colour_values(values: pd.DataFrame) -> Array:
    """From 0, low, to 1, high, within each feature, 0.5 where all are the same; NaN where there is no value."""
    given = values.to_numpy(dtype=float)
    low, high = (values.quantile(end / 100).to_numpy(dtype=float) for end in ENDS)
    spread = np.where(high > low, high - low, 1.0)
    middle = np.where(high > low, low, given - 0.5)
    return np.clip((given - middle) / spread, 0, 1)


def _meaning(explanation: Explanation) -> str:
    """What the dots are."""
    scale = explanation.definition.scale
    by = "one standard deviation" if isinstance(scale, str) else "1" if scale is None else "its scale"
    (unit,) = short(explanation.unit_labels)
    return f"rise of {'the ' if unit == 'prediction' else ''}{unit}, to first order,\nwhere the feature rises by {by}"
