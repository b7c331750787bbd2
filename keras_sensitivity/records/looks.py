"""`Importance` -> TensorBoard event files, look by look."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import tensorflow as tf

from keras_sensitivity import errors, plots
from keras_sensitivity.records.pages import MOST_FEATURES, Pictures, escaped

if TYPE_CHECKING:
    from keras_sensitivity.importance import Importance

__all__ = ["IMPORTANCES", "NAMES", "RUN", "LookWriter"]

# A run of its own, so that keras.callbacks.TensorBoard may write to the same log_dir.
RUN = "sensitivity"

# What `load_trajectory` reads back, of all features and to the last bit; no tab shows it.
NAMES, IMPORTANCES = "trajectory/features", "trajectory/importances"
UNSHOWN = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "keras_sensitivity"})


class LookWriter:
    """Writes looks to ``log_dir/sensitivity``; with a name, to ``log_dir/name/sensitivity``.

    Each look becomes, at the step of its epoch:

    - scalars ``importance/<feature>`` for the 20 most important features, percent, and the given ones;
    - with `NoiseProbes`, scalars ``noise/lower``, ``noise/level`` and ``noise/upper``: the noise band, percent;
    - a histogram ``rms`` of the rms sensitivities, one count for each output unit and feature;
    - an image ``ranking``: bars with standard errors;
    - with a time axis, scalars ``lag/<lag>`` for the 20 most important lags, percent, and images ``lags``, the
      profile, and ``lags_and_features``, a heat map;
    - for images as inputs, an image ``map``: the importance of each pixel;
    - a text ``ranking_table``: the same in numbers;
    - the importances of all features for `load_trajectory`, with their names at the first look.

    Raises:
        OSError: If no file can be written there.
    """

    def __init__(self, log_dir: str | os.PathLike[str], name: str | None = None) -> None:
        folder = os.path.join(log_dir, name or "", RUN)
        errors.check_folder(folder)
        self._writer = tf.summary.create_file_writer(folder)
        self._pictures = Pictures()
        self._is_named = False

    def write(self, importance: Importance, epoch: int, scalars: Mapping[str, float]) -> None:
        """Write one look, and flush it to the disk.

        The pictures come last, because they may fail.
        """
        ranked = importance.features.sort_values(ascending=False, kind="stable")[:MOST_FEATURES]
        # Keras' own TensorBoard callback with update_freq=N switches summaries off between its steps.
        with self._writer.as_default(step=epoch), tf.summary.record_if(True):
            for name, share in ranked.items():
                tf.summary.scalar(f"importance/{name}", share)
            for name, value in scalars.items():
                tf.summary.scalar(name, value)
            if importance.noise_band is not None:
                for name, value in zip(("lower", "upper"), importance.noise_band, strict=True):
                    tf.summary.scalar(f"noise/{name}", value)
                tf.summary.scalar("noise/level", importance.noise_level)
            is_exact = importance.estimation_error is None
            sizes = importance.rms_by_output if is_exact else importance.table["rms"]
            tf.summary.histogram("rms", sizes.to_numpy().ravel())
            if importance.lags is not None:
                for lag, share in importance.lags.nlargest(MOST_FEATURES).items():
                    tf.summary.scalar(f"lag/{lag}", share)
            tf.summary.text("ranking_table", _markdown(importance))
            if not self._is_named:
                tf.summary.write(NAMES, list(importance.features.index), metadata=UNSHOWN)
                self._is_named = True
            tf.summary.write(IMPORTANCES, importance.features.to_numpy(), metadata=UNSHOWN)
            self._draw(importance)
        self._writer.flush()

    def _draw(self, importance: Importance) -> None:
        """Write the pictures of a look."""
        draw, bars = self._pictures.write, min(MOST_FEATURES + 1, len(importance.features))
        draw("ranking", functools.partial(plots.ranking, importance, top=MOST_FEATURES), 1.0 + 0.27 * bars)
        if importance.lags is not None:
            draw("lags", functools.partial(plots.lag_profile, importance), 3.2)
            draw("lags_and_features", functools.partial(plots.heat_map, importance), 1.4 + 0.3 * bars, width=6.0)
        if importance.map is not None:
            draw("map", functools.partial(plots.image_map, importance), 4.0)

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def _markdown(importance: Importance) -> str:
    """The ranking as a Markdown table of the 20 most important features."""
    table = importance.table.sort_values("rank")
    text = io.StringIO()
    text.write("| rank | feature | importance, % | ± standard error | rms |\n|---:|:---|---:|---:|---:|\n")
    for name, row in table[:MOST_FEATURES].iterrows():
        text.write(f"| {row['rank']:.0f} | {escaped(name)} | {row['importance']:.2f} | {row['standard_error']:.2f} "
                   f"| {row['rms']:.4g} |\n")  # fmt: skip
    if len(table) > MOST_FEATURES:
        rest = table[MOST_FEATURES:]["importance"].sum()
        text.write(f"| | the other {len(table) - MOST_FEATURES:,} | {rest:.2f} | | |\n")
    return text.getvalue()
