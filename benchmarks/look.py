"""How long a look takes, beside its limit: the bare derivatives of the same network on the same rows.

    python benchmarks/look.py

The limit is one compiled function that makes the derivatives of both classes of the paper's credit network (23
columns, 64 tanh, softmax of 2) at 25,000 rows, and throws them away. A look also sums them, in float64, with the
moments of the inputs and the covariances for the standard errors. The same look with eight noise probes in the model
comes third. They run in turns, in one process: compare the ratios, not the seconds, which depend on the machine.
"""

import time

import keras
import numpy as np
import tensorflow as tf

import keras_sensitivity as ks

ROWS, COLUMNS, TURNS = 25_000, 23, 40


def again(layer: keras.Layer) -> keras.Layer:
    """A layer like this one, not built yet."""
    return type(layer).from_config(layer.get_config())


def main() -> None:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential([keras.Input((COLUMNS,)), layers.Dense(64, "tanh"), layers.Dense(2, "softmax")])
    x = np.random.default_rng(0).normal(size=(ROWS, COLUMNS)).astype("float32")
    rows = tf.constant(x)

    @tf.function(jit_compile=True)
    def bare(rows: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(rows)
            probabilities = tf.unstack(model(rows, training=False), axis=1)
        return [tape.gradient(probability, rows) for probability in probabilities]

    def seconds(task: object) -> float:
        start = time.perf_counter()
        task()  # type: ignore[operator]
        return time.perf_counter() - start

    def limit() -> None:
        tf.nest.map_structure(lambda tensor: tensor.numpy(), bare(rows))

    probed = keras.Sequential([keras.Input((COLUMNS,)), ks.NoiseProbes(), *map(again, model.layers)])
    tasks = limit, lambda: ks.measure(model, x), lambda: ks.measure(probed, x)
    first = seconds(tasks[1])
    for task in tasks:
        task()
    times = np.array([[seconds(task) for task in tasks] for _ in range(TURNS)])
    bare_ms, look_ms, probed_ms = 1000 * np.median(times, axis=0)
    print(f"first measure, with tracing and compiling  {1000 * first:8.1f} ms")
    print(f"following, median of {TURNS}                    {look_ms:8.1f} ms")
    print(f"bare derivatives, median of {TURNS}             {bare_ms:8.1f} ms")
    print(f"ratio, median of {TURNS} pairs                  {np.median(times[:, 1] / times[:, 0]):8.2f}")
    print(f"with noise probes, median of {TURNS}            {probed_ms:8.1f} ms")
    print(f"ratio to the same without, median of pairs {np.median(times[:, 2] / times[:, 1]):8.2f}")
    print(f"the paper's time for the same rows         {500.0:8.1f} ms (on its machine)")


if __name__ == "__main__":
    main()
