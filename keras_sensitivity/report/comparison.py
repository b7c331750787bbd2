"""The page of a `Comparison`: the looks beside each other, and which differences are larger than their errors."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from keras_sensitivity import plots
from keras_sensitivity.report import caveats, words
from keras_sensitivity.report.context import Context, page
from keras_sensitivity.report.elements import Html, element, joined, section, sentences
from keras_sensitivity.report.pictures import MOST_BARS, figure
from keras_sensitivity.report.tables import PERCENT, POINTS, table

if TYPE_CHECKING:
    from keras_sensitivity.comparison import Comparison

__all__ = ["comparison_page"]


def comparison_page(comparison: Comparison, context: Context) -> str:
    """The page, as text."""
    return page(
        context,
        f"{comparison.table.shape[1]:,} looks beside each other",
        f"{repr(comparison)[1:-1]}.",
        section("Side by side", _side_by_side(comparison)),
        section("How far apart", _apart(comparison)),
        section("Differences that are larger than their errors", _differences(comparison)),
        section("To mind", sentences([*context.caveats, caveats.ALWAYS])),
        section("How it was measured", element("p", words.MEASURE), element("p", words.SOURCE)),
    )


def _side_by_side(comparison: Comparison) -> Html:
    spread = comparison.spread.sort_values("mean", ascending=False, kind="stable")
    rows, looks = min(len(spread), MOST_BARS + 1), comparison.table.shape[1]
    draw = functools.partial(plots.side_by_side, comparison, top=MOST_BARS)
    note = "Percentage points; std: from look to look; standard error: from sample to sample of rows."
    shares = comparison.table.loc[spread.index]
    return joined(
        figure(
            draw,
            "A row for each feature, in it a dot for each look.",
            height=1.6 + rows * min(0.2 + 0.06 * looks, 0.62),
        ),
        table(shares, dict.fromkeys(shares, PERCENT), index="feature", caption="Importance, percent."),
        table(spread, dict.fromkeys(spread, POINTS), index="feature", caption=note),
    )


def _apart(comparison: Comparison) -> Html:
    correlations, distances = comparison.correlations, comparison.distances
    return joined(
        table(correlations, dict.fromkeys(correlations, POINTS), index="look", caption="Spearman's rank correlation."),
        table(
            distances,
            dict.fromkeys(distances, PERCENT),
            index="look",
            caption="Points of importance that lie elsewhere.",
        ),
    )


def _differences(comparison: Comparison) -> Html:
    differing = comparison.differences.loc[lambda frame: frame["differs"]].drop(columns="differs")
    if differing.empty:
        return element("p", "There are none.")
    largest = np.argsort(-differing["difference"].abs().to_numpy(), kind="stable")
    note = "Percentage points; the chance that any of equal ones stands here is 5 %."
    forms = dict.fromkeys(["difference", "standard_error", "z"], POINTS)
    return table(differing.iloc[largest], forms, index=None, caption=note)
