"""What all records share: how much one page of TensorBoard takes, and how a picture and a name are written there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from keras_sensitivity import plots

__all__ = ["MOST_FEATURES", "escaped", "image"]

# Thousands of scalar tags freeze TensorBoard.
MOST_FEATURES = 20

# Small in inches, so that letters stay legible where TensorBoard shrinks the picture.
WIDTH = 4.8


def image(tag: str, draw: Callable[..., Any], height: float, width: float = WIDTH) -> None:
    """Write a picture of this size in inches, which a function draws on the axes that it is given."""
    tf.summary.image(tag, plots.pixels(draw, width, height)[None])


def escaped(name: object) -> str:
    """A name as it stands in a table of Markdown."""
    return str(name).replace("|", "\\|")
