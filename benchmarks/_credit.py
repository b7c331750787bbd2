"""The paper's credit network, and rows of its columns."""

import keras
import numpy as np

COLUMNS = 23


def network() -> keras.Model:
    """23 columns, 64 tanh, softmax of two classes."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    return keras.Sequential([keras.Input((COLUMNS,)), layers.Dense(64, "tanh"), layers.Dense(2, "softmax")])


def rows(count: int) -> np.ndarray:
    """Standard normal numbers, shape (count, COLUMNS)."""
    return np.random.default_rng(0).normal(size=(count, COLUMNS)).astype("float32")
