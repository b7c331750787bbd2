"""Results as text: on the terminal, and in files of tables."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd

from keras_sensitivity.comparison import Comparison
from keras_sensitivity.files import write_text
from keras_sensitivity.importance import Importance

__all__ = ["print_comparison", "print_importance", "write_comparison", "write_importance"]


def print_importance(importance: Importance) -> None:
    """The table, the most important feature first, and the lags."""
    table = importance.table.sort_values("rank")[["importance", "standard_error", "rms", "change", "caution"]]
    print(_text(table))
    if importance.lags is not None:
        print()
        print(_text(importance.lags.to_frame()))


def print_comparison(comparison: Comparison) -> None:
    """The importances, that with the largest mean first, and how far the looks are apart."""
    order = comparison.spread["mean"].sort_values(ascending=False, kind="stable").index
    print(_text(comparison.table.loc[order]))
    print()
    print(repr(comparison)[1:-1])


def _text(frame: pd.DataFrame) -> str:
    return str(frame.to_string(float_format="{:.4g}".format))


def write_importance(importance: Importance, path: Path) -> None:
    """A CSV file of the table; or a JSON file of that and of lags, definition and number of rows."""
    if path.suffix.lower() == ".npz":
        importance.save(path)
    elif path.suffix.lower() == ".csv":
        importance.table.to_csv(path, index_label="feature")
    else:
        lags = importance.lags
        _write_json(path, {
            "num_samples": importance.num_samples,
            "definition": repr(importance.definition),
            "features": _records(importance.table, "feature"),
            "lags": None if lags is None else [float(share) for share in lags],
        })  # fmt: skip


def write_comparison(comparison: Comparison, path: Path) -> None:
    """A CSV file of the importances; or a JSON file of that, and of the tables beside it."""
    if path.suffix.lower() == ".csv":
        comparison.table.to_csv(path, index_label="feature")
    else:
        _write_json(path, {
            "importances": _records(comparison.table, "feature"),
            "standard_errors": _records(comparison.standard_errors, "feature"),
            "correlations": _records(comparison.correlations, "look"),
            "distances": _records(comparison.distances, "look"),
        })  # fmt: skip


def _records(frame: pd.DataFrame, index: str) -> list[dict[Hashable, Any]]:
    """A dict a row; None for what there is no number of, which JSON has no word for."""
    records = frame.rename_axis(index).reset_index().to_dict("records")
    return [{name: _known(value) for name, value in record.items()} for record in records]


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_json(path: Path, values: dict[str, Any]) -> None:
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
