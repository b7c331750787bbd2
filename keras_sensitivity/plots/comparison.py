"""Several looks side by side: a row a feature, a dot a look."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from keras_sensitivity.plots._style import COLOURS, INK, new_axes, percent, plain
from keras_sensitivity.plots._text import picture, short

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

    from keras_sensitivity.comparison import Comparison

__all__ = ["side_by_side"]

# With the sizes, in points, at which they weigh the same to the eye. There are 12 of them and 7 colours, which have no
# common divisor, so that looks of the same shape differ in colour.
SHAPES = (("o", 5.6), ("s", 5.0), ("D", 4.6), ("^", 6.2), ("v", 6.2), ("P", 7.2), ("X", 7.2), ("<", 6.2), (">", 6.2),
          ("p", 6.4), ("h", 6.4), ("*", 8.6))  # fmt: skip

# Parts of the height of a row: what its dots share, and its grey bar.
SHARED, BAR = 0.72, 0.84
RANGE = "#ECECEC"

# Inches that a letter, and the mark before a name, take in the legend.
LETTER, MARK = 0.075, 0.34


@picture
def side_by_side(comparison: Comparison, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Dots of the ``top`` features, the most important above, one for each look, with standard errors.

    Args:
        comparison: What to draw.
        ax: Axes to draw on; None: new ones.
        top: Rows at the most: those with the largest mean over the looks. A last row names the share of the rest.

    Returns:
        The axes: percent to the right, a row a feature, in it the looks from the first above to the last below, each
        with a colour and a shape of its own; a grey bar from the least to the largest, and both in a column on the
        right.

    Example:

    >>> import pandas as pd
    >>> import keras_sensitivity as ks
    >>> from keras_sensitivity import plots
    >>> looks = {"first": pd.Series({"age": 40.0, "debt": 60.0}), "second": pd.Series({"age": 45.5, "debt": 54.5})}
    >>> ax = plots.side_by_side(ks.compare(looks))
    >>> [text.get_text() for text in ax.get_yticklabels()], [text.get_text() for text in ax.texts]
    (['debt', 'age'], ['54.5 to 60.0 %', '40.0 to 45.5 %'])
    """
    spread = comparison.spread.sort_values("mean", ascending=False, kind="stable")
    shown, rest = spread[:top], spread[top:]
    labels, ends = short(shown.index), shown[["min", "max"]].to_numpy().tolist()
    if len(rest):
        sums = comparison.table.loc[rest.index].sum()
        labels.append(f"the other {len(rest):,}")
        ends.append([sums.min(), sums.max()])
    num_looks = comparison.table.shape[1]
    ax = new_axes(7.2, 1.4 + len(labels) * min(0.2 + 0.06 * num_looks, 0.62)) if ax is None else ax
    ax.barh(range(len(shown)), shown["max"] - shown["min"], left=shown["min"], height=BAR, color=RANGE)
    dots = _dots(ax, comparison.table.loc[shown.index], comparison.standard_errors.loc[shown.index])
    for place, (least, largest) in enumerate(ends):
        words = _both(least, largest)
        ax.text(1.01, place, words, transform=ax.get_yaxis_transform(), va="center", fontsize=9, color=INK)
    ax.set(yticks=range(len(labels)), yticklabels=labels, ylim=(len(labels) - 0.5, -0.5))
    ax.set_xlim(left=0)
    whiskers = "" if comparison.standard_errors.isna().all(axis=None) else "whiskers: ± 1 standard error; "
    ax.set_xlabel(f"importance, %\n({whiskers}grey: range)", loc="right")
    ax.tick_params(axis="y", length=0)
    plain(ax)
    _legend(ax, dots)
    return ax


def _dots(ax: Axes, values: pd.DataFrame, errors: pd.DataFrame) -> list[Line2D]:
    """A dot for each feature and look, with its whisker, one below the other; returns the dots of each look."""
    dots = []
    for number, (look, label) in enumerate(zip(values, short(values, 24), strict=True)):
        shape, size = SHAPES[number % len(SHAPES)]
        places = np.arange(len(values)) + SHARED * ((number + 0.5) / values.shape[1] - 0.5)
        drawn = ax.errorbar(
            values[look], places, xerr=errors[look], fmt=shape, markersize=size, color=COLOURS[number % len(COLOURS)],
            markeredgecolor="white", markeredgewidth=0.5, elinewidth=1.1,
        )  # fmt: skip
        # A dot at 0 is whole, and the legend shows dots without whiskers.
        drawn[0].set(clip_on=False, label=label)
        dots.append(drawn[0])
    return dots


def _legend(ax: Axes, dots: list[Line2D]) -> None:
    """The names of the looks above the axes, in rows from the left to the right that are no wider than the axes."""
    longest = max(len(str(each.get_label())) for each in dots)
    most = max(1, int(ax.bbox.width / ax.figure.dpi / (MARK + LETTER * longest)))
    columns = math.ceil(len(dots) / math.ceil(len(dots) / most))
    by_column = [each for column in range(columns) for each in dots[column::columns]]
    numbers = list(map(str, range(len(dots))))  # a label that begins with "_" is not let into a legend, but a text is
    legend = ax.legend(by_column, numbers, ncols=columns, frameon=False, loc="lower right", bbox_to_anchor=(1, 1),
                       fontsize=9, borderaxespad=0.2, handlelength=1, handletextpad=0.4, columnspacing=1.2)  # fmt: skip
    for text, each in zip(legend.get_texts(), by_column, strict=True):
        text.set_text(str(each.get_label()))


def _both(least: float, largest: float) -> str:
    """Two percents, or one where they read the same.

    >>> _both(5.72, 8.9), _both(0.004, 0.31), _both(12.01, 12.04)
    ('5.7 to 8.9 %', '< 0.01 to 0.31 %', '12.0 %')
    """
    ends = dict.fromkeys((percent(least), percent(largest)))
    return " to ".join(ends).replace(" %", "", len(ends) - 1)
