"""What a look at sequences costs beside its limit, the bare derivatives.

    python benchmarks/sequences.py [--turns N] [--quick]

An LSTM of 64 units over 50 steps of 8 columns, 512 rows. Many-to-one, the bare derivatives are those of the newest
step's output, one forward and one backward pass. Many-to-many, they are two backward passes of one graph: of the output
at the newest step, for the lags, and of the sum over the steps, of which the library makes the derivatives with respect
to the same step. A look also sums them up, with standard errors. The bare passes are those of the faster compiler, XLA
or the plain graph.

Last, the same-step derivatives of a GRU of 16 units beside `tf.GradientTape.batch_jacobian`, which computes those of
every step with respect to every other: both must agree.
"""

from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf
from _bare import bare, faster
from _results import Job, Row, at_least, at_most, ratio, run, times_in_turns
from keras import layers

import keras_sensitivity as ks

STEPS, COLUMNS = 50, 8
Outputs = Callable[[tf.Tensor], list[tf.Tensor]]


def network(layer: keras.Layer) -> keras.Model:
    """One number for each row, or for each step."""
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((STEPS, COLUMNS)), layer, layers.Dense(1)])


CASES: dict[str, tuple[bool, Outputs, float]] = {
    "many-to-one": (False, lambda y: [y], 1.1),
    "many-to-many": (True, lambda y: [y[:, -1], tf.reduce_sum(y, axis=1)], 1.5),
}


def beside_bare(x: np.ndarray, turns: int) -> Iterator[Row]:
    """Looks beside bare passes."""
    for kind, (return_sequences, outputs, goal) in CASES.items():
        model = network(layers.LSTM(64, return_sequences=return_sequences))

        def derivatives(rows: tf.Tensor, model=model, outputs=outputs) -> list[tf.Tensor]:
            return [tf.gradients(each, rows)[0] for each in outputs(model(rows, training=False))]

        found = times_in_turns(bare(derivatives, x) | {"look": lambda model=model: ks.measure(model, x)}, turns)
        name, case = faster(found), f"{kind}, LSTM 64, {len(x)} x {STEPS} x {COLUMNS}"
        yield ratio(f"a look / the bare derivatives, {name}", case, found["look"], found[name], at_most(goal))


def beside_jacobian(x: np.ndarray, turns: int) -> Iterator[Row]:
    """A look beside the derivatives of every step with respect to every other."""
    model, tensor = network(layers.GRU(16, return_sequences=True)), tf.constant(x)

    @tf.function
    def jacobian(rows: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(rows)
            steps = model(rows, training=False)[..., 0]
        every = tape.batch_jacobian(steps, rows)
        return tf.transpose(tf.linalg.diag_part(tf.transpose(every, (0, 3, 1, 2))), (0, 2, 1))

    definition = ks.Definition(scale=np.ones(COLUMNS))
    rms = np.sqrt((jacobian(tensor).numpy().astype("float64") ** 2).mean(axis=0)).mean(axis=0)
    np.testing.assert_allclose(ks.measure(model, x, definition=definition).table["rms"], rms, rtol=1e-4)
    tasks = {
        "look": lambda: ks.measure(model, x, definition=definition),
        "jacobian": lambda: jacobian(tensor).numpy(),
    }
    found = times_in_turns(tasks, turns)
    case = f"many-to-many, GRU 16, {len(x)} x {STEPS} x {COLUMNS}"
    yield ratio("batch_jacobian / a look", case, found["jacobian"], found["look"], at_least(1))


def rows(job: Job) -> Iterator[Row]:
    x = np.random.default_rng(0).normal(size=(job.some(512, 16), STEPS, COLUMNS)).astype("float32")
    yield from beside_bare(x, job.turns)
    yield from beside_jacobian(x, job.turns)


if __name__ == "__main__":
    run(__file__, __doc__, rows, turns=15)
