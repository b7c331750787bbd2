"""Of comparisons: what `compare` takes for looks, and which can stand beside each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from keras_sensitivity.errors.wording import fail, listed, similar

# Percents that were rounded before they came here need not sum to 100 exactly.
ROUNDED_BY = 1.0


def check_looks(value: object) -> None:
    """Refuse what is not at least two looks, by their names or in a list."""
    if not isinstance(value, (Mapping, list, tuple)):
        fail(
            "`importances` is neither a dict nor a list.",
            expected="a dict from a name to each look, or a list of looks",
            received=f"an object of type {type(value).__name__}",
            fix="pass for example compare({'first': importance, 'second': another})",
            error=TypeError,
        )
    if len(value) < 2:
        fail(
            "There is nothing to compare with.",
            expected="at least 2 looks",
            received=f"{len(value)}",
            fix="measure another model, seed, segment or definition, and pass both",
        )


def check_look(name: object, value: object, kind: type) -> None:
    """Refuse what is neither a ``kind`` nor a pandas Series."""
    if not isinstance(value, (kind, pd.Series)):
        fail(
            f"The look {name!r} has the wrong type.",
            expected=f"a keras_sensitivity.{kind.__name__}, or a pandas Series of percents by feature",
            received=f"an object of type {type(value).__name__}",
            fix="pass what measure or SensitivityCallback.importance returned, or pd.Series(percents, index=features)",
            error=TypeError,
        )


def check_percents(name: object, values: pd.Series) -> None:
    """Refuse a Series that is not one whole, shared out to its features."""
    repeated = values.index[values.index.duplicated()].unique()
    if len(repeated):
        fail(
            f"The look {name!r} has the same name for several features.",
            expected="a different name for each feature",
            received=f"more than one {listed(repeated)}",
            fix="rename them, or add them up: series.groupby(level=0).sum()",
        )
    try:
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    total = numbers.sum()
    if not (numbers >= 0).all() or not abs(total - 100) <= ROUNDED_BY:
        fail(
            f"The look {name!r} is not in percent.",
            expected="numbers >= 0 that sum to 100",
            received=listed(values.tolist()) + (f", with the sum {total:.4g}" if np.isfinite(total) else ""),
            fix="share it out: positive = series.clip(lower=0); 100 * positive / positive.sum()",
        )


def check_same_features(name: object, received: pd.Index, first: object, expected: pd.Index) -> None:
    """Refuse a look that lacks features of the first, or has others."""
    missing, others = expected.difference(received, sort=False), received.difference(expected, sort=False)
    if len(missing) or len(others):
        parts = ((missing, "without"), (others, "with"))
        hint = similar(others[0], list(missing)) if len(others) else ""
        fail(
            f"The looks {first!r} and {name!r} have different features.",
            expected=f"the features of {first!r} in every look, in any order",
            received=f"{name!r} " + ", but ".join(f"{word} {listed(names)}" for names, word in parts if len(names)),
            fix=f"measure both with the same feature_names and groups{hint}",
        )
