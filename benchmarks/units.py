"""What the estimate for many output units costs, and how far it is off.

    python benchmarks/units.py [--turns N] [--quick]

A softmax of 1,000 classes on 784 columns. The library sends random signs of all units back instead of one unit at a
time. The bare pass is one graph that does the same, a forward pass and as many backward passes, and throws the
derivatives away, by the faster of XLA and the plain graph: so the ratio is also that of a single sign.

At a few rows the sizes are also computed exactly, one unit at a time, and the distance to the estimate is stated in
its own standard errors (`Importance.estimation_error`): about 1 is what these promise. The columns share their
signs, so that all may be off together.
"""

import functools
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf
from _bare import bare, faster
from _results import Job, Row, at_most, number, ratio, run, times_in_turns
from keras import layers

import keras_sensitivity as ks
from keras_sensitivity.networks.keras_tf.directions import NUM_DRAWS

COLUMNS, UNITS = 784, 1000
GOALS = {"std": at_most(1.3), "path": ""}


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((COLUMNS,)), layers.Dense(128, "relu"), layers.Dense(UNITS, "softmax")])


def exact(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """The size of each column, unit by unit, shape (COLUMNS,)."""

    @tf.function
    def squares(row: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(row)
            outputs = model(row, training=False)
        return tf.reduce_sum(tape.jacobian(outputs, row)[0, :, 0] ** 2, axis=0)

    return np.sqrt(np.mean([squares(tf.constant(row[None])) for row in x], axis=0, dtype="float64"))


def rows(job: Job) -> Iterator[Row]:
    model, rng = network(), np.random.default_rng(0)
    x = rng.random((job.some(2048, 64), COLUMNS), dtype="float32")
    yield from cost(model, x, rng.choice([-1, 1], size=(NUM_DRAWS, len(x), UNITS)).astype("float32"), job.turns)
    yield from distance(model, x[: job.some(64, 4)])


def cost(model: keras.Model, x: np.ndarray, signs: np.ndarray, turns: int) -> Iterator[Row]:
    """Looks beside the bare pass of these signs."""

    def derivatives(rows: tf.Tensor, signs: tf.Tensor) -> list[tf.Tensor]:
        outputs = model(rows, training=False)
        return [tf.gradients(outputs, rows, each)[0] for each in tf.unstack(signs)]

    looks = {scale: functools.partial(ks.measure, model, x, definition=ks.Definition(scale=scale)) for scale in GOALS}
    found = times_in_turns(bare(derivatives, x, signs) | looks, turns)
    name, case = faster(found), f"{UNITS:,} units, {len(x):,} x {COLUMNS}"
    for scale, goal in GOALS.items():
        what = f"random signs / the bare pass, {name}"
        yield ratio(what, f'{case}, scale="{scale}"', found[scale], found[name], goal)
    yield Row("standard error of a size, at most", case, ks.measure(model, x).estimation_error.max(), "%")


def distance(model: keras.Model, x: np.ndarray) -> Iterator[Row]:
    """How far the estimate is from the exact sizes."""
    found = ks.measure(model, x, definition=ks.PAPER)
    off = 100 * (found.table["rms"].to_numpy() / exact(model, x) - 1)
    errors = np.sqrt(np.mean((off / found.estimation_error.to_numpy()) ** 2))
    note = f"in standard errors, rms over the columns; {number(np.sqrt(np.mean(off**2)))} %"
    yield Row(
        "distance to the exact sizes", f"{UNITS:,} units, {len(x):,} x {COLUMNS}", errors, "errors", at_most(2), note
    )


if __name__ == "__main__":
    run(__file__, __doc__, rows, turns=9)
