"""Networks that are known functions of a table, for what can be worked out by hand."""

import keras
import numpy as np
import pandas as pd
from keras import ops

import keras_sensitivity as ks


class Formula(keras.layers.Layer):
    """Returns a function of its input's columns, shape (n, 1)."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(*(x[:, column] for column in range(x.shape[1])))[:, None]


def network(function, num_columns):
    """The function as a model."""
    inputs = keras.Input((num_columns,))
    return keras.Model(inputs, Formula(function)(inputs))


def linear(weights, **options):
    """The linear network with these weights, shape (num_columns, num_units)."""
    weights = np.asarray(weights, dtype=float)
    layer = keras.layers.Dense(weights.shape[1], use_bias=False, **options)
    model = keras.Sequential([keras.Input((weights.shape[0],)), layer])
    model.set_weights([weights])
    return model


def share(sizes):
    """Percent of the sum."""
    sizes = np.asarray(sizes, dtype=float)
    return 100 * sizes / sizes.sum()


def measured(model, x, *, background=None, sample_weight=None, **options):
    """What is measured with a definition of these options."""
    options.setdefault("change", "derivative")
    if sample_weight is not None:
        x = iter([(np.asarray(x), None, np.asarray(sample_weight, dtype=float))])
    return ks.measure(model, x, background=background, definition=ks.Definition(**options))


def table(rng, n):
    """Columns of all kinds: normal, heavy-tailed, binary, counts."""
    columns = {
        "normal": rng.normal(size=n),
        "money": np.exp(2 * rng.normal(size=n)),
        "yes": (rng.random(n) < 0.2).astype(float),
        "count": rng.poisson(2, size=n).astype(float),
    }
    return pd.DataFrame(columns)


ishigami = (lambda a, b, c: ops.sin(a) + 7 * ops.sin(b) ** 2 + 0.1 * c**4 * ops.sin(a), 3)
