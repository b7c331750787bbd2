"""The time to explain 1,000 digits for one class, beside that of a forward pass over them, in one run.

    python benchmarks/explain.py

Prints the medians of several repetitions and their ratio; the goal is a ratio below 20.
"""

import statistics
import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import keras_sensitivity as ks

REPETITIONS = 15


def network():
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


def seconds(function):
    """The median time of a call, after one that traces."""
    function()
    times = []
    for _ in range(REPETITIONS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    keras.utils.set_random_seed(0)
    model = network()
    x = np.random.default_rng(0).random((1000, 28, 28, 1), dtype="float32")
    forward = tf.function(lambda batch: model(batch, training=False))
    tensor = tf.constant(x)
    one, raw = ks.Definition(output=3), ks.Definition(output=3, scale=None)
    passes = {
        "forward pass, plain graph": lambda: forward(tensor).numpy(),
        "explain, gradients only": lambda: ks.explain(model, x, definition=raw),
        "explain, with scale and shares": lambda: ks.explain(model, x, definition=one).features,
    }
    times = {name: seconds(function) for name, function in passes.items()}
    shortest = times["forward pass, plain graph"]
    print(f"1,000 images of 28 x 28, one of 10 classes; median of {REPETITIONS}")
    for name, duration in times.items():
        print(f"{name:32} {1000 * duration:8.1f} ms {duration / shortest:6.1f} forward passes")


if __name__ == "__main__":
    main()
