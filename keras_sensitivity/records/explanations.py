"""`Explanation` -> TensorBoard event files."""

from __future__ import annotations

import functools
import io
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import tensorflow as tf

from keras_sensitivity import errors, plots
from keras_sensitivity.records.event_file import EventFile, Summary
from keras_sensitivity.records.explanation_record import EXPLANATION, ExplanationRecord
from keras_sensitivity.records.pages import MOST_FEATURES, Pictures, escaped

if TYPE_CHECKING:
    from keras_sensitivity.explanation import Explanation

__all__ = ["write_explanation"]

# Explanations are no part of a training run.
RUN = "explanations"

# Samples that are drawn one by one, and how many of them share a group of TensorBoard's pages.
MOST_SAMPLES = 50
SAMPLES_IN_GROUP = 10


def write_explanation(explanation: Explanation, log_dir: str | os.PathLike[str]) -> None:
    """Write an explanation to ``log_dir/explanations``.

    The first 50 samples become, ten to a group ``samples 0 to 9``:

    - an image a sample: bars, for sequences lags by features, for images an overlay;
    - a text a sample: the 20 largest shares in numbers;

    and all of them together one image, ``explanations/overview``, and an `ExplanationRecord`.

    Where that fails, as on a full disk, it is only warned of.
    """
    try:
        _write(explanation, tf.io.gfile.join(os.fspath(log_dir), RUN))
    except OSError as error:  # the explanation is there, and must not be lost
        errors.warn_explanation_not_written(log_dir, error)


def _write(explanation: Explanation, folder: str) -> None:
    from tensorboard.plugins.text.summary_v2 import text_pb

    count = min(MOST_SAMPLES, len(explanation))
    columns = min(MOST_FEATURES + 1, explanation.features.shape[1])
    with EventFile(folder) as file:
        pictures = Pictures(functools.partial(file.write_summary, step=0))
        draw = pictures.write
        if explanation.map is None:
            overview = functools.partial(plots.overview, explanation, top=MOST_FEATURES, most=MOST_SAMPLES)
            draw("explanations/overview", overview, 2.2 + 0.2 * count, width=2.4 + 0.3 * columns)
        else:
            overlays = functools.partial(plots.overlays, explanation, most=MOST_SAMPLES)
            draw("explanations/overview", overlays, 0.8 * -(-count // 5))
        for sample in range(count):
            first = sample - sample % SAMPLES_IN_GROUP
            group = f"samples {first} to {min(first + SAMPLES_IN_GROUP, count) - 1}"
            height = 4.0 if explanation.map is not None else 1.3 + 0.27 * columns
            # A tag belongs to one tab only.
            table = text_pb(f"{group}/table {sample}", _sample_markdown(explanation, sample))
            file.write_summary(Summary.FromString(table.SerializeToString()), 0)
            draw(f"{group}/{sample}", functools.partial(explanation.plot, sample), height)
        record = ExplanationRecord.of(explanation, MOST_SAMPLES)
        if record is not None:
            file.write({EXPLANATION: record.encoded()}, step=0)
    pictures.tell()


def _sample_markdown(explanation: Explanation, sample: int) -> str:
    """The predictions at a sample, and a Markdown table of its 20 largest shares."""
    predictions = zip(explanation.unit_labels, explanation.predictions[sample], strict=True)
    table = explanation.table(sample)
    text = io.StringIO()
    text.write(", ".join(f"{unit}: {value:.4g}" for unit, value in list(predictions)[:MOST_FEATURES]))
    text.write("\n\n| feature | value | share, % | a higher value | another value |\n|:---|---:|---:|:---|:---|\n")
    for name, row in table[:MOST_FEATURES].iterrows():
        effect = {1.0: "raises the output", -1.0: "lowers the output"}.get(row["sign"], "")
        value = "" if row["value"] is None else plots.value(row["value"])
        text.write(f"| {escaped(name)} | {escaped(value)} | {row['share']:.2f} | {effect} | {escaped(_flip(row))} |\n")
    if len(table) > MOST_FEATURES:
        rest = table["share"][MOST_FEATURES:].sum()
        text.write(f"| the other {len(table) - MOST_FEATURES:,} | | {rest:.2f} | | |\n")
    return text.getvalue()


def _flip(row: pd.Series[Any]) -> str:
    """What another value of the feature would change, in words."""
    if np.isnan(row["flip"]):
        return ""
    other = "the most common other" if row["other_value"] is None else plots.value(row["other_value"])
    return f"{other}: {row['flip']:+.4g}"
