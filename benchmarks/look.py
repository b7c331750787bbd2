"""How long a look takes beside its limit: the bare derivatives of the same network on the same rows.

    python benchmarks/look.py [--turns N] [--quick]

The limit is one function, compiled with XLA, that makes the derivatives of both classes of the paper's credit network
(23 columns, 64 tanh, softmax of 2) at 25,000 rows, and throws them away. A look also sums them up in float64, with the
moments of the inputs and the covariances for the standard errors. The same function as a plain graph is a second
reference, and the same looks with eight noise probes in the model come last.
"""

import functools
from collections.abc import Iterator

import _credit
import keras
import tensorflow as tf
from _bare import COMPILERS, bare
from _results import Job, Row, at_most, ratio, run, times_in_turns

import keras_sensitivity as ks

GOALS = {"std": 1.1, "path": 1.3}


def with_probes(model: keras.Model) -> keras.Model:
    """A model of the same layers behind noise probes."""
    layers = [type(layer).from_config(layer.get_config()) for layer in model.layers]
    return keras.Sequential([keras.Input(model.input_shape[1:]), ks.NoiseProbes(), *layers])


def rows(job: Job) -> Iterator[Row]:
    model, x = _credit.network(), _credit.rows(job.some(25_000, 100))
    probed = with_probes(model)

    def derivatives(rows: tf.Tensor) -> list[tf.Tensor]:
        return [tf.gradients(unit, rows)[0] for unit in tf.unstack(model(rows, training=False), axis=1)]

    tasks = bare(derivatives, x)
    for scale in GOALS:
        definition = ks.Definition(scale=scale)
        tasks[scale] = functools.partial(ks.measure, model, x, definition=definition)
        tasks[f"{scale}, probes"] = functools.partial(ks.measure, probed, x, definition=definition)
    found = times_in_turns(tasks, job.turns)
    for scale, goal in GOALS.items():
        case = f'{len(x):,} x {_credit.COLUMNS}, scale="{scale}"'
        for name, limit in zip(COMPILERS, (at_most(goal), ""), strict=True):
            yield ratio(f"a look / the bare derivatives, {name}", case, found[scale], found[name], limit)
        yield ratio("a look with noise probes / one without", case, found[f"{scale}, probes"], found[scale])


if __name__ == "__main__":
    run(__file__, __doc__, rows, turns=40)
