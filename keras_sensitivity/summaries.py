"""`Importance` and `Explanation` -> TensorBoard event files, readable by stock TensorBoard; trajectories back."""

from __future__ import annotations

import functools
import io
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import tensorflow as tf

from keras_sensitivity import _checks, plots

if TYPE_CHECKING:
    from keras_sensitivity.explanation import Explanation
    from keras_sensitivity.importance import Importance

__all__ = ["SummaryWriter", "load_trajectory", "write_explanation"]

# Thousands of scalar tags freeze TensorBoard.
MOST_FEATURES = 20

# A run of its own, so that keras.callbacks.TensorBoard may write to the same log_dir.
RUN = "sensitivity"

# What `load_trajectory` reads back, of all features and to the last bit; no tab shows it.
NAMES, IMPORTANCES = "trajectory/features", "trajectory/importances"
UNSHOWN = tf.compat.v1.SummaryMetadata(plugin_data={"plugin_name": "keras_sensitivity"})

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
    - a text ``ranking_table``: the same in numbers;
    - the importances of all features for `load_trajectory`, with their names at the first look.

    Raises:
        OSError: If no file can be written there.
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        folder = os.path.join(log_dir, RUN)
        _checks.folder(folder)
        self._writer = tf.summary.create_file_writer(folder)
        self._is_named = False

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
            if not self._is_named:
                tf.summary.write(NAMES, list(importance.features.index), metadata=UNSHOWN)
                self._is_named = True
            tf.summary.write(IMPORTANCES, importance.features.to_numpy(), metadata=UNSHOWN)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def load_trajectory(log_dir: str | os.PathLike[str]) -> pd.DataFrame:
    """The trajectory that a `SensitivityCallback` wrote to its ``log_dir``, also of a fit that crashed or still runs.

    Of several fits that wrote there, one that went on (``initial_epoch``) continues the one before from its first
    look on; one that began anew replaces it.

    Args:
        log_dir: The callback's ``log_dir``.

    Returns:
        `SensitivityCallback.trajectory`: importances over epochs, index epoch (from 0), columns features, percent.

    Raises:
        FileNotFoundError: If no look was written there.

    Example:

    >>> import keras, numpy as np, tempfile
    >>> import keras_sensitivity as ks
    >>> x = np.random.default_rng(0).normal(size=(100, 3))
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    >>> model.compile("adam", "mse")
    >>> with tempfile.TemporaryDirectory() as log_dir:
    ...     watch = ks.SensitivityCallback(x, log_dir=log_dir)
    ...     history = model.fit(x, x[:, 0], epochs=2, callbacks=[watch], verbose=0)
    ...     loaded = ks.load_trajectory(log_dir)
    >>> loaded.equals(watch.trajectory)
    True
    """
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util.tensor_util import make_ndarray

    folder = pathlib.Path(log_dir, RUN)
    names: list[str] = []
    looks: dict[int, pd.Series[float]] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):  # the names begin with the time
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                if value.tag == NAMES:
                    names = [name.decode() for name in make_ndarray(value.tensor)]
                elif value.tag == IMPORTANCES:
                    while looks and next(reversed(looks)) >= event.step:
                        looks.popitem()
                    looks[event.step] = pd.Series(make_ndarray(value.tensor), names)
    if not looks:
        _checks.no_looks(folder)
    return pd.DataFrame(list(looks.values()), pd.Index(list(looks), name="epoch", dtype="int64"))


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
