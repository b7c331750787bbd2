"""Time lags: their profile, and lags by features, of all samples or of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from keras_sensitivity import errors
from keras_sensitivity.plots._style import (
    BLUE,
    new_axes,
    percent,
    plain,
    rows_of_cells,
    title,
)
from keras_sensitivity.plots._text import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from keras_sensitivity.explanation import Explanation
    from keras_sensitivity.importance import Importance

__all__ = ["heat_map", "lag_profile", "local_heat_map"]

# More bars than this are drawn as one outline: thousands of them take many seconds, and nobody sees the gaps.
MOST_BARS = 200


@picture
def lag_profile(importance: Importance, ax: Axes | None = None) -> Axes:
    """Bars of the importance of each lag, the newest on the right, as time runs; one outline of more than 200.

    Args:
        importance: What to draw; it must have a time axis.
        ax: Axes to draw on; None: new ones.

    Returns:
        The axes: lags on the horizontal axis, percent upwards.

    Raises:
        ValueError: If the importance has no time axis.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> from keras_sensitivity import plots
    >>> model = keras.Sequential([keras.Input((4, 2)), keras.layers.Flatten(), keras.layers.Dense(1)])
    >>> x = np.random.default_rng(0).normal(size=(50, 4, 2))
    >>> ax = plots.lag_profile(ks.measure(model, x))
    >>> len(ax.patches), ax.get_ylabel()
    (4, 'importance, %')
    """
    lags = importance.lags
    if lags is None:
        errors.refuse_no_lags()
    ax = new_axes(6.4, 3.2) if ax is None else ax
    if len(lags) > MOST_BARS:
        ax.stairs(lags, np.arange(len(lags) + 1) - 0.5, fill=True, color=BLUE)
    else:
        ax.bar(lags.index, lags, width=0.8, color=BLUE)
    ax.set(ylabel="importance, %", xlim=(len(lags) - 0.4, -0.6))
    _lag_axis(ax)
    plain(ax)
    return ax


@picture
def heat_map(importance: Importance, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """The sensitivity of each lag and feature as colours: rows features, columns lags, the newest on the right.

    Args:
        importance: What to draw; it must have a time axis.
        ax: Axes to draw on; None: new ones.
        top: Rows at the most: the most important features, the first above.

    Returns:
        The axes. The colours are shares of all, percent, from white (none) to dark blue (the largest).

    Raises:
        ValueError: If the importance has no time axis.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> from keras_sensitivity import plots
    >>> model = keras.Sequential([keras.Input((4, 2)), keras.layers.Flatten(), keras.layers.Dense(1)])
    >>> x = np.random.default_rng(0).normal(size=(50, 4, 2))
    >>> ax = plots.heat_map(ks.measure(model, x))
    >>> ax.images[0].get_array().shape  # features, lags
    (2, 4)
    """
    by_lag = importance.by_lag
    if by_lag is None:
        errors.refuse_no_lags()
    ranked = importance.usage.sort_values(ascending=False, kind="stable").index
    return _lags_by_features(by_lag[ranked], ax, top, signed=False)


@picture
def local_heat_map(explanation: Explanation, sample: int = 0, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Like `heat_map`, of one sample.

    Args:
        explanation: What to draw; it must have a time axis. Of one unit (see `Explanation.of_unit`), orange cells with
            a minus are entries whose higher value lowers the output; of several units together, no cell has a sign.
        sample: Position of the row, from 0.
        ax: Axes to draw on; None: new ones.
        top: Rows at the most: the features with the largest shares, the first above.

    Returns:
        The axes.

    Raises:
        ValueError: If the explanation has no time axis.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> from keras_sensitivity import plots
    >>> model = keras.Sequential([keras.Input((4, 2)), keras.layers.Flatten(), keras.layers.Dense(1)])
    >>> x = np.random.default_rng(0).normal(size=(50, 4, 2))
    >>> ax = plots.local_heat_map(ks.explain(model, x[:3], background=x), sample=2)
    >>> ax.images[0].get_array().shape  # features, lags
    (2, 4)
    """
    by_lag = explanation.by_lag(sample)
    if by_lag is None:
        errors.refuse_no_lags()
    ranked = by_lag.abs().sum().sort_values(ascending=False, kind="stable").index
    ax = _lags_by_features(by_lag[ranked], ax, top, signed=len(explanation.units) == 1)
    title(ax, explanation, sample)
    return ax


def _lags_by_features(by_lag: pd.DataFrame, ax: Axes | None, top: int, *, signed: bool) -> Axes:
    """Shares of all, percent: the first ``top`` columns of a table of lags by features, and the rest in words."""
    shares = 100 * by_lag / max(by_lag.abs().to_numpy().sum(), np.finfo(float).tiny)
    shown = shares.iloc[:, :top].T
    if by_lag.shape[1] > top:
        rest = shares.iloc[:, top:]
        shown.loc[f"the other {rest.shape[1]:,}: {percent(rest.abs().to_numpy().sum())}"] = np.nan
    num_rows, num_lags = shown.shape
    ax = new_axes(6.8, 1.4 + 0.3 * num_rows) if ax is None else ax
    label = "share of the sensitivity"
    edges = (num_lags - 0.5, -0.5, num_rows - 0.5, -0.5)
    rows_of_cells(ax, shown.iloc[:, ::-1], label=label, extent=edges, signed=signed)
    _lag_axis(ax)
    return ax


def _lag_axis(ax: Axes) -> None:
    """Ticks at whole lags, with their names."""
    ax.locator_params(axis="x", integer=True)
    ax.xaxis.set_major_formatter(lambda place, _: f"lag {place:g}")
    ax.set_xlabel("steps back from the newest", loc="right")
