"""What all pictures share: colours, plain axes, the words of numbers and names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from keras_sensitivity.plots._text import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import FuncNorm
    from matplotlib.image import AxesImage

    from keras_sensitivity.explanation import Explanation

__all__: list[str] = []

BLUE, ORANGE, GREY, INK, PALE = "#0072B2", "#D55E00", "#9A9A9A", "#222222", "#E4E4E4"
BAND = "#D9D4C7"
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", INK)

# Letters of a prediction that stand beside the number of the sample.
LINE = 20

# Cells of a map that are at least this part of the largest are marked where they are negative.
MARKED_PART = 0.02


def new_axes(width: float, height: float) -> Axes:
    """Axes on a new figure of the given size in inches."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def plain(ax: Axes) -> None:
    """No frame but the axes themselves, and a quiet grid along the values."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x" if ax.yaxis_inverted() else "y", color=PALE, linewidth=0.8)
    ax.set_axisbelow(True)


def noise_band(draw: Callable[..., Any], *ends: Any) -> Any:
    """A grey band where pure noise would lie, behind everything, drawn by a function of the axes."""
    return draw(*ends, color=BAND, linewidth=0, zorder=0, label="noise")


def percent(value: float) -> str:
    """At least two digits, so that a small importance is not rounded to nothing.

    >>> percent(45.24), percent(0.226), percent(1e-5), percent(0)
    ('45.2 %', '0.23 %', '< 0.01 %', '0 %')
    """
    if 0 < value < 0.01:
        return "< 0.01 %"
    return "0 %" if value == 0 else f"{value:.1f} %" if value >= 1 else f"{value:.2g} %"


def value(given: object) -> str:
    """A number in four digits, or the start of a text.

    >>> value(1234.5678), value(3), value("red")
    ('1235', '3', 'red')
    """
    return short([given], 16)[0] if isinstance(given, (str, bytes)) else f"{given:.4g}"


def title(ax: Axes, explanation: Explanation, sample: int) -> None:
    """Which sample is drawn, and what was predicted for it; in two lines where it is long."""
    predictions = explanation.predictions[sample]
    largest = int(predictions.argmax())
    which = "" if len(predictions) == 1 else f"largest of {len(predictions)}: "
    name, unit = short([explanation.features.index[sample], explanation.unit_labels[largest]])
    predicted = f"{which}{unit} = {predictions[largest]:.4g}"
    between = ": " if len(predicted) < LINE else "\n"
    ax.set_title(f"sample {name}{between}{predicted}", fontsize=11)


def rows_of_cells(
    ax: Axes,
    cells: pd.DataFrame,
    *,
    label: str,
    extent: tuple[float, float, float, float] | None = None,
    signed: bool = False,
) -> AxesImage:
    """Draw a table as colours, a row of the table as a row of the picture, with its name and a colour bar.

    From white (none) to dark blue (the largest), by the cube root, so that beside a row of 90 % one of 1 % is seen.
    Signed cells from orange (the most negative) over white to blue; a minus marks the negative ones, for eyes and
    printers that do not tell the colours apart. Cells that are NaN are grey: the sum of many features would outshine
    every single one, so it is told by the name of its row.
    """
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    values = cells.to_numpy(dtype=float)
    reach = max(float(np.nanmax(np.abs(values), initial=0.0)), np.finfo(float).tiny)
    colours = LinearSegmentedColormap.from_list("signed", [ORANGE, "white", BLUE]) if signed else colormaps["Blues"]
    image = ax.imshow(
        values, aspect="auto", interpolation="nearest", extent=extent, cmap=colours.with_extremes(bad=PALE),
        norm=by_root(reach, signed=signed),
    )  # fmt: skip
    left, right, bottom, top = image.get_extent()
    height, width = values.shape
    for row, column in np.argwhere(values < -MARKED_PART * reach):
        place = left + (column + 0.5) * (right - left) / width, top + (row + 0.5) * (bottom - top) / height
        ax.text(*place, "\N{MINUS SIGN}", ha="center", va="center", fontsize=min(8, 140 / width), color=INK)
    ax.set(yticks=range(height), yticklabels=short(cells.index, 24))
    ax.tick_params(axis="y", length=0)
    percent_bar(ax, image, label=label)
    return image


def by_root(reach: float, *, root: int = 3, signed: bool = False) -> FuncNorm:
    """Colours by a root of the size of a value, so that beside a share of 90 % one of 1 % is seen."""
    from matplotlib.colors import FuncNorm

    def forward(values: Any) -> Any:
        return np.sign(values) * np.abs(values) ** (1 / root)

    def inverse(roots: Any) -> Any:
        return np.sign(roots) * np.abs(roots) ** root

    return FuncNorm((forward, inverse), vmin=-reach if signed else 0, vmax=reach)


def percent_bar(ax: Axes, image: AxesImage, *, label: str, **options: Any) -> None:
    """A colour bar of `by_root`, in percent."""
    norm: Any = image.norm
    bar = ax.figure.colorbar(image, ax=ax, label=label, **options)
    levels = _levels(norm.inverse(np.linspace(0, 1, 5)))
    bar.set_ticks(levels, labels=[f"{level:.3g} %".replace("-", "\N{MINUS SIGN}") for level in levels])
    bar.minorticks_off()


def _levels(values: Sequence[float]) -> list[float]:
    """Ascending values, of which all but the first and the last are rounded to one digit.

    >>> _levels([0.0, 0.582, 4.66, 15.7, 37.25]), _levels([-3.2, -1e-17, 3.2])
    ([0.0, 0.6, 5.0, 20.0, 37.25], [-3.2, 0.0, 3.2])
    """
    first, *between, last = map(float, values)
    rounded = [float(f"{value:.1g}") if abs(value) > 1e-6 * last else 0.0 for value in between]
    return [first, *rounded, last]
