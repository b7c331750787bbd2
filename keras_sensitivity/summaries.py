"""`Importance` -> TensorBoard event files, one step an epoch, readable by stock TensorBoard."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from keras_sensitivity import _checks, plots
from keras_sensitivity.importance import Importance

__all__ = ["SummaryWriter"]

# Thousands of scalar tags freeze TensorBoard.
MOST_FEATURES = 20

# A run of its own, so that keras.callbacks.TensorBoard may write to the same log_dir.
RUN = "sensitivity"


class SummaryWriter:
    """Writes looks to ``log_dir/sensitivity``.

    Each look becomes, at the step of its epoch:

    - scalars ``importance/<feature>`` for the 20 most important features, percent, and the given ones;
    - a histogram ``rms`` of the rms sensitivities, one count for each output unit and feature;
    - an image ``ranking``: bars with standard errors;
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
            tf.summary.histogram("rms", importance.rms_by_output.to_numpy().ravel())
            tf.summary.image("ranking", _picture(importance)[None])
            tf.summary.text("ranking_table", _markdown(importance))
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def _picture(importance: Importance) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """The ranking as pixels of shape (height, width, 3), drawn without matplotlib's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bars = min(len(importance.features), MOST_FEATURES + 1)
    figure = Figure(figsize=(6.4, 1.0 + 0.27 * bars), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    plots.ranking(importance, ax=figure.subplots(), top=MOST_FEATURES)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def _markdown(importance: Importance) -> str:
    """The ranking as a Markdown table of the 20 most important features."""
    table = importance.table.sort_values("rank")
    text = io.StringIO()
    text.write("| rank | feature | importance, % | ± standard error | rms |\n|---:|:---|---:|---:|---:|\n")
    for name, row in table[:MOST_FEATURES].iterrows():
        escaped = str(name).replace("|", "\\|")
        text.write(f"| {row['rank']:.0f} | {escaped} | {row['importance']:.2f} | {row['standard_error']:.2f} "
                   f"| {row['rms']:.4g} |\n")  # fmt: skip
    if len(table) > MOST_FEATURES:
        rest = table[MOST_FEATURES:]["importance"].sum()
        text.write(f"| | the other {len(table) - MOST_FEATURES:,} | {rest:.2f} | | |\n")
    return text.getvalue()
