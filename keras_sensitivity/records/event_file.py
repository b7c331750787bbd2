"""`EventFile`: a file of TensorBoard's, written so that whatever cannot be written is an error.

TensorFlow's own writer of summaries says nothing where a disk is full or a folder is gone, and goes on.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import threading
import time
import types
from collections.abc import Iterator, Mapping

import tensorflow as tf
from tensorflow.core.framework.summary_pb2 import Summary
from tensorflow.core.util.event_pb2 import Event

from keras_sensitivity.records.record import PLUGIN, SCALAR, TENSOR

__all__ = ["EventFile", "Summary", "Values"]

Values = Mapping[str, float | list[bytes]]

NOTHING: Values = types.MappingProxyType({})

# What the first event of a file says of its format.
VERSION = "brain.Event:2"

# What the curves are, by the beginning of their tags.
DESCRIPTIONS = {
    "importance/": "Percent of how far the inputs move the output; all features together are 100.",
    "lag/": "Percent of how far the inputs move the output that comes from so many steps before the newest one.",
    "noise/": "Percent: between `lower` and `upper` lies a feature that means nothing.",
    "num_dead_features": "Features that the network does not use.",
    "importance_shift": "Percentage points of importance that went to other features since the look before.",
}

_numbers = itertools.count()


class EventFile:
    """One event file in the folder of a run; all of a process have different names.

    What was written is on the disk when a method returns, as far as the system knows. Several threads may write.

    Args:
        folder: Of the run; it is made.

    Raises:
        OSError: Here and wherever something is written, if it cannot be. What stands in the file up to there can be
            read; nothing more is written to it, as its end may be torn.
    """

    def __init__(self, folder: str) -> None:
        self._lock = threading.Lock()
        self._described: set[str] = set()
        self._is_torn = False
        name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}.v2"
        self._path = tf.io.gfile.join(folder, name)
        self._is_local = "://" not in folder
        with _errors_of_the_system(self._path):
            tf.io.gfile.makedirs(folder)
            self._writer = tf.io.TFRecordWriter(self._path)
        try:
            self._put(Event(wall_time=time.time(), file_version=VERSION))
        except OSError:
            self.abandon()
            raise

    def write(self, values: Values, step: int, *, wall_time: float | None = None, once: Values = NOTHING) -> None:
        """Write points of curves, and strings of our own, by their tags; what a tag is stands beside its first value.

        Args:
            values: The values; a float is a point of a curve.
            step: Of all of them.
            wall_time: When they came about, seconds since 1970; None: now.
            once: More of them, of which those whose tag the file has are left out.
        """
        with self._lock:
            written = {**{tag: value for tag, value in once.items() if tag not in self._described}, **values}
            summary = Summary()
            for tag, value in written.items():
                _add(summary, tag, value, is_first=tag not in self._described)
            self._put(Event(wall_time=wall_time or time.time(), step=step, summary=summary))
            self._described.update(written)

    def write_summary(self, summary: Summary, step: int) -> None:
        """Write what is a summary already, such as a picture."""
        with self._lock:
            self._put(Event(wall_time=time.time(), step=step, summary=summary))

    def _put(self, event: Event) -> None:
        """Append to the file, down to the disk."""
        if self._is_torn:
            raise OSError(f"what was to be written before was not ({self._path})")
        self._is_torn = True
        with _errors_of_the_system(self._path):
            self._writer.write(event.SerializeToString())
            self._writer.flush()
            if self._is_local:
                with open(self._path, "rb+") as file:  # also tells whether it is still there
                    os.fsync(file.fileno())
        self._is_torn = False

    def abandon(self) -> None:
        """Let go of a file that cannot be written to any more, and of one in which nothing stands."""
        with contextlib.suppress(OSError, tf.errors.OpError):
            self.close()
        if not self._described:
            with contextlib.suppress(OSError, tf.errors.OpError):
                tf.io.gfile.remove(self._path)

    def close(self) -> None:
        """Close the file; it may have failed."""
        with self._lock, _errors_of_the_system(self._path):
            self._writer.close()

    def __enter__(self) -> EventFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def _errors_of_the_system(path: str) -> Iterator[None]:
    """Within the block TensorFlow's errors are those of the system."""
    try:
        yield
    except tf.errors.OpError as error:
        raise OSError(f"{error.message} ({path})") from error


def _add(summary: Summary, tag: str, value: float | list[bytes], *, is_first: bool) -> None:
    """Add a curve's point, or strings of our own."""
    added = summary.value.add(tag=tag)
    is_curve = isinstance(value, float)
    if is_curve:  # as `tf.make_tensor_proto` makes it, in a twentieth of the time
        added.tensor.dtype = tf.float32.as_datatype_enum
        added.tensor.tensor_shape.SetInParent()
        added.tensor.float_val.append(value)
    else:
        added.tensor.CopyFrom(tf.make_tensor_proto(value, tf.string))
    if is_first:
        added.metadata.plugin_data.plugin_name = "scalars" if is_curve else PLUGIN
        added.metadata.data_class = SCALAR if is_curve else TENSOR
        found = (text for beginning, text in DESCRIPTIONS.items() if tag.startswith(beginning))
        added.metadata.summary_description = next(found, "")
