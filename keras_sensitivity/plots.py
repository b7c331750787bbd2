"""Axes in, axes out: every function draws on matplotlib axes, its own or the caller's, and returns them.

Colours are those of Okabe and Ito (2008), distinct to colour-blind readers; what matters is also said by position
and by text. Each picture brings its own white ground, so that it reads the same on a dark page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from keras_sensitivity import _checks
from keras_sensitivity.importance import Importance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["heat_map", "lag_profile", "ranking", "trajectory"]

# Points between the centres of two labels.
LABEL_GAP = 13.0

BLUE, GREY, INK = "#0072B2", "#9A9A9A", "#222222"
EMPHASIS = (BLUE, "#D55E00", "#009E73", "#CC79A7", "#E69F00")


def ranking(importance: Importance, ax: Axes | None = None, *, top: int = 20) -> Axes:
    """Bars of the ``top`` features, the most important above, with standard errors, and one bar for the rest.

    Args:
        importance: What to draw.
        ax: Axes to draw on; None: new ones.
        top: Bars at the most.

    Returns:
        The axes: horizontal bars in percent, in the order of their rank, with their values written behind them.
    """
    table = importance.table.sort_values("rank")
    shown, rest = table.iloc[:top], table.iloc[top:]
    labels = [_short(name) for name in shown.index]
    values, errors = list(shown["importance"]), list(shown["standard_error"])
    if len(rest):
        labels.append(f"the other {len(rest):,}")
        values.append(rest["importance"].sum())
        errors.append(np.nan)
    ax = _new_axes(6.4, 1.0 + 0.27 * len(labels)) if ax is None else ax
    places = range(len(labels))
    colours = [BLUE] * len(shown) + [GREY] * (len(labels) - len(shown))
    ax.barh(places, values, height=0.72, color=colours)
    ax.errorbar(values, places, xerr=errors, fmt="none", ecolor=INK, elinewidth=1, capsize=2)
    reach = np.nan_to_num(errors)
    widest = max(*(value + error for value, error in zip(values, reach, strict=True)), 1e-9)
    for place, value, error in zip(places, values, reach, strict=True):
        ax.text(value + error + 0.012 * widest, place, _percent(value), va="center", fontsize=9, color=INK)
    ax.set(
        yticks=places,
        yticklabels=labels,
        xlim=(0, 1.14 * widest),
        xlabel="importance, % (whiskers: ± 1 standard error)",
    )
    ax.invert_yaxis()
    ax.tick_params(axis="y", length=0)
    _plain(ax)
    return ax


def trajectory(
    importances: pd.DataFrame,
    ax: Axes | None = None,
    *,
    events: pd.DataFrame | None = None,
    top: int = 5,
    log: bool = False,
) -> Axes:
    """Lines of the importances over epochs; the most important are coloured and named at their ends.

    Args:
        importances: `SensitivityCallback.trajectory` or ``lag_trajectory``: index epoch, columns features, percent.
        ax: Axes to draw on; None: new ones.
        events: `SensitivityCallback.events`: a cross marks a death, a ring a revival.
        top: Features that are coloured and named: those most important at the last epoch. The others are grey.
        log: Whether percents are on a logarithmic scale, on which features near death can be told apart.

    Returns:
        The axes: epochs to the right, percent upwards; each line has its feature's name as label.
    """
    ax = _new_axes(7.2, 4.2) if ax is None else ax
    last = importances.iloc[-1].sort_values(ascending=False, kind="stable")
    names = list(last.index)  # of features, or numbers of lags
    colours: dict[Any, str] = {name: EMPHASIS[index % len(EMPHASIS)] for index, name in enumerate(names[:top])}
    for name in reversed(names):
        style: dict[str, Any] = {"color": GREY, "linewidth": 1.0, "alpha": 0.7, "zorder": 2}
        if name in colours:
            style = {"color": colours[name], "linewidth": 2.2, "zorder": 3}
        marker = "o" if len(importances) == 1 else None
        ax.plot(importances.index, importances[name], label=str(name), marker=marker, **style)
    ax.set(xlabel="epoch", ylabel="importance, %")
    ax.locator_params(axis="x", integer=True)
    ax.margins(x=0.01)
    if log:
        ax.set_yscale("log")
    else:
        ax.set_ylim(0, max(1.06 * float(importances.max().max()), 1e-9))
    _plain(ax)
    _label_ends(ax, last[:top], colours)
    if events is not None and len(events):
        _mark_events(ax, events[events["feature"].isin(importances.columns)])
    return ax


def lag_profile(importance: Importance, ax: Axes | None = None) -> Axes:
    """Bars of the importance of each lag, the newest on the right, as time runs.

    Args:
        importance: What to draw; it must have a time axis.
        ax: Axes to draw on; None: new ones.

    Returns:
        The axes: lags on the horizontal axis, percent upwards.

    Raises:
        ValueError: If the importance has no time axis.
    """
    lags = importance.lags
    if lags is None:
        _checks.no_lags()
    ax = _new_axes(6.4, 3.2) if ax is None else ax
    ax.bar(lags.index, lags, width=0.8, color=BLUE)
    ax.set(xlabel="lag, steps back from the newest", ylabel="importance, %", xlim=(len(lags) - 0.4, -0.6))
    ax.locator_params(axis="x", integer=True)
    _plain(ax)
    return ax


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
    """
    by_lag = importance.by_lag
    if by_lag is None:
        _checks.no_lags()
    shown = by_lag[importance.usage.sort_values(ascending=False, kind="stable").index[:top]]
    shares = 100 * shown / max(by_lag.to_numpy().sum(), np.finfo(float).tiny)
    ax = _new_axes(6.8, 1.4 + 0.3 * shown.shape[1]) if ax is None else ax
    edges = (len(shown) - 0.5, -0.5)
    image = ax.imshow(
        shares.T.iloc[:, ::-1], aspect="auto", cmap="Blues", vmin=0, extent=(*edges, shown.shape[1] - 0.5, -0.5)
    )
    ax.set(yticks=range(shown.shape[1]), yticklabels=[_short(str(name)) for name in shown.columns])
    ax.set_xlabel("lag, steps back from the newest")
    ax.locator_params(axis="x", integer=True)
    ax.tick_params(axis="y", length=0)
    ax.figure.colorbar(image, ax=ax, label="share of the sensitivity, %")
    return ax


