"""Tables of a page: numbers right, under each other; names as they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from keras_sensitivity import plots
from keras_sensitivity.report.elements import Html, element

__all__ = ["MOST_ROWS", "PERCENT", "POINTS", "SIGN", "SIZE", "WHOLE", "facts", "given_value", "number", "table"]

# Rows of a table at the most: more than a reader goes through.
MOST_ROWS = 200

Form = Callable[[Any], str]


def number(form: str) -> Form:
    """Numbers of this format, with a real minus; "" for what there is none of.

    >>> number(".1f")(-2.25), number(",d")(12345), number(".1f")(float("nan"))
    ('\N{MINUS SIGN}2.2', '12,345', '')
    """

    def formatted(value: Any) -> str:
        missing = value is None or (isinstance(value, float) and math.isnan(value))
        return "" if missing else format(value, form).replace("-", "\N{MINUS SIGN}")

    return formatted


PERCENT, POINTS, SIZE, WHOLE, SIGN = map(number, (".1f", ".2f", ".4g", "d", "+.0f"))


def given_value(given: Any) -> str:
    """A value of a column, a number or a text."""
    return "" if given is None else plots.value(given)


def table(frame: pd.DataFrame, forms: Mapping[Any, Form], *, index: str | None, caption: str | None = None) -> Html:
    """The rows of a table, the first ones where there are many; a column without a form is text.

    Args:
        frame: The table; the names of its columns are their headings.
        forms: For each column of numbers, how one is written.
        index: The heading of the names of the rows; None: without these.
        caption: What the numbers are.
    """
    heads = [element("th", name, scope="col", class_=_class(name in forms)) for name in frame.columns]
    if index is not None:
        heads.insert(0, element("th", index, scope="col"))
    rows = []
    for name, *values in frame.head(MOST_ROWS).itertuples(name=None):
        cells = [
            element("td", forms[column](value) if column in forms else value, class_=_class(column in forms))
            for column, value in zip(frame.columns, values, strict=True)
        ]
        rows.append(element("tr", element("th", name, scope="row") if index is not None else None, *cells))
    if len(frame) > MOST_ROWS:
        caption = f"{caption or ''} The first {MOST_ROWS} of {len(frame):,} rows.".strip()
    return element(
        "table",
        None if caption is None else element("caption", caption),
        element("thead", element("tr", *heads)),
        element("tbody", *rows),
    )


def _class(is_number: bool) -> str | None:
    return "number" if is_number else None


def facts(values: Mapping[str, object]) -> Html | None:
    """Names and values, a line each; a value that is None is left out, and of no values nothing is made."""
    rows = [
        element("tr", element("th", name, scope="row"), element("td", value))
        for name, value in values.items()
        if value is not None
    ]
    return element("table", element("tbody", *rows), class_="facts") if rows else None
