"""The page of an `Explanation`: of each sample, the first ones where there are many, a picture and a table."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from keras_sensitivity.report import words
from keras_sensitivity.report.context import Context, page
from keras_sensitivity.report.elements import Html, element, joined, section, sentences
from keras_sensitivity.report.pictures import MOST_BARS, figure
from keras_sensitivity.report.tables import PERCENT, SIGN, SIZE, given_value, table

if TYPE_CHECKING:
    from keras_sensitivity.explanation import Explanation

__all__ = ["explanation_page"]

# Samples on a page, and outputs of a sample that are told, at the most.
MOST_SAMPLES, MOST_UNITS = 20, 12

FORMS = {"value": given_value, "share": PERCENT, "sign": SIGN, "other_value": given_value, "flip": SIZE}

LEAD = "The share of each feature in how far small changes move the output near a single row, in percent."
ALWAYS = (
    "A share compares what small changes of the features do to a prediction. It is no contribution: shares do not add "
    "up to the prediction."
)


def explanation_page(explanation: Explanation, context: Context) -> str:
    """The page, as text."""
    count = len(explanation)
    shown = min(count, MOST_SAMPLES)
    rest = f" The first {shown} of {count:,} rows." if shown < count else ""
    return page(
        context,
        f"What moved {count:,} predictions",
        LEAD + rest,
        *(
            section(f"Row {explanation.features.index[sample]}", _sample(explanation, sample))
            for sample in range(shown)
        ),
        section("To mind", sentences([*context.caveats, ALWAYS])),
        section("How it was measured", _method(explanation)),
    )


def _sample(explanation: Explanation, sample: int) -> Html:
    predictions = zip(explanation.unit_labels[:MOST_UNITS], explanation.predictions[sample], strict=False)
    features = min(explanation.features.shape[1], MOST_BARS + 1)
    picture = figure(
        functools.partial(explanation.plot, sample),
        "The shares of the features at this row.",
        height=1.4 + 0.3 * features,
    )
    outputs = element(
        "p", f"Output: {', '.join(f'{unit} = {value:.4g}' for unit, value in predictions)}.", class_="note"
    )
    if explanation.map is not None:
        return joined(outputs, picture)
    shares = explanation.table(sample).loc[:, lambda frame: frame.notna().any()].head(MOST_BARS)
    return joined(outputs, picture, table(shares, FORMS, index="feature"))


def _method(explanation: Explanation) -> Html:
    # To first order, which is all that a single row has, a path is straight.
    to_first_order = explanation.definition
    if to_first_order.scale == "path":
        to_first_order = dataclasses.replace(to_first_order, scale="std")
    definition = element("p", "As a definition: ", element("code", repr(explanation.definition)), ".", class_="note")
    return joined(element("p", " ".join(words.of_definition(to_first_order)), " ", words.SOURCE), definition)
