"""What all records share: how much one page of TensorBoard takes, and how a picture and a name are written there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_sensitivity import errors, plots
from keras_sensitivity.labels import printable

__all__ = ["MOST_FEATURES", "Pictures", "escaped"]

# Thousands of scalar tags freeze TensorBoard.
MOST_FEATURES = 20

# Small in inches, so that letters stay legible where TensorBoard shrinks the picture.
WIDTH = 4.8


class Pictures:
    """The pictures beside the numbers: one that cannot be drawn is left out, with one warning, and the rest goes on."""

    def __init__(self) -> None:
        self._has_failed = False

    def write(self, tag: str, draw: Callable[..., Any], height: float, width: float = WIDTH) -> None:
        """Write a picture of this size in inches, which a function draws on the axes that it is given."""
        try:
            pixels = plots.pixels(draw, width, height)
        except Exception as error:  # noqa: BLE001
            if not self._has_failed:
                errors.warn_no_picture(tag, error)
            self._has_failed = True
        else:
            tf.summary.image(tag, pixels[None])


def escaped(name: object) -> str:
    r"""A name as it stands in a table of Markdown.

    >>> escaped("first|second\n")
    'first\\|second\\\\n'
    """
    text = printable(name).replace("\\", "\\\\")
    return text.replace("|", "\\|")
