"""Many explained samples at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_sensitivity.plots._style import new_axes, percent, rows_of_cells
from keras_sensitivity.plots._text import picture, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from keras_sensitivity.explanation import Explanation

__all__ = ["overview"]


@picture
def overview(explanation: Explanation, ax: Axes | None = None, *, top: int = 20, most: int = 50) -> Axes:
    """The shares of the first ``most`` samples as colours: a row a sample, a column a feature.

    Args:
        explanation: What to draw.
        ax: Axes to draw on; None: new ones.
        top: Columns at the most: the features with the largest mean shares, the first on the left. A last column
            names the mean share of the rest.
        most: Rows at the most.

    Returns:
        The axes: percent from white (none) to dark blue (the largest).

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> from keras_sensitivity import plots
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> ax = plots.overview(ks.explain(model, x), most=10)
    >>> ax.images[0].get_array().shape  # samples, features
    (10, 3)
    """
    shares = explanation.features[:most]
    ranked = shares[shares.mean().sort_values(ascending=False, kind="stable").index]
    shown = ranked.iloc[:, :top].copy()
    if ranked.shape[1] > top:
        rest = ranked.iloc[:, top:].sum(axis=1).mean()
        shown[f"the other {ranked.shape[1] - top:,}: {percent(rest)}"] = np.nan
    ax = new_axes(2.4 + 0.3 * shown.shape[1], 2.2 + 0.2 * len(shown)) if ax is None else ax
    rows_of_cells(ax, shown, label="share of the sensitivity")
    ax.set_xticks(range(shown.shape[1]), short(shown.columns, 24), rotation=90)
    ax.set_ylabel("sample")
    return ax