def _mark_events(ax: Axes, events: pd.DataFrame) -> None:
    """A cross at each death, a ring at each revival, and a legend above the axes that says so."""
    marks = {}
    for kind, marker, face in (("died", "x", INK), ("revived", "o", "none")):
        chosen = events[events["event"] == kind]
        if len(chosen):
            marks[kind] = ax.scatter(
                chosen["epoch"], chosen["importance"], marker=marker, s=28, c=face,
                edgecolors=None if marker == "x" else INK, linewidths=1.2, zorder=4, clip_on=False,
            )  # fmt: skip
    ax.legend(marks.values(), marks.keys(), frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2,
              borderaxespad=0.2, handletextpad=0.1, columnspacing=1)  # fmt: skip


def _label_ends(ax: Axes, values: pd.Series[float], colours: dict[Any, str]) -> None:
    """Names behind the ends of the lines, moved apart where they would overlap, with a thread to the end."""
    to_points = 72 / ax.figure.dpi
    heights = [ax.transData.transform((0, value))[1] * to_points for value in values]
    low = ax.transAxes.transform((0, 0))[1] * to_points
    right = ax.get_xlim()[1]
    for (name, value), height, place in zip(values.items(), heights, _apart(heights, LABEL_GAP, low), strict=True):
        colour = colours[name]
        ax.annotate(
            f"{_short(str(name))}  {_percent(value)}",
            xy=(right, value),
            xytext=(14, place - height),
            textcoords="offset points",
            fontsize=9,
            color=colour,
            fontweight="bold",
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
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


def _new_axes(width: float, height: float) -> Axes:
    """Axes on a new figure of the given size in inches."""
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]


def _plain(ax: Axes) -> None:
    """No frame but the axes themselves, and a quiet grid along the values."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x" if ax.yaxis_inverted() else "y", color="#E4E4E4", linewidth=0.8)
    ax.set_axisbelow(True)


def _percent(value: float) -> str:
    """At least two digits, so that a small importance is not rounded to nothing.

    >>> _percent(45.24), _percent(0.226), _percent(0)
    ('45.2 %', '0.23 %', '0 %')
    """
    return "0 %" if value == 0 else f"{value:.1f} %" if value >= 1 else f"{value:.2g} %"


def _short(name: str, most: int = 32) -> str:
    """A long name with its middle left out."""
    return name if len(name) <= most else f"{name[: most // 2 - 1]}…{name[-(most // 2) :]}"
