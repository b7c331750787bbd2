"""`Case`: a model that a public page describes, and the rows that it takes; and how rows and targets are drawn.

Rows are random, and so are targets: what is asked is whether the numbers are right, not whether a model learns.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

Array = np.ndarray

# From a random generator and a number of rows to these rows.
Draw = Callable[[np.random.Generator, int], Any]


@dataclasses.dataclass(frozen=True)  # Keras would take a named tuple apart
class Target:
    """What a model is trained to return, and the loss that compares the two."""

    draw: Draw
    loss: Any


class Case(NamedTuple):
    """A model that a public page describes.

    Attributes:
        name: Of the model.
        source: The page, or the paper, that describes it.
        build: Makes one anew; compiled, where more than an optimizer and a loss belongs to it.
        x: Draws rows.
        target: What it is trained to return; the same structure as its outputs, where there are several.
        mode: What the axes are: "static", "many-to-one" or "many-to-many", as in `keras_sensitivity.Definition`.
        codes: Of each input of codes the layers that look them up; "films/1" is the second call of the layer "films".
        mask: Which steps of x are valid, where not all are.
        tolerance: What differs by less is the same: shares in percentage points, derivatives in percent of the largest.
    """

    name: str
    source: str
    build: Callable[[], keras.Model]
    x: Draw
    target: Any
    mode: str = "static"
    codes: Mapping[str, Sequence[str]] = {}
    mask: Callable[[Any], Array] | None = None
    tolerance: float = 0.01


# --- rows -----------------------------------------------------------------------------------------------------------


def normal(*shape: int) -> Draw:
    """Standard normal numbers of this shape."""
    return lambda rng, n: rng.normal(size=(n, *shape)).astype("float32")


def uniform(*shape: int) -> Draw:
    """Numbers between 0 and 1, such as the pixels of a picture."""
    return lambda rng, n: rng.uniform(size=(n, *shape)).astype("float32")


def integers(high: int, *shape: int, low: int = 0) -> Draw:
    """Codes from ``low`` up to ``high``, which is not reached."""
    return lambda rng, n: rng.integers(low, high, size=(n, *shape)).astype("int32")


def words(vocabulary: Sequence[str]) -> Draw:
    """One word a row."""
    return lambda rng, n: tf.constant(rng.choice(vocabulary, size=(n, 1)))


def sentences(vocabulary: Sequence[str], length: int) -> Draw:
    """A sentence of so many words a row."""
    return lambda rng, n: tf.constant([[" ".join(row)] for row in rng.choice(vocabulary, size=(n, length))])


def padded(length: int, features: int) -> Draw:
    """Sequences of different lengths, filled up with zeros behind their end."""

    def draw(rng: np.random.Generator, n: int) -> Array:
        lengths = rng.integers(2, length + 1, size=(n, 1, 1))
        return (rng.normal(size=(n, length, features)) * (np.arange(length)[:, None] < lengths)).astype("float32")

    return draw


def together(**draws: Draw) -> Draw:
    """Several inputs, by name."""
    return lambda rng, n: {name: draw(rng, n) for name, draw in draws.items()}


def listed(*draws: Draw) -> Draw:
    """Several inputs, in order."""
    return lambda rng, n: [draw(rng, n) for draw in draws]


# --- targets --------------------------------------------------------------------------------------------------------


def numbers(*shape: int, loss: Any = "mse") -> Target:
    """Numbers of this shape, a column of them without one."""
    return Target(normal(*(shape or (1,))), loss)


def labels(num_classes: int, *shape: int, loss: Any = "sparse_categorical_crossentropy") -> Target:
    """The number of a class, for a softmax."""
    return Target(integers(num_classes, *shape), loss)


def yes_or_no(*shape: int, loss: Any = "binary_crossentropy") -> Target:
    """0 or 1, for a sigmoid."""
    return Target(lambda rng, n: integers(2, *(shape or (1,)))(rng, n).astype("float32"), loss)


# --- layers ---------------------------------------------------------------------------------------------------------


def adapted(layer: keras.Layer, draw: Draw) -> keras.Layer:
    """A layer for preprocessing that has seen rows such as these."""
    layer.adapt(tf.convert_to_tensor(draw(np.random.default_rng(5), 64)))
    return layer


def chain(x: Any, *layers: Any) -> Any:
    """What comes out when x goes through one layer after the other."""
    return functools.reduce(lambda value, layer: layer(value), layers, x)


def sequential(shape: Sequence[int | None], *layers: keras.Layer, **how: Any) -> keras.Sequential:
    """Layers in a row, behind an input of this shape."""
    return keras.Sequential([keras.Input(shape, **how), *layers])
