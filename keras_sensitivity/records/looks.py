"""`Importance` -> TensorBoard event files, look by look: every number, and now and then pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from keras_sensitivity import errors
from keras_sensitivity.records.artist import Artist
from keras_sensitivity.records.reading import has_looks_before
from keras_sensitivity.records.record import HEADER, PLUGIN, SCALAR, TENSOR, Header, Record, look_tag
from keras_sensitivity.records.runs import new_run, runs_in

if TYPE_CHECKING:
    import pandas as pd

    from keras_sensitivity.dead_features import Event
    from keras_sensitivity.importance import Importance

__all__ = ["LookWriter"]

# Thousands of curves freeze TensorBoard. Features, or lags, of which each has one, at the most.
MOST_CURVES = 50

# What the curves are, by the beginning of their tags.
DESCRIPTIONS = {
    "importance/": "Percent of how far the inputs move the output; all features together are 100.",
    "lag/": "Percent of how far the inputs move the output that comes from so many steps before the newest one.",
    "noise/": "Percent: between `lower` and `upper` lies a feature that means nothing.",
    "num_dead_features": "Features that the network does not use.",
    "importance_shift": "Percentage points of importance that went to other features since the look before.",
}


class LookWriter:
    """Writes the looks of a fit to a run of its own in ``log_dir``, or with a name in ``log_dir/name``.

    The first fit's run is ``sensitivity``, that of the next ``sensitivity_2``; a fit that goes on where another one
    ended (``initial_epoch``) goes on in its run, which has looks before it. Each look becomes one event, at the step of
    its epoch:

    - scalars ``importance/<feature>``, percent, of up to 50 features, else of the 50 most important at the first look,
      so that a curve has a point at every look; with a time axis ``lag/<lag>`` likewise; the given ones; and with
      `NoiseProbes` the noise band, ``noise/lower``, ``noise/level`` and ``noise/upper``, percent;
    - a `Record` of all features, with a `Header` at the first look.

    The last look, and of a long fit a few before, have pictures: see `Artist`.

    Args:
        log_dir: A folder, also one that only TensorFlow can reach, such as ``gs://bucket/logs``.
        name: Of the callback.
        run: That of the callback's fit before, in which one that goes on goes on; None: the newest one.

    Attributes:
        run: The name of the run; None before the first look.

    Raises:
        OSError: If no file can be written there.
    """

    def __init__(self, log_dir: str | os.PathLike[str], name: str | None = None, run: str | None = None) -> None:
        errors.check_folder(log_dir)
        self._folder = tf.io.gfile.join(os.fspath(log_dir), name or "")
        tf.io.gfile.makedirs(self._folder)
        self.run: str | None = None
        self._before = run
        self._curves = _Curves()
        self._described: set[str] = set()

    def _open(self, epoch: int) -> None:
        """Begin with the files: only the epoch of the first look tells whether another fit goes on."""
        before = self._before or next(reversed(runs_in(self._folder)), None)
        goes_on = before is not None and has_looks_before(epoch, tf.io.gfile.join(self._folder, before))
        self.run = before if goes_on else new_run(self._folder)
        self._writer = tf.summary.create_file_writer(tf.io.gfile.join(self._folder, self.run))
        self._artist = Artist(self._writer)

    def write(
        self,
        importance: Importance,
        epoch: int,
        scalars: Mapping[str, float],
        *,
        threshold: float | None = None,
        events: Sequence[Event] = (),
    ) -> None:
        """Write one look, and flush it to the disk.

        Args:
            importance: The look.
            epoch: When it was.
            scalars: Those of the fit log, by their names there.
            threshold: Below which features die, percent; None: nobody says.
            events: Who died or revived.
        """
        if self.run is None:
            self._open(epoch)
        numbers = {**scalars, **_noise(importance)}
        record = Record.of(importance, numbers if threshold is None else {**numbers, "threshold": threshold}, events)
        summary = tf.compat.v1.Summary()
        if not self._described:
            self._add(summary, HEADER, Header.of(record, importance).encoded())
        self._add(summary, look_tag(epoch), record.encoded())
        for tag, number in {**self._curves.of(importance), **numbers}.items():
            self._add(summary, tag, number)
        # Keras' own TensorBoard callback with update_freq=N switches summaries off between its steps.
        with self._writer.as_default(step=epoch), tf.summary.record_if(True):
            tf.summary.experimental.write_raw_pb(summary.SerializeToString())
        self._writer.flush()
        self._artist.offer(importance, epoch)

    def _add(self, summary: tf.compat.v1.Summary, tag: str, value: float | list[bytes]) -> None:
        """Add a curve's point, or strings of our own; what a tag is stands beside its first value."""
        added = summary.value.add(tag=tag)
        is_curve = isinstance(value, float)
        if is_curve:  # as `tf.make_tensor_proto` makes it, in a twentieth of the time
            added.tensor.dtype = tf.float32.as_datatype_enum
            added.tensor.tensor_shape.SetInParent()
            added.tensor.float_val.append(value)
        else:
            added.tensor.CopyFrom(tf.make_tensor_proto(value, tf.string))
        if tag not in self._described:
            self._described.add(tag)
            added.metadata.plugin_data.plugin_name = "scalars" if is_curve else PLUGIN
            added.metadata.data_class = SCALAR if is_curve else TENSOR
            found = (text for beginning, text in DESCRIPTIONS.items() if tag.startswith(beginning))
            added.metadata.summary_description = next(found, "")

    def close(self) -> None:
        """Draw the last look, and close the file."""
        if self.run is not None:
            self._artist.finish()
            self._writer.close()


class _Curves:
    """The features and lags that have a curve: the same at all looks."""

    def __init__(self) -> None:
        self._chosen: dict[str, pd.Index[Any]] = {}

    def of(self, importance: Importance) -> dict[str, float]:
        """The points of the curves, by their tags."""
        every = {"importance": importance.features}
        if importance.lags is not None:
            every["lag"] = importance.lags
        points: dict[str, float] = {}
        for kind, found in every.items():
            chosen = self._chosen.setdefault(kind, found.nlargest(MOST_CURVES).index)
            points |= {f"{kind}/{name}": float(share) for name, share in found[chosen].items()}
        return points


def _noise(importance: Importance) -> dict[str, float]:
    """Between which importances pure noise would lie, and its own; nothing without probes."""
    if importance.noise_band is None or importance.noise_level is None:
        return {}
    lower, upper = importance.noise_band
    return {"noise/lower": float(lower), "noise/level": float(importance.noise_level), "noise/upper": float(upper)}
