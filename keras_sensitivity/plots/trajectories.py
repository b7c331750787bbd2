"""Importances over epochs: lines with names at their ends, or one row of colours a feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from keras_sensitivity import errors
from keras_sensitivity.plots._style import (
    COLOURS,
    GREY,
    INK,
    new_axes,
    noise_band,
    percent,
    plain,
    rows_of_cells,
)
from keras_sensitivity.plots._text import picture, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["trajectory", "trajectory_heat_map"]

# What the columns of a trajectory of lags are called.
LAG = "lag"

# Points between the centres of two labels.
LABEL_GAP = 13.0

# One after the other, when all colours are taken: no two lines look alike.
DASHES = ("-", "--", ":", "-.", (0, (6, 1.5, 1, 1.5, 1, 1.5)), (0, (1.5, 0.7)))

# Deaths are named together within this part of the width: as many names as this, and how many more.
NAMES_GAP, MOST_NAMES, NAME_LETTERS = 0.34, 3, 16


@picture
def trajectory(
    importances: pd.DataFrame,
    ax: Axes | None = None,
    *,
    events: pd.DataFrame | None = None,
    noise: pd.DataFrame | None = None,
    top: int = 5,
    log: bool = False,
) -> Axes:
    """Lines of the importances over epochs; the most important are coloured and named at their ends.

    Args:
        importances: `SensitivityCallback.trajectory` or ``lag_trajectory``: index epoch, columns features, percent.
        ax: Axes to draw on; None: new ones.
        events: `SensitivityCallback.events`: a cross marks a death, a ring a revival, with their names.
        noise: `SensitivityCallback.noise_band`: a grey band between these percents, in which features look like noise.
        top: Features that are coloured and named: those most important at the last epoch. The others are grey. Where
            there are more than colours, the lines are dashed.
        log: Whether percents are on a logarithmic scale, on which features near death can be told apart.

    Returns:
        The axes: epochs to the right, percent upwards; each line has its feature's name as label.

    Example:

    >>> import pandas as pd
    >>> from keras_sensitivity import plots
    >>> importances = pd.DataFrame({"age": [50.0, 30.0, 20.0], "debt": [50.0, 70.0, 80.0]})
    >>> ax = plots.trajectory(importances)
    >>> [text.get_text() for text in ax.texts]
    ['debt  80.0 %', 'age  20.0 %']
    """
    from matplotlib.ticker import LogLocator, NullLocator

    _check(importances)
    ax = new_axes(7.2, 4.2) if ax is None else ax
    last = importances.iloc[-1].sort_values(ascending=False, kind="stable")
    names = list(last.index)  # of features, or numbers of lags
    styles = {name: _line_style(number) for number, name in enumerate(names[:top])}
    grey = {"color": GREY, "linewidth": 1.0, "alpha": 0.7, "zorder": 2}
    for name, label in reversed([*zip(names, _names(last.index), strict=True)]):
        marker = "o" if len(importances) == 1 else None
        ax.plot(importances.index, importances[name], label=label, marker=marker, **styles.get(name, grey))
    ax.set(xlabel="epoch", ylabel="importance, %")
    ax.locator_params(axis="x", integer=True)
    ax.margins(x=0.01)
    if log:
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_locator(NullLocator())
    else:
        ax.set_ylim(0, max(1.06 * float(importances.max().max()), 1e-9))
    plain(ax)
    _label_ends(ax, last[:top], list(styles.values()))
    keys: list[Any] = []
    if noise is not None:
        keys.append(noise_band(ax.fill_between, noise.index, noise["lower"], noise["upper"]))
    if events is not None:
        keys += _mark_events(ax, events[events["feature"].isin(importances.columns)])
    if keys:
        ax.legend(handles=keys, frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(keys),
                  borderaxespad=0.2, handletextpad=0.4, columnspacing=1)  # fmt: skip
    return ax


@picture
def trajectory_heat_map(importances: pd.DataFrame, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """The importances over epochs as colours, a row a feature: legible where the lines of many would cross.

    Args:
        importances: `SensitivityCallback.trajectory` or ``lag_trajectory``: index epoch, columns features, percent.
        ax: Axes to draw on; None: new ones.
        top: Rows at the most: those most important at the last epoch, the first above; of lags, the newest above. A
            last row names the share that the rest has there.

    Returns:
        The axes: epochs to the right, percent from white (none) to dark blue (the largest).

    Example:

    >>> import pandas as pd
    >>> from keras_sensitivity import plots
    >>> importances = pd.DataFrame({"age": [50.0, 30.0, 20.0], "debt": [50.0, 70.0, 80.0]})
    >>> ax = plots.trajectory_heat_map(importances)
    >>> ax.images[0].get_array().shape  # features, epochs
    (2, 3)
    """
    ranked = importances[importances.iloc[-1].sort_values(ascending=False, kind="stable").index].T
    shown, rest = ranked[:top].copy(), ranked[top:]
    if importances.columns.name == LAG:
        shown = shown.sort_index()  # lags have an order of their own
    shown.index = _names(shown.index)
    if len(rest):
        shown.loc[f"the other {len(rest):,}: {percent(rest.iloc[:, -1].sum())}"] = np.nan
    ax = new_axes(7.2, 1.4 + 0.3 * len(shown)) if ax is None else ax
    rows_of_cells(ax, shown, label="importance")
    # Looks need not be evenly spaced, so each cell is numbered by its epoch.
    ax.xaxis.set_major_formatter(lambda place, _: _at(importances.index, place))
    ax.locator_params(axis="x", integer=True)
    ax.set_xlabel("epoch")
    return ax


def _check(importances: pd.DataFrame) -> None:
    """Refuse a table that has nothing to draw."""
    types = (*importances.dtypes, importances.index.dtype)
    kinds = [each.kind if isinstance(each, np.dtype) else "O" for each in types]  # not pandas' own, which have NA
    errors.check_numbers_to_draw(importances.shape, set(kinds) <= set("biuf"))
    errors.check_unique_names("`importances`", list(map(str, importances.columns)))


def _at(epochs: pd.Index[Any], place: float) -> str:
    """The epoch of the cell at this place, or nothing between and beyond them."""
    return str(epochs[int(place)]) if place == int(place) and 0 <= place < len(epochs) else ""


def _names(columns: pd.Index[Any]) -> pd.Index[str]:
    """Names of features as they are, of lags in words."""
    return pd.Index([f"lag {name}" if columns.name == LAG else str(name) for name in columns])


def _line_style(number: int) -> dict[str, Any]:
    """Colour and dashes of the line of this number, which no other has."""
    dashes = DASHES[number // len(COLOURS) % len(DASHES)]
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": dashes, "linewidth": 2.2, "zorder": 3}


def _mark_events(ax: Axes, events: pd.DataFrame) -> list[Any]:
    """A cross at each death, a ring at each revival, with their names; returns those that a legend has to explain."""
    _name_events(ax, events)
    marks = []
    for kind, marker, face in (("died", "x", INK), ("revived", "o", "none")):
        chosen = events[events["event"] == kind]
        if len(chosen):
            marks.append(ax.scatter(
                chosen["epoch"], chosen["importance"], marker=marker, s=28, c=face, label=kind,
                edgecolors=None if marker == "x" else INK, linewidths=1.2, zorder=4, clip_on=False,
            ))  # fmt: skip
    return marks


def _name_events(ax: Axes, events: pd.DataFrame) -> None:
    """The names of features above where they died or revived; of several that are close to each other, in a column."""
    import matplotlib.patheffects

    halo = [matplotlib.patheffects.withStroke(linewidth=2.5, foreground="white")]
    names = dict(zip(events["feature"], short(events["feature"], NAME_LETTERS), strict=True))
    left, right = ax.get_xlim()
    places = (events["epoch"].to_numpy() - left) / (right - left)
    for _, group in events.assign(place=places).groupby(places // NAMES_GAP):
        words = list(dict.fromkeys(names[name] for name in group["feature"]))
        more = [f"and {len(words) - MOST_NAMES} more"] if len(words) > MOST_NAMES else []
        first, last = group["epoch"].min(), group["epoch"].max()
        epoch, side = (first + last) / 2, "center"
        if group["place"].min() < NAMES_GAP / 2:
            epoch, side = first, "left"
        elif group["place"].max() > 1 - NAMES_GAP / 2:
            epoch, side = last, "right"
        ax.annotate("\n".join([*words[:MOST_NAMES], *more]), (epoch, group["importance"].max()), (0, 6), fontsize=7.5,
                    textcoords="offset points", ha=side, va="bottom", linespacing=0.95, color=INK, zorder=5,
                    path_effects=halo, annotation_clip=False)  # fmt: skip


def _label_ends(ax: Axes, values: pd.Series[float], styles: Sequence[dict[str, Any]]) -> None:
    """Names behind the ends of the lines, moved apart where they would overlap, with a thread to the end."""
    to_points = 72 / ax.figure.dpi
    heights = [ax.transData.transform((0, value))[1] * to_points for value in values]
    low = ax.transAxes.transform((0, 0))[1] * to_points
    right = ax.get_xlim()[1]
    names, places = short(_names(values.index)), _apart(heights, LABEL_GAP, low)
    for style, name, value, height, place in zip(styles, names, values, heights, places, strict=True):
        ax.annotate(
            f"{name}  {percent(value)}",
            xy=(right, value),
            xytext=(14, place - height),
            textcoords="offset points",
            fontsize=9,
            color=style["color"],
            fontweight="bold",
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": style["color"],
                "linestyle": style["linestyle"],
                "linewidth": 0.8,
                "shrinkA": 1,
                "shrinkB": 0,
                "relpos": (0, 0.5),
            },
        )


def _apart(heights: list[float], gap: float, low: float) -> list[float]:
    """Heights at least ``gap`` apart, for descending ones; labels that would overlap share out around their centre.

    >>> _apart([50.0, 12.0, 10.0], gap=10, low=0)
    [50.0, 16.0, 6.0]
    """
    pools: list[tuple[float, int]] = []  # centre and size, the lowest first

    def bottom(pool: tuple[float, int]) -> float:
        return pool[0] - gap * (pool[1] - 1) / 2

    for height in reversed(heights):
        pools.append((height, 1))
        while len(pools) > 1 and bottom(pools[-1]) < 2 * pools[-2][0] - bottom(pools[-2]) + gap:
            (upper, many), (lower, few) = pools.pop(), pools.pop()
            size = many + few
            centre = (upper * many + lower * few) / size
            pools.append((max(centre, low + gap * (size - 1) / 2), size))
    return [bottom(pool) + gap * index for pool in pools for index in range(pool[1])][::-1]
