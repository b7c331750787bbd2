"""What all records share: how much one page of TensorBoard takes, and how a picture and a name are written there."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_sensitivity import errors, plots
from keras_sensitivity.labels import printable
from keras_sensitivity.records.event_file import Summary

__all__ = ["MOST_FEATURES", "Pictures", "escaped"]

# Bars of a picture, and rows of a table.
MOST_FEATURES = 20

# Small in inches, so that letters stay legible where TensorBoard shrinks the picture.
WIDTH = 4.8


class Pictures:
    """The pictures beside the numbers: one that cannot be drawn is left out, with one warning, and the rest goes on.

    Args:
        write: Writes a summary.
    """

    def __init__(self, write: Callable[[Summary], None]) -> None:
        self._write = write
        self._failed: tuple[str, BaseException] | None = None
        self._has_told = False

    def write(self, tag: str, draw: Callable[..., Any], height: float, width: float = WIDTH) -> None:
        """Write a picture of this size in inches, which a function draws on the axes that it is given."""
        try:
            self._write(_image(tag, plots.pixels(draw, width, height)))
        except Exception as error:  # noqa: BLE001
            self.fail(tag, error)

    def fail(self, tag: str, error: BaseException) -> None:
        """Note that a picture could not be drawn, and why."""
        self._failed = self._failed or (tag, error)

    def tell(self) -> None:
        """Warn of the first that failed; in the thread of whoever asked for them, whose line the warning names."""
        if self._failed is not None and not self._has_told:
            self._has_told = True
            errors.warn_no_picture(*self._failed)


def _image(tag: str, pixels: np.ndarray[Any, Any]) -> Summary:
    """The summary of an image, as `tf.summary.image` writes it, which takes TensorFlow several times as long."""
    from matplotlib.image import imsave
    from tensorboard.plugins.image.metadata import create_summary_metadata

    png = io.BytesIO()
    imsave(png, pixels, format="png")
    height, width, _ = pixels.shape
    strings = [str(width).encode(), str(height).encode(), png.getvalue()]
    summary = Summary()
    added = summary.value.add(tag=tag, tensor=tf.make_tensor_proto(strings, tf.string))
    added.metadata.MergeFromString(create_summary_metadata("", "").SerializeToString())
    return summary


def escaped(name: object) -> str:
    r"""A name as it stands in a table of Markdown.

    >>> escaped("first|second\n")
    'first\\|second\\\\n'
    """
    text = printable(name).replace("\\", "\\\\")
    return text.replace("|", "\\|")
