"""`Importance` -> TensorBoard event files, one step an epoch, readable by stock TensorBoard."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from keras_sensitivity import _checks, plots
from keras_sensitivity.importance import Importance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
    - with a time axis, scalars ``lag/<lag>`` for the 20 most important lags, percent, and images ``lags``, the
      profile, and ``lags_and_features``, a heat map;
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
            bars = min(len(ranked) + 1, len(importance.features))
            tf.summary.image("ranking", _picture(plots.ranking, importance, 1.0 + 0.27 * bars, top=MOST_FEATURES))
            if importance.lags is not None:
                for lag, share in importance.lags.nlargest(MOST_FEATURES).items():
                    tf.summary.scalar(f"lag/{lag}", share)
                tf.summary.image("lags", _picture(plots.lag_profile, importance, 3.2))
                tf.summary.image("lags_and_features", _picture(plots.heat_map, importance, 1.4 + 0.3 * len(ranked)))
            tf.summary.text("ranking_table", _markdown(importance))
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def _picture(plot: Callable[..., Axes], importance: Importance, height: float, **options: Any) -> np.ndarray[Any, Any]:
    """A plot as pixels of shape (1, height, width, 3), drawn without matplotlib's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Small in inches, so that letters stay legible where TensorBoard shrinks the picture.
    figure = Figure(figsize=(4.8, height), dpi=140, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    plot(importance, ax=figure.subplots(), **options)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[None, ..., :3]


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
