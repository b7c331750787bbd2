"""Pixels: where in an image the sensitivity lies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_sensitivity import errors
from keras_sensitivity.plots._style import ORANGE, new_axes, title
from keras_sensitivity.plots._text import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from keras_sensitivity.explanation import Explanation
    from keras_sensitivity.importance import Importance

__all__ = ["image_map", "image_overlay", "overlays"]

Array = np.ndarray[Any, Any]

# Larger pictures are cut into this many blocks along their longer side, each with one disc.
MOST_DISCS = 32

# Shares below this part of the largest get no disc, and pictures no black, so that the discs stand out.
SMALLEST_PART = 0.02
DARKEST = 0.3


@picture
def image_map(importance: Importance, ax: Axes | None = None) -> Axes:
    """The importance of each pixel, over all measured images.

    Args:
        importance: What to draw; the model's input must be images.
        ax: Axes to draw on; None: new ones.

    Returns:
        The axes: colours from white (none) to dark blue (the largest), percent, channels summed.

    Raises:
        ValueError: If the model's input is no image.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> from keras_sensitivity import plots
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    >>> x = np.random.default_rng(0).uniform(size=(20, 8, 8, 1))
    >>> ax = plots.image_map(ks.measure(model, x))
    >>> ax.images[0].get_array().shape  # height, width
    (8, 8)
    """
    shares = importance.map
    if shares is None:
        errors.refuse_no_map()
    ax = new_axes(4.8, 4.0) if ax is None else ax
    pixels = shares.sum(axis=-1)
    image = ax.imshow(pixels, cmap="Blues", vmin=0, vmax=_reach(pixels), interpolation="nearest")
    ax.set_axis_off()
    ax.figure.colorbar(image, ax=ax, label="importance, %")
    return ax


@picture
def image_overlay(explanation: Explanation, sample: int = 0, ax: Axes | None = None) -> Axes:
    """Discs whose areas are the shares of the pixels at one sample, over its own picture in grey.

    Args:
        explanation: What to draw; the model's input must be images.
        sample: Position of the row, from 0. Of a sequence of images, the newest is shown.
        ax: Axes to draw on; None: new ones.

    Returns:
        The axes: discs from light (none) to dark orange (the largest), percent, channels summed. A picture of more
        than 32 pixels is cut into blocks, with one disc for the sum of each.

    Raises:
        ValueError: If the model's input is no image.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> from keras_sensitivity import plots
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    >>> x = np.random.default_rng(0).uniform(size=(20, 8, 8, 1))
    >>> ax = plots.image_overlay(ks.explain(model, x[:3], background=x), sample=2)
    >>> ax.images[0].get_array().shape  # height, width
    (8, 8)
    """
    shares = explanation.map
    if shares is None:
        errors.refuse_no_map()
    ax = new_axes(4.8, 4.0) if ax is None else ax
    pixels = shares[sample].sum(axis=-1)
    ax.imshow(_grey(explanation.newest_image(sample)), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    block = math.ceil(max(pixels.shape) / MOST_DISCS)
    _discs(ax, _blocks(pixels, block), size=block, label="share of the sensitivity, %")
    ax.set_axis_off()
    ax.set_title(title(explanation, sample))
    return ax


@picture
def overlays(explanation: Explanation, ax: Axes | None = None, *, most: int = 50) -> Axes:
    """The pixels' shares of the first samples beside each other, five in a row.

    Args:
        explanation: What to draw; the model's input must be images.
        ax: Axes to draw on; None: new ones.
        most: Samples to draw at most.

    Returns:
        The axes: each picture in grey with discs like those of `image_overlay`, relative to its own largest share.

    Raises:
        ValueError: If the model's input is no image.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> from keras_sensitivity import plots
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    >>> x = np.random.default_rng(0).uniform(size=(20, 8, 8, 1))
    >>> ax = plots.overlays(ks.explain(model, x, background=x), most=10)
    >>> height, width = ax.images[0].get_array().shape
    >>> height > 2 * 8, width > 5 * 8
    (True, True)
    """
    shares = explanation.map
    if shares is None:
        errors.refuse_no_map()
    count = min(most, len(explanation))
    block = math.ceil(max(shares.shape[1:3]) / MOST_DISCS)
    pictures = _tiles([_grey(explanation.newest_image(sample)) for sample in range(count)], fill=1.0, block=block)
    relative = [100 * part / _reach(_blocks(part, block)) for part in shares[:count].sum(axis=-1)]
    ax = new_axes(6.0, 5.0 * pictures.shape[0] / pictures.shape[1]) if ax is None else ax
    ax.imshow(pictures, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    _discs(ax, _blocks(_tiles(relative, fill=0.0, block=block), block), size=block, label="% of its largest")
    ax.set_axis_off()
    return ax


def _discs(ax: Axes, shares: Array, size: int, label: str) -> None:
    """A disc for each entry of an array of shape (height, width), in the middle of a square of ``size`` pixels."""
    from matplotlib.collections import EllipseCollection
    from matplotlib.colors import LinearSegmentedColormap

    rows, columns = np.nonzero(shares > SMALLEST_PART * shares.max())
    found = shares[rows, columns]
    diameters = 0.92 * size * np.sqrt(found / _reach(shares))
    centres = np.stack([columns, rows], axis=1) * size + (size - 1) / 2
    white_to_orange = LinearSegmentedColormap.from_list("shares", ["white", ORANGE])
    discs = EllipseCollection(
        diameters, diameters, np.zeros(len(found)), units="xy", offsets=centres, offset_transform=ax.transData,
        array=found, cmap=white_to_orange, edgecolors="white", linewidths=0.4,
    )  # fmt: skip
    discs.set_clim(0, _reach(shares))
    ax.add_collection(discs)
    ax.figure.colorbar(discs, ax=ax, label=label, shrink=0.8)


def _reach(values: Array) -> float:
    """The largest value, and of zeros the smallest number."""
    return max(float(values.max()), np.finfo(float).tiny)


def _blocks(pixels: Array, size: int) -> Array:
    """Sums over squares of ``size`` pixels.

    >>> _blocks(np.ones((3, 4)), 2).tolist()
    [[4.0, 4.0], [2.0, 2.0]]
    """
    margin = [(0, -length % size) for length in pixels.shape]
    padded = np.pad(pixels, margin)
    squares = padded.reshape(padded.shape[0] // size, size, padded.shape[1] // size, size)
    return np.asarray(squares.sum(axis=(1, 3)))


def _grey(image: Array) -> Array:
    """The brightness of an image of shape (height, width, channels), from `DARKEST` to 1, shape (height, width)."""
    flat: Array = image.astype(float).mean(axis=-1)
    spread = np.ptp(flat)
    return DARKEST + (1 - DARKEST) * (flat - flat.min()) / spread if spread else np.ones_like(flat)


def _tiles(images: list[Array], fill: float, block: int, columns: int = 5) -> Array:
    """Images of one shape (height, width) as one picture, with margins of whole blocks around each.

    >>> _tiles([np.ones((3, 3)), np.ones((3, 3))], fill=0.0, block=2, columns=2).shape
    (8, 16)
    """
    columns = min(columns, len(images))
    margin = [(block, block + -length % block) for length in images[0].shape]
    padded = [np.pad(image, margin, constant_values=fill) for image in images]
    padded += [np.full_like(padded[0], fill)] * (math.ceil(len(padded) / columns) * columns - len(padded))
    return np.block([padded[start : start + columns] for start in range(0, len(padded), columns)])
