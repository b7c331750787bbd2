"""`Importance` and `Explanation` -> TensorBoard event files, readable by stock TensorBoard."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from keras_sensitivity import _checks, plots

if TYPE_CHECKING:
    from keras_sensitivity.explanation import Explanation
    from keras_sensitivity.importance import Importance

__all__ = ["SummaryWriter", "write_explanation"]

# Thousands of scalar tags freeze TensorBoard.
MOST_FEATURES = 20

# A run of its own, so that keras.callbacks.TensorBoard may write to the same log_dir.
RUN = "sensitivity"

# Explanations are no part of a training run.
EXPLANATIONS_RUN = "explanations"

# Samples that are drawn one by one, and how many of them share a group of TensorBoard's pages.
MOST_SAMPLES = 50
SAMPLES_IN_GROUP = 10

# Small in inches, so that letters stay legible where TensorBoard shrinks the picture.
WIDTH = 4.8


class SummaryWriter:
    """Writes looks to ``log_dir/sensitivity``.

    Each look becomes, at the step of its epoch:

    - scalars ``importance/<feature>`` for the 20 most important features, percent, and the given ones;
    - with `NoiseProbes`, scalars ``noise/lower``, ``noise/level`` and ``noise/upper``: the noise band, percent;
    - a histogram ``rms`` of the rms sensitivities, one count for each output unit and feature;
    - an image ``ranking``: bars with standard errors;
    - with a time axis, scalars ``lag/<lag>`` for the 20 most important lags, percent, and images ``lags``, the
      profile, and ``lags_and_features``, a heat map;
    - for images as inputs, an image ``map``: the importance of each pixel;
    - a text ``ranking_table``: the same in numbers.

    Raises:
        OSError: If no file can be written there.
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        folder = os.path.join(log_dir, RUN)
        _checks.folder(folder)
        self._writer = tf.summary.create_file_writer(folder)

    def write(self, importance: Importance, epoch: int, scalars: Mapping[str, float]) -> None:
        """Write one look, and flush it to the disk; NaN scalars are left out."""
        ranked = importance.features.sort_values(ascending=False, kind="stable")[:MOST_FEATURES]
        # Keras' own TensorBoard callback with update_freq=N switches summaries off between its steps.
        with self._writer.as_default(step=epoch), tf.summary.record_if(True):
            for name, share in ranked.items():
                tf.summary.scalar(f"importance/{name}", share)
            for name, value in scalars.items():
                if np.isfinite(value):
                    tf.summary.scalar(name, value)
            if importance.noise_band is not None:
                for name, value in zip(("lower", "upper"), importance.noise_band, strict=True):
                    tf.summary.scalar(f"noise/{name}", value)
                tf.summary.scalar("noise/level", importance.noise_level)
            tf.summary.histogram("rms", importance.rms_by_output.to_numpy().ravel())
            bars = min(len(ranked) + 1, len(importance.features))
            ranking = functools.partial(plots.ranking, importance, top=MOST_FEATURES)
            _image("ranking", ranking, 1.0 + 0.27 * bars)
            if importance.lags is not None:
                for lag, share in importance.lags.nlargest(MOST_FEATURES).items():
                    tf.summary.scalar(f"lag/{lag}", share)
                _image("lags", functools.partial(plots.lag_profile, importance), 3.2)
                _image("lags_and_features", functools.partial(plots.heat_map, importance), 1.4 + 0.3 * bars)
            if importance.map is not None:
                _image("map", functools.partial(plots.image_map, importance), 4.0)
            tf.summary.text("ranking_table", _markdown(importance))
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def write_explanation(explanation: Explanation, log_dir: str | os.PathLike[str]) -> None:
    """Write an explanation to ``log_dir/explanations``.

    The first 50 samples become, ten to a group ``samples 0 to 9``:

    - an image a sample: bars, for sequences lags by features, for images an overlay;
    - a text a sample: the 20 largest shares in numbers;

    and all of them together one image, ``explanations/overview``.

    Raises:
        OSError: If no file can be written there.
    """
    folder = os.path.join(log_dir, EXPLANATIONS_RUN)
    _checks.folder(folder)
    count = min(MOST_SAMPLES, len(explanation))
    columns = min(MOST_FEATURES + 1, explanation.features.shape[1])
    with tf.summary.create_file_writer(folder).as_default(step=0), tf.summary.record_if(True):
        if explanation.map is None:
            overview = functools.partial(plots.overview, explanation, top=MOST_FEATURES, most=MOST_SAMPLES)
            _image("explanations/overview", overview, 2.2 + 0.2 * count, width=2.4 + 0.3 * columns)
        else:
            overlays = functools.partial(plots.overlays, explanation, most=MOST_SAMPLES)
            _image("explanations/overview", overlays, 0.8 * -(-count // 5))
        for sample in range(count):
            first = sample - sample % SAMPLES_IN_GROUP
            group = f"samples {first} to {min(first + SAMPLES_IN_GROUP, count) - 1}"
            height = 4.0 if explanation.map is not None else 1.3 + 0.27 * columns
            _image(f"{group}/{sample}", functools.partial(explanation.plot, sample), height)
            # A tag belongs to one tab only.
            tf.summary.text(f"{group}/table {sample}", _sample_markdown(explanation, sample))


def _image(tag: str, draw: Callable[..., Any], height: float, width: float = WIDTH) -> None:
    tf.summary.image(tag, plots.pixels(draw, width, height)[None])


def _markdown(importance: Importance) -> str:
    """The ranking as a Markdown table of the 20 most important features."""
    table = importance.table.sort_values("rank")
    text = io.StringIO()
    text.write("| rank | feature | importance, % | ± standard error | rms |\n|---:|:---|---:|---:|---:|\n")
    for name, row in table[:MOST_FEATURES].iterrows():
        text.write(f"| {row['rank']:.0f} | {_escaped(name)} | {row['importance']:.2f} | {row['standard_error']:.2f} "
                   f"| {row['rms']:.4g} |\n")  # fmt: skip
    if len(table) > MOST_FEATURES:
        rest = table[MOST_FEATURES:]["importance"].sum()
        text.write(f"| | the other {len(table) - MOST_FEATURES:,} | {rest:.2f} | | |\n")
    return text.getvalue()


def _sample_markdown(explanation: Explanation, sample: int) -> str:
    """The predictions at a sample, and a Markdown table of its 20 largest shares."""
    predictions = zip(explanation.units, explanation.predictions[sample], strict=True)
    shares = explanation.features.iloc[sample].sort_values(ascending=False, kind="stable")
    signs, values = explanation.signs.iloc[sample].to_dict(), explanation.values(sample)
    text = io.StringIO()
    text.write(", ".join(f"output {unit}: {value:.4g}" for unit, value in list(predictions)[:MOST_FEATURES]))
    text.write("\n\n| feature | value | share, % | a higher value |\n|:---|---:|---:|:---|\n")
    for name, share in shares[:MOST_FEATURES].to_dict().items():
        effect = {1.0: "raises the output", -1.0: "lowers the output"}.get(signs[name], "")
        value = plots.value(values[name]) if name in values else ""
        text.write(f"| {_escaped(name)} | {_escaped(value)} | {share:.2f} | {effect} |\n")
    if len(shares) > MOST_FEATURES:
        rest = shares[MOST_FEATURES:].sum()
        text.write(f"| the other {len(shares) - MOST_FEATURES:,} | | {rest:.2f} | |\n")
    return text.getvalue()


def _escaped(name: object) -> str:
    return str(name).replace("|", "\\|")
