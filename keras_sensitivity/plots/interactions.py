"""Interactions: each pair of features as a colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from keras_sensitivity.plots._style import INK, PALE, by_root, new_axes, percent, percent_bar
from keras_sensitivity.plots._text import picture, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

    from keras_sensitivity.interaction import Interactions

__all__ = ["interaction_map"]

# Up to so many features the numbers stand in the cells.
MOST_NUMBERS = 12


@picture
def interaction_map(found: Interactions, ax: Axes | None = None, *, top: int = 12) -> Axes:
    """A map of the pairs of features: what two move jointly as a colour, what each moves in all on the diagonal.

    Args:
        found: What to draw.
        ax: Axes to draw on; None: new ones.
        top: Features at the most: those that take part in the strongest pairs, in the model's order.

    Returns:
        The axes. The colours are percent of the output's variance, from white (none) to dark blue (the largest pair);
        with ``order="derivative"`` second derivatives. The diagonal is grey, and told in numbers.

    Example:

    >>> import numpy as np
    >>> import keras_sensitivity as ks
    >>> from keras_sensitivity import plots
    >>> x = np.random.default_rng(0).normal(size=(200, 4))
    >>> ax = plots.interaction_map(ks.interactions(lambda x: x[:, 0] * x[:, 1] + x[:, 2], x), top=3)
    >>> ax.images[0].get_array().shape
    (3, 3)
    """
    table = found.table
    joint = table.to_numpy(copy=True)
    np.fill_diagonal(joint, np.nan)
    strongest = np.argsort(-np.nan_to_num(joint, nan=0.0).max(axis=1), kind="stable")[:top]
    shown = np.sort(strongest)
    cells, totals = joint[np.ix_(shown, shown)], table.to_numpy()[shown, shown]
    count, is_percent = len(shown), found.order == "swap"
    ax = new_axes(2.6 + 0.55 * count, 1.9 + 0.45 * count) if ax is None else ax
    from matplotlib import colormaps

    lower = np.where(np.tri(count, dtype=bool), cells, np.nan)
    reach = max(float(np.nanmax(lower, initial=0.0)), np.finfo(float).tiny)
    image = ax.imshow(lower, cmap=colormaps["Blues"].with_extremes(bad="white"), norm=by_root(reach, root=2))
    for row, total in enumerate(totals):
        ax.add_patch(_cell(row))
        ax.text(row, row, _number(total, is_percent=is_percent), ha="center", va="center", fontsize=8, color=INK)
        if count <= MOST_NUMBERS:
            for column in range(row):
                value = lower[row, column]
                words = "" if np.isnan(value) else _number(value, is_percent=is_percent)
                dark = value > 0.3 * reach
                ax.text(column, row, words, ha="center", va="center", fontsize=8, color="white" if dark else INK)
    names = short(table.index[shown], 20)
    ax.set_xticks(range(count), names, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(count), names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    left = len(table) - count
    others = f"\n{left:,} features in weaker pairs are not drawn" if left else ""
    if is_percent:
        percent_bar(ax, image, label="jointly, of the output's variance")
        ax.set_title(f"grey: what each moves in all, %{others}", fontsize=9, loc="left", color=INK)
    else:
        ax.figure.colorbar(image, ax=ax, label="second derivative, in output")
        ax.set_title(f"grey: curvature of each{others}", fontsize=9, loc="left", color=INK)
    return ax


def _cell(place: int) -> Rectangle:
    """The grey of a cell of the diagonal."""
    from matplotlib.patches import Rectangle

    return Rectangle((place - 0.5, place - 0.5), 1, 1, facecolor=PALE, edgecolor="white")


def _number(value: float, *, is_percent: bool) -> str:
    """A number in a cell, without its unit; of percent nothing that the eye should not see.

    >>> _number(24.41, is_percent=True), _number(0.04, is_percent=True), _number(1e-6, is_percent=True)
    ('24.4', '0.04', '0')
    >>> _number(0.001234, is_percent=False)
    '0.0012'
    """
    if not is_percent:
        return f"{value:.2g}"
    return percent(value if value >= 0.005 else 0.0).removesuffix(" %")
