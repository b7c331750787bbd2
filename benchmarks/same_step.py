"""Many-to-many models: the derivatives of each output step with respect to the same input step, in one pass or exact.

    python benchmarks/same_step.py

A GRU of 16 units over 50 steps of 8 features, 512 rows. The library takes one backward pass, through states that no
derivative passes; beside it `tf.GradientTape.batch_jacobian`, which computes every step with respect to every other,
compiled into one graph, too. Both run in turns, in one process, and both must agree.
"""

import time

import keras
import numpy as np
import tensorflow as tf

import keras_sensitivity as ks

ROWS, STEPS, COLUMNS, TURNS = 512, 50, 8, 7


def main() -> None:
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential([keras.Input((STEPS, COLUMNS)), layers.GRU(16, return_sequences=True), layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(ROWS, STEPS, COLUMNS)).astype("float32")
    rows = tf.constant(x)

    @tf.function
    def jacobian(rows: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(rows)
            steps = model(rows, training=False)[..., 0]
        every = tape.batch_jacobian(steps, rows, experimental_use_pfor=True)
        return tf.transpose(tf.linalg.diag_part(tf.transpose(every, (0, 3, 1, 2))), (0, 2, 1))

    def seconds(task: object) -> float:
        start = time.perf_counter()
        task()  # type: ignore[operator]
        return time.perf_counter() - start

    definition = ks.Definition(scale=np.ones(COLUMNS))
    found = ks.measure(model, x, definition=definition, verbose=1)
    rms = np.sqrt((jacobian(rows).numpy().astype("float64") ** 2).mean(axis=0)).mean(axis=0)
    np.testing.assert_allclose(found.table["rms"], rms, rtol=1e-4)

    def look() -> None:
        ks.measure(model, x, definition=definition)

    times = np.array([(seconds(look), seconds(lambda: jacobian(rows).numpy())) for _ in range(TURNS)])
    ours, theirs = 1000 * np.median(times, axis=0)
    print(f"one look, with gamma, death and standard errors  {ours:8.1f} ms")
    print(f"batch_jacobian alone                             {theirs:8.1f} ms")
    print(f"ratio, median of {TURNS} pairs                         {np.median(times[:, 1] / times[:, 0]):8.1f}")


if __name__ == "__main__":
    main()
