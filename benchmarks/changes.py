"""What a path costs beside standard deviations, and a swapped feature beside a forward pass.

    python benchmarks/changes.py [--turns N] [--quick]

Looks at the same network by ``scale="std"``, along the path, and with all features swapped, and the bare forward pass
of the model in one graph, at the same rows: plain graphs, as for rows that are looked at again and again in a fit.
"""

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from _results import Job, Row, ratio, run, times_in_turns

import keras_sensitivity as ks
from keras_sensitivity.measurement import Measurement
from keras_sensitivity.networks.choice import network_of
from keras_sensitivity.plan import Options
from keras_sensitivity.rows.rows import read


def dense(*widths: int, units: int = 1) -> keras.Model:
    """A network of 23 columns."""
    hidden = [keras.layers.Dense(width, "relu") for width in widths]
    return keras.Sequential([keras.Input((23,)), *hidden, keras.layers.Dense(units)])


def recurrent() -> keras.Model:
    """A network of 24 steps of 8 columns."""
    return keras.Sequential([keras.Input((24, 8)), keras.layers.LSTM(32), keras.layers.Dense(1)])


CASES = {
    "64-32, 4,096 x 23": (lambda: dense(64, 32), (4_096, 23)),
    "3 x 256, 4,096 x 23": (lambda: dense(256, 256, 256), (4_096, 23)),
    "LSTM 32, 2,000 x 24 x 8": (recurrent, (2_000, 24, 8)),
    "the paper's, 25,000 x 23": (lambda: dense(64, units=2), (25_000, 23)),
}
DEFINITIONS = {
    "std": ks.Definition(scale="std"),
    "path": ks.Definition(change="derivative"),
    "swap": ks.Definition(scale="std", change="swap"),
}


def rows(job: Job) -> Iterator[Row]:
    for name, (build, (num_rows, *shape)) in CASES.items():
        x = np.random.default_rng(0).normal(size=(job.some(num_rows, 64), *shape)).astype("float32")
        found = times_in_turns(tasks(build(), x), job.turns)
        num_swaps = sum(shape)  # of sequences the lags, too
        swapped = (found["swap"] - found["std"]) / num_swaps
        yield ratio("a look along the path / one by std", name, found["path"], found["std"])
        yield ratio("a swapped feature / a forward pass", name, swapped, found["forward"])


def tasks(model: keras.Model, x: np.ndarray) -> dict:
    """The looks, and the forward pass."""
    network = network_of(model)
    data, options = read(x, network), Options(jit_compile=False)
    looks = {}
    for kind, definition in DEFINITIONS.items():
        measurement = Measurement(network, data, definition=definition, options=options)
        measurement.renew()  # as in a fit, where the same rows are looked at again and again
        looks[kind] = measurement.look
    tensor = tf.constant(x)
    forward = tf.function(lambda x: model(x, training=False)).get_concrete_function(tensor)
    return looks | {"forward": lambda: forward(tensor).numpy()}


if __name__ == "__main__":
    run(__file__, __doc__, rows, turns=15)
