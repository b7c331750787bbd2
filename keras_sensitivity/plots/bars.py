"""Bars: the ranking of the features, and the shares of one sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from keras_sensitivity.plots._style import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    new_axes,
    noise_band,
    percent,
    plain,
    title,
    value,
)
from keras_sensitivity.plots._text import picture, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from keras_sensitivity.explanation import Explanation
    from keras_sensitivity.importance import Importance

__all__ = ["local_bars", "ranking"]

# The axes are this many times as long as the longest bar.
MARGIN = 1.04


@picture
def ranking(importance: Importance, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Bars of the ``top`` features, the most important above, with standard errors, and one bar for the rest.

    With `NoiseProbes` in the model a grey band shows where bars of pure noise would end.

    Args:
        importance: What to draw.
        ax: Axes to draw on; None: new ones.
        top: Bars at the most.

    Returns:
        The axes: horizontal bars in percent, in the order of their rank, with their values in a column on the right.
        The bar of the rest may be longer than the axes; then its value has an arrow.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> from keras_sensitivity import plots
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.set_weights([np.array([[3.0], [-9.0]]), np.zeros(1)])
    >>> ax = plots.ranking(ks.measure(model, np.eye(2), feature_names=["age", "debt"]))
    >>> [text.get_text() for text in ax.get_yticklabels()], [text.get_text() for text in ax.texts]
    (['debt', 'age'], ['75.0 %', '25.0 %'])
    """
    table = importance.table.sort_values("rank")
    shown, rest = table.iloc[:top], table.iloc[top:]
    labels = short(shown.index)
    values, errors = list(shown["importance"]), list(shown["standard_error"])
    if len(rest):
        labels.append(f"the other {len(rest):,}")
        values.append(rest["importance"].sum())
        errors.append(np.nan)
    ax = new_axes(6.4, 1.0 + 0.27 * len(labels)) if ax is None else ax
    # The band is one of usage, which not every definition shows.
    if importance.noise_band is not None and np.allclose(importance.features, importance.usage):
        noise_band(ax.axvspan, *importance.noise_band)
        ax.legend(frameon=False, loc="lower right")
    colours = [BLUE] * len(shown) + [GREY] * (len(labels) - len(shown))
    end = MARGIN * float((shown["importance"] + shown["standard_error"].fillna(0)).max())
    _bars(ax, labels, values, colours, start=0, end=end)
    ax.errorbar(values, range(len(labels)), xerr=errors, fmt="none", ecolor=INK, elinewidth=1, capsize=2)
    ax.set_xlabel("importance, %\n(whiskers: ± 1 standard error)", loc="right")
    return ax


@picture
def local_bars(explanation: Explanation, sample: int = 0, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Bars of the shares of one sample, the largest above, and one bar for the rest.

    Args:
        explanation: What to draw. Of one unit (see `Explanation.of_unit`), bars to the left are features whose higher
            value lowers the output; of several units together, and of groups, no bar has a direction.
        sample: Position of the row, from 0.
        ax: Axes to draw on; None: new ones.
        top: Bars at the most.

    Returns:
        The axes: horizontal bars in percent, the names followed by the values of the features, the shares in a column
        on the right. The bar of the rest may be longer than the axes; then its share has an arrow.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> from keras_sensitivity import plots
    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    >>> model.set_weights([np.array([[3.0], [-9.0]]), np.zeros(1)])
    >>> explanation = ks.explain(model, np.eye(2), feature_names=["age", "debt"])
    >>> ax = plots.local_bars(explanation, sample=1)
    >>> [text.get_text() for text in ax.get_yticklabels()], [text.get_text() for text in ax.texts]
    (['debt = 1', 'age = 0'], ['90.0 %', '10.0 %'])
    """
    shares = explanation.features.iloc[sample].sort_values(ascending=False, kind="stable")
    shown, rest = shares[:top], shares[top:]
    signs = explanation.signs.iloc[sample][shown.index]
    given = explanation.values(sample)
    labels = [
        f"{label} = {value(given[name])}" if name in given else label
        for name, label in zip(shown.index, short(shown.index, 24), strict=True)
    ]
    lengths = list(shown * signs.replace(0, 1).fillna(1))
    colours = [ORANGE if sign < 0 else BLUE if sign > 0 else GREY for sign in signs]
    if signs.isna().all():
        colours = [BLUE] * len(shown)
    if len(rest):
        labels.append(f"the other {len(rest):,}")
        lengths.append(rest.sum())
        colours.append(GREY)
    ax = new_axes(6.4, 1.3 + 0.27 * len(labels)) if ax is None else ax
    named = lengths[: len(shown)]
    _bars(ax, labels, lengths, colours, start=MARGIN * min(*named, 0), end=MARGIN * max(*named, 0))
    ax.axvline(0, color=INK, linewidth=0.8)
    ax.set_xlabel(_direction(explanation), loc="right")
    title(ax, explanation, sample)
    ax.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    return ax


def _bars(
    ax: Axes, labels: Sequence[str], values: Sequence[float], colours: Sequence[str], *, start: float, end: float
) -> None:
    """Horizontal bars, the first above, between their labels and a column of their values without signs."""
    places = range(len(labels))
    ax.barh(places, values, height=0.72, color=colours)
    for place, length in zip(places, values, strict=True):
        text = percent(abs(length)) + (" \N{RIGHTWARDS ARROW}" if length > end else "")
        ax.text(1.01, place, text, transform=ax.get_yaxis_transform(), va="center", fontsize=9, color=INK)
    ax.set(yticks=places, yticklabels=labels, xlim=(start, end if end > start else 1))
    ax.invert_yaxis()
    ax.tick_params(axis="y", length=0)
    plain(ax)


def _direction(explanation: Explanation) -> str:
    """What the bars are."""
    if len(explanation.units) > 1:
        return f"share, %\n(all {len(explanation.units)} outputs together)"
    return "share, %\n(left: a higher value lowers the output)"
