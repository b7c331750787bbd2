"""What a path costs beside standard deviations, and a swapped feature beside a forward pass.

    python benchmarks/changes.py

In turns, in one process: looks at the same network by ``scale="std"``, along the path, and with all features swapped,
and the bare forward pass of the model in one graph, at the same rows. Printed are ratios of the fastest of each,
since whatever else the machine does only adds to a time.
"""

import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

import keras_sensitivity as ks
from keras_sensitivity.measurement import Measurement
from keras_sensitivity.networks.choice import network_of
from keras_sensitivity.plan import Options
from keras_sensitivity.rows.rows import read

TURNS = 15


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


def fastest(actions: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The fewest seconds of each action, all in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(TURNS + 1):
        for name, action in actions.items():
            begun = time.perf_counter()
            action()
            if turn:  # the first traces, compiles and fills caches
                seconds[name].append(time.perf_counter() - begun)
    return {name: min(each) for name, each in seconds.items()}


def main() -> None:
    print("look along the path / look by std; a swapped feature / a forward pass")
    for name, (build, shape) in CASES.items():
        model = build()
        x = np.random.default_rng(0).normal(size=shape).astype("float32")
        network = network_of(model)
        rows = read(x, network)
        looks = {
            kind: Measurement(network, rows, definition=definition, options=Options(jit_compile=False))
            for kind, definition in DEFINITIONS.items()
        }
        for measurement in looks.values():
            measurement.renew()  # as in a fit, where the same rows are looked at again and again
        tensor = tf.constant(x)
        forward = tf.function(lambda x, model=model: model(x, training=False)).get_concrete_function(tensor)
        actions = {kind: measurement.look for kind, measurement in looks.items()}
        found = fastest(actions | {"forward": lambda forward=forward, tensor=tensor: forward(tensor).numpy()})
        num_swaps = shape[-1] + (shape[1] if len(shape) == 3 else 0)  # of sequences the lags, too
        swapped = (found["swap"] - found["std"]) / num_swaps
        print(f"{name:26} {found['path'] / found['std']:5.2f} {swapped / found['forward']:5.2f}")


if __name__ == "__main__":
    main()
