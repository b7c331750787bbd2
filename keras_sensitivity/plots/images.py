"""Pixels: where in an image the sensitivity lies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_sensitivity import errors
from keras_sensitivity.plots._style import INK, by_root, new_axes, percent_bar, title
from keras_sensitivity.plots._text import picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from keras_sensitivity.explanation import Explanation
    from keras_sensitivity.importance import Importance

__all__ = ["image_map", "image_overlay", "overlays"]

Array = np.ndarray[Any, Any]

# Larger pictures are cut into this many blocks along their longer side, each of one colour.
MOST_BLOCKS = 32

# Pictures have no dark greys, so that the colours stand out.
DARKEST = 0.45

# From nothing, through which the picture is seen, to the largest share.
SHADES = ((0.0, "#D55E0000"), (0.6, "#D55E00A6"), (1.0, "#6B2300FF"))


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
    from matplotlib.ticker import StrMethodFormatter

    ax = new_axes(4.8, 4.0) if ax is None else ax
    pixels = shares.sum(axis=-1)
    image = ax.imshow(pixels, cmap="Blues", vmin=0, vmax=_reach(pixels), interpolation="nearest")
    ax.set_axis_off()
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="importance", format=StrMethodFormatter("{x:g} %"))
    return ax


@picture
def image_overlay(explanation: Explanation, sample: int = 0, ax: Axes | None = None) -> Axes:
    """The shares of the pixels at one sample as colours over its own picture in grey.

    Args:
        explanation: What to draw; the model's input must be images.
        sample: Position of the row, from 0. Of a sequence of images, the newest is shown.
        ax: Axes to draw on; None: new ones.

    Returns:
        The axes: from nothing (none) over orange to dark brown (the largest), by the square root, percent,
        channels summed; a thin line goes around what is brighter than the middle. A picture of more than 32 pixels is
        cut into blocks, each with the colour of its sum.

    Raises:
        ValueError: If the model's input is no image.

    Example:

    >>> import keras, numpy as np
    >>> import keras_sensitivity as ks
    >>> from keras_sensitivity import plots
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    >>> x = np.random.default_rng(0).uniform(size=(20, 8, 8, 1))
    >>> ax = plots.image_overlay(ks.explain(model, x[:3], background=x), sample=2)
    >>> [image.get_array().shape for image in ax.images]  # the picture, and the shares: height, width
    [(8, 8), (8, 8)]
    """
    shares = explanation.map
    if shares is None:
        errors.refuse_no_map()
    ax = new_axes(4.8, 4.0) if ax is None else ax
    pixels, picture = shares[sample].sum(axis=-1), _grey(explanation.newest_image(sample))
    _draw_grey(ax, picture)
    block = math.ceil(max(pixels.shape) / MOST_BLOCKS)
    if block == 1 and min(picture.shape) > 1 and np.ptp(picture):
        ax.contour(picture, levels=[(1 + DARKEST) / 2], colors=INK, linewidths=0.7, alpha=0.6)
    _draw_shares(ax, _blocks(pixels, block), size=block, label="share of the sensitivity")
    title(ax, explanation, sample)
    return ax


@picture
def overlays(explanation: Explanation, ax: Axes | None = None, *, most: int = 50) -> Axes:
    """The pixels' shares of the first samples beside each other, five in a row.

    Args:
        explanation: What to draw; the model's input must be images.
        ax: Axes to draw on; None: new ones.
        most: Samples to draw at most.

    Returns:
        The axes: each picture in grey with colours like those of `image_overlay`, relative to its own largest share.

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
    block = math.ceil(max(shares.shape[1:3]) / MOST_BLOCKS)
    pictures = _tiles([_grey(explanation.newest_image(sample)) for sample in range(count)], fill=1.0, block=block)
    relative = [100 * part / _reach(_blocks(part, block)) for part in shares[:count].sum(axis=-1)]
    ax = new_axes(6.0, 5.0 * pictures.shape[0] / pictures.shape[1]) if ax is None else ax
    _draw_grey(ax, pictures)
    _draw_shares(ax, _blocks(_tiles(relative, fill=0.0, block=block), block), size=block, label="of its largest")
    return ax


def _draw_grey(ax: Axes, picture: Array) -> None:
    ax.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_axis_off()


def _draw_shares(ax: Axes, shares: Array, size: int, label: str) -> None:
    """Colours for an array of shape (height, width), each entry a square of ``size`` pixels, over what is there."""
    from matplotlib.colors import LinearSegmentedColormap

    rows, columns = shares.shape
    limits = ax.axis()  # those of the picture, which the last blocks may leave
    edges = (-0.5, size * columns - 0.5, size * rows - 0.5, -0.5)
    colours = LinearSegmentedColormap.from_list("shares", SHADES)
    image = ax.imshow(shares, cmap=colours, norm=by_root(_reach(shares), root=2), extent=edges, interpolation="nearest")
    ax.axis(limits)
    percent_bar(ax, image, label=label, shrink=0.8)


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
