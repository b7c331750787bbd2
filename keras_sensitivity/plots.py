"""Axes in, axes out: every function draws on matplotlib axes, its own or the caller's, and returns them.

Colours are those of Okabe and Ito (2008), distinct to colour-blind readers; what matters is also said by position
and by text. Each picture brings its own white ground, so that it reads the same on a dark page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from keras_sensitivity.importance import Importance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ranking", "trajectory"]

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
        yticks=places, yticklabels=labels, xlim=(0, 1.14 * widest), xlabel="importance, % (bars: ± 1 standard error)"
    )
    ax.invert_yaxis()
    ax.tick_params(axis="y", length=0)
    _plain(ax)
    return ax


def trajectory(
    importances: pd.DataFrame, ax: Axes | None = None, *, events: pd.DataFrame | None = None, top: int = 5
) -> Axes:
    """Lines of the importances over epochs, each with its name at its end.

    Args:
        importances: `SensitivityCallback.trajectory`: index epoch, columns features, percent.
        ax: Axes to draw on; None: new ones.
        events: `SensitivityCallback.events`: a cross marks a death, a circle a revival.
        top: Features that are drawn in colour: those most important at the last epoch. The others are grey.

    Returns:
        The axes: epochs to the right, percent upwards.
    """
    ax = _new_axes(7.2, 4.2) if ax is None else ax
    last = importances.iloc[-1].sort_values(ascending=False, kind="stable")
    emphasised = list(last.index[:top])
    colours = {name: EMPHASIS[index % len(EMPHASIS)] for index, name in enumerate(emphasised)}
    named = list(last.index[: max(top, 12)])
    for name in reversed(last.index):
        strong = name in colours
        ax.plot(
            importances.index,
            importances[name],
            color=colours.get(name, GREY),
            linewidth=2.2 if strong else 1.0,
            alpha=1.0 if strong or name in named else 0.5,
            marker="o" if len(importances) == 1 else None,
            zorder=3 if strong else 2,
        )
    ax.set(xlabel="epoch", ylabel="importance, %", ylim=(0, max(1.06 * float(importances.max().max()), 1e-9)))
    ax.locator_params(axis="x", integer=True)
    ax.margins(x=0.01)
    _plain(ax)
    _label_ends(ax, last[named], colours)
    if events is not None:
        _mark_events(ax, events, importances)
    return ax


def _mark_events(ax: Axes, events: pd.DataFrame, importances: pd.DataFrame) -> None:
    """A cross at each death, a ring at each revival, and a legend that says so."""
    events = events[events["feature"].isin(importances.columns)]
    for kind, marker in (("died", "X"), ("revived", "o")):
        chosen = events[events["event"] == kind]
        if len(chosen):
            face = INK if kind == "died" else "white"
            ax.scatter(chosen["epoch"], chosen["importance"], marker=marker, s=46, c=face, edgecolors=INK, zorder=4,
                       label=kind, clip_on=False)  # fmt: skip
    if len(events):
        ax.legend(frameon=False, loc="upper right")


def _label_ends(ax: Axes, values: pd.Series[float], colours: dict[str, str]) -> None:
    """Names behind the ends of the lines, moved apart where they would overlap."""
    low, high = ax.get_ylim()
    height = ax.get_window_extent().height / ax.figure.dpi * 72  # points
    gap = 11.0 / height * (high - low)
    heights = _apart(values.to_numpy(), gap, low)
    right = ax.get_xlim()[1]
    for (name, value), place in zip(values.items(), heights, strict=True):
        colour = colours.get(str(name), "#6B6B6B")
        ax.annotate(
            f"{_short(str(name))}  {_percent(value)}",
            xy=(right, value),
            xytext=(right + 0.02 * (right - ax.get_xlim()[0]), place),
            fontsize=9,
            color=colour,
            fontweight="bold" if str(name) in colours else "normal",
            va="center",
            annotation_clip=False,
        )


def _apart(values: Any, gap: float, low: float) -> list[float]:
    """Places at least ``gap`` apart for labels of descending ``values``, as near to them as pushing upwards allows."""
    places: list[float] = []
    for value in reversed(list(values)):
        places.append(max(value, places[-1] + gap if places else low + 0.3 * gap))
    return places[::-1]


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
