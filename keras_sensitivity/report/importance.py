"""The page of an `Importance`: the ranking, what to mind, what is behind the numbers, and how they were made."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from keras_sensitivity import plots
from keras_sensitivity.report import caveats, words
from keras_sensitivity.report.context import Context, page
from keras_sensitivity.report.elements import Html, element, joined, section, sentences
from keras_sensitivity.report.lists import quoted
from keras_sensitivity.report.pictures import MOST_BARS, figure
from keras_sensitivity.report.tables import PERCENT, POINTS, SIZE, WHOLE, table

if TYPE_CHECKING:
    from keras_sensitivity.importance import Importance

__all__ = ["importance_page"]

# Names in a sentence, effect curves, and outputs in a table, at the most.
MOST_NAMES, MOST_EFFECTS, MOST_UNITS = 6, 6, 12

# From this part of the size on, the derivative has the same sign at most rows, and the direction is said.
ONE_WAY = 0.5


def importance_page(importance: Importance, context: Context) -> str:
    """The page, as text."""
    data = {**context.data, "Measured": f"{importance.num_samples:,} rows"}
    return page(
        context._replace(data=data),
        f"What the network relies on: {len(importance.features):,} features",
        _in_short(importance),
        section("Ranking", _ranking(importance)),
        section("To mind", sentences([*context.caveats, *caveats.of_importance(importance)])),
        section("Effects", _effects(importance)),
        section("Agreement with real changes", _agreement(importance)),
        section("Outputs", _outputs(importance)),
        section("Time lags", _lags(importance)),
        section("Over the training", _training(context)),
        section("How it was measured", _method(importance)),
    )


def _in_short(importance: Importance) -> str:
    """The result in one sentence."""
    if not importance.features.any():
        return "Nothing moves the output at the measured rows: every importance is 0."
    leading = importance.top(coverage=90)
    share = importance.features[leading].sum()
    if importance.map is not None:
        return (
            f"{len(leading):,} of {len(importance.features):,} pixels make up {share:.0f} % of what moves the output."
        )
    if len(leading) == 1:
        return f"“{leading[0]}” alone makes up {share:.0f} % of what moves the output."
    count = f"{len(leading):,} of {len(importance.features):,} features"
    return f"{count} make up {share:.0f} % of what moves the output: {quoted(leading, MOST_NAMES)}."


def _ranking(importance: Importance) -> Html:
    if importance.map is not None:
        return figure(functools.partial(plots.image_map, importance), "The importance of each pixel.", height=5.0)
    bars = min(len(importance.features), MOST_BARS + 1)
    draw = functools.partial(plots.ranking, importance, top=MOST_BARS)
    picture = figure(draw, "Bars of the importances, the most important above.", height=1.0 + 0.27 * bars)
    ranked = importance.table.sort_values("rank")
    columns = {
        "importance, %": ranked["importance"],
        "± standard error": ranked["standard_error"],
        "size": ranked["rms"],
        "direction": _directions(importance)[ranked.index],
        "changed by": ranked["change"],
        "caution": ranked["caution"],
    }
    shown = pd.DataFrame(columns).loc[:, lambda frame: frame.any()]
    forms = {"importance, %": POINTS, "± standard error": POINTS, "size": SIZE}
    caption = "Size: how far the feature moves the output, in units of the output."
    if "direction" in shown:
        caption += " Direction: where a higher value of the feature moves the output at most rows."
    return joined(picture, table(shown, forms, index="feature", caption=caption))


def _directions(importance: Importance) -> pd.Series[Any]:
    """Up, down or both ways; "" for groups, codes and several outputs."""
    whole, names = importance.table, importance.features.index
    if len(importance.units) > 1:
        return pd.Series("", index=names)
    rms = (whole["mean"] ** 2 + whole["std"] ** 2) ** 0.5
    part = whole["mean"] / rms.where(rms > 0)
    cases = [part.isna(), part > ONE_WAY, part < -ONE_WAY]
    return pd.Series(np.select(cases, ["", "up", "down"], "both ways"), index=names)


def _effects(importance: Importance) -> Html | None:
    """The curves of the most important features that have one; no pixel is worth a curve."""
    if importance.map is not None:
        return None
    ranked = importance.features.sort_values(ascending=False, kind="stable").index[:MOST_BARS]
    drawn = [name for name in ranked if _has_effect(importance, name)][:MOST_EFFECTS]
    if not drawn:
        return None
    curves = [
        figure(
            functools.partial(plots.effect, importance, name),
            f"The effect of {name} as a curve.",
            width=3.4,
            height=2.5,
        )
        for name in drawn
    ]
    sentence = (
        "How far the output has moved along the values of a feature, ways up and ways down added: steep where the "
        "network is sensitive to it, flat where it is not. The marks show where the rows are."
    )
    return joined(element("p", sentence), element("div", *curves, class_="pair"))


def _has_effect(importance: Importance, name: str) -> bool:
    """Whether there is a curve: not of what is swapped, nor of groups and codes, nor by scales other than the path."""
    try:
        importance.effect(name)
    except ValueError:
        return False
    return bool(importance.features[name])


def _agreement(importance: Importance) -> Html | None:
    agreement = importance.agreement
    if agreement is None:
        return None
    known = agreement.sort_values("importance", ascending=False, kind="stable").dropna(subset="real_change")
    shown = pd.DataFrame(
        {
            "importance, %": known["importance"],
            "real changes, %": known["real_change"],
            "": np.where(known["differs"], "differs", ""),
        }
    )
    sentence = (
        "The features were really changed, to the values of other rows, and what that does to the output was shared "
        "out in the same way. It differs where the two are apart by a factor of 1.5 and by 2 points."
    )
    return joined(
        element("p", sentence),
        table(shown, {"importance, %": PERCENT, "real changes, %": PERCENT}, index="feature"),
    )


def _outputs(importance: Importance) -> Html | None:
    """The importances for each output alone, where there are several, but not very many."""
    if not 1 < len(importance.units) <= MOST_UNITS or importance.map is not None:
        return None
    ranked = importance.features.nlargest(MOST_BARS).index
    shown = importance.by_output[ranked].set_axis(list(importance.unit_labels)).T
    return table(
        shown, dict.fromkeys(shown, PERCENT), index="feature", caption="Importance for each output alone, percent."
    )


def _lags(importance: Importance) -> Html | None:
    if importance.lags is None:
        return None
    rows = min(len(importance.features), MOST_BARS + 1)
    profile, both = functools.partial(plots.lag_profile, importance), functools.partial(plots.heat_map, importance)
    return joined(
        figure(profile, "Bars of the importance of each lag, the newest on the right.", height=2.8),
        figure(both, "The share of each lag and feature as colours.", height=1.4 + 0.3 * rows),
    )


def _training(context: Context) -> Html | None:
    """The importances over the epochs, and who died or revived."""
    events = context.events
    parts: list[Html] = []
    if context.trajectory is not None:
        draw = functools.partial(plots.trajectory, context.trajectory, events=events, noise=context.noise)
        parts.append(figure(draw, "Lines of the importances over the epochs of the training.", height=4.0))
    if events is not None and len(events):
        forms = {"epoch": WHOLE, "importance": POINTS, "threshold": POINTS}
        parts.append(
            table(events, forms, index=None, caption="Features that the network stopped using, or used again.")
        )
    elif events is not None:
        parts.append(element("p", "No feature died while the network was trained."))
    return joined(*parts) if parts else None


def _method(importance: Importance) -> Html:
    definition = element("p", "As a definition: ", element("code", repr(importance.definition)), ".", class_="note")
    told = " ".join(words.of_importance(importance))
    return joined(element("p", words.MEASURE), element("p", told), element("p", words.SOURCE), definition)
