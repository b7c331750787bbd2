"""The time to explain 1,000 digits for one class, in forward passes over them.

    python benchmarks/explain.py [--turns N] [--quick]

A small convolutional network of ten classes. The gradients alone, and with scale and shares.
"""

from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from _results import Job, Row, at_most, ratio, run, times_in_turns
from keras import layers

import keras_sensitivity as ks

CASE = "{:,} images of 28 x 28"
CLASS = 3


def network() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def rows(job: Job) -> Iterator[Row]:
    keras.utils.set_random_seed(0)
    model = network()
    x = np.random.default_rng(0).random((job.some(1000, 20), 28, 28, 1), dtype="float32")
    forward, tensor = tf.function(lambda batch: model(batch, training=False)), tf.constant(x)
    tasks = {
        "forward": lambda: forward(tensor).numpy(),
        "gradients alone": lambda: ks.explain(model, x, definition=ks.Definition(output=CLASS, scale=None)).gradients,
        "with scale and shares": lambda: ks.explain(model, x, definition=ks.Definition(output=CLASS)).features,
    }
    found = times_in_turns(tasks, job.turns)
    for name in list(tasks)[1:]:
        yield ratio(
            f"explain, {name} / a forward pass", CASE.format(len(x)), found[name], found["forward"], at_most(20)
        )


if __name__ == "__main__":
    run(__file__, __doc__, rows, turns=15)
