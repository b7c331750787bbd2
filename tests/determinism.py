"""Trains networks with and without the callback, and compares every bit; a script, see test_laws.py.

Op determinism cannot be switched off again, so this runs in a process of its own.
"""

import functools
import hashlib
import itertools
import pickle
import random
import sys
import tempfile
import time
import traceback
import warnings

import keras
import numpy as np
import sequences
import tensorflow as tf
import zoo
from keras.src.backend.common import global_state

import keras_sensitivity as ks
from keras_sensitivity.networks.keras_tf.borrowing import GENERATOR

D = tf.data.Dataset
L = keras.layers


# --- networks -------------------------------------------------------------------------------------------------------


class Noisy(L.Layer):
    """Draws noise at every call, in training or not: a look that ran its generator forward would change training."""

    def __init__(self):
        super().__init__()
        self.generator = keras.random.SeedGenerator(9)

    def call(self, x):
        return x + 0.1 * keras.random.normal(keras.ops.shape(x), seed=self.generator)


class NoisyWithoutASeed(L.Layer):
    """Draws from the generator that all of Keras shares."""

    def call(self, x):
        return x + 0.1 * keras.random.normal(keras.ops.shape(x))


class NoisyByTensorFlow(L.Layer):
    """Draws from a generator that Keras does not know."""

    def __init__(self):
        super().__init__()
        self.generator = tf.random.Generator.from_seed(9)

    def call(self, x):
        return x + 0.1 * self.generator.normal(tf.shape(x))


class Counting(L.Layer):
    """Counts its calls in a variable that Keras does not know."""

    def __init__(self):
        super().__init__()
        self.count = tf.Variable(0.0, trainable=False)

    def call(self, x):
        return x * (1 + 0.1 * tf.sin(self.count.assign_add(1.0)))


class Averaging(L.Layer):
    """Keeps a moving average in a variable that Keras does not know."""

    def __init__(self):
        super().__init__()
        self.mean = tf.Variable(tf.zeros(zoo.NUM_FEATURES), trainable=False)

    def call(self, x):
        self.mean.assign(0.9 * self.mean + 0.1 * tf.reduce_mean(x, axis=0))
        return x - self.mean


def with_layer(kind):
    def build():
        return keras.Sequential([keras.Input((5,)), kind(), L.Dense(3, "tanh"), L.Dense(1)])

    return build


def noisy():
    layers = [ks.NoiseProbes(), Noisy(), L.Dense(4, "relu"), L.Dense(1)]
    return keras.Sequential([keras.Input((5,)), *layers])


def recurrent():
    return keras.Sequential(
        [
            keras.Input((4, 3)),
            L.LSTM(4, dropout=0.2, recurrent_dropout=0.2, return_sequences=True),
            L.GRU(3, dropout=0.1),
            L.Dense(1),
        ]
    )


def stateful():
    return keras.Sequential([keras.Input(batch_shape=(32, 4, 3)), L.LSTM(4, stateful=True), L.Dense(1)])


def mixed():
    """Words and numbers, with dropout."""
    word, table = keras.Input((1,), dtype="string", name="word"), keras.Input((2,), name="table")
    looked_up = L.Embedding(4, 3)(L.StringLookup(vocabulary=["a", "b"])(word))
    joined = L.Concatenate()([L.Dropout(0.3)(L.Flatten()(looked_up)), table])
    return keras.Model({"word": word, "table": table}, L.Dense(1)(joined))


def small():
    return keras.Sequential([keras.Input((2,)), L.Dense(2, "tanh"), L.Dropout(0.3, seed=5), L.Dense(1)])


# --- pipelines: a function that makes one anew; it is trained on and looked at --------------------------------------

X = np.random.default_rng(0).normal(size=(48, 2)).astype("float32")
Y = X[:, :1] - X[:, 1:] ** 2
SPEC = (tf.TensorSpec((2,), tf.float32), tf.TensorSpec((1,), tf.float32))


def rows(start=0, stop=48):
    return D.from_tensor_slices((X[start:stop], Y[start:stop]))


def words():
    word = np.random.default_rng(1).choice(["a", "b", "c"], (48, 1))
    return D.from_tensor_slices(({"word": word, "table": X}, Y))


# What a row says that differs without a look, and how often it is tried.
UNSTEADY, ATTEMPTS = "not deterministic", 3


def file():
    return f"{tempfile.mkdtemp()}/cache"


def shuffled_part(index):
    return D.from_tensor_slices((tf.constant(X), tf.constant(Y))).shard(3, index).shuffle(16)


def generated(generator):
    return D.from_generator(generator, output_signature=SPEC)


def pairs():
    yield from zip(X, Y, strict=True)


def drawn_pairs():
    """Draws which rows come, from NumPy's own generator; a look must not draw from it."""
    for index in np.random.permutation(48):  # noqa: NPY002
        yield X[index], Y[index]


def augmented(x, y):
    return x + 0.1 * tf.random.uniform((2,), seed=3), y


def augmented_by(generator):
    return lambda x, y: (x + 0.1 * generator.uniform((2,)), y)


def halves():
    return [rows(0, 24).repeat(), rows(24, 48).repeat()]


def sampled(**how):
    return D.sample_from_datasets(halves(), [0.7, 0.3], seed=3, **how).take(48)


def resampled():
    kept = rows().rejection_resample(lambda _, y: tf.cast(y[0] > 0, tf.int32), [0.5, 0.5], seed=3)
    return kept.map(lambda _, pair: pair)


class Batches(keras.utils.PyDataset):
    def __init__(self, draw=None, **how):
        super().__init__(**how)
        self.draw = draw

    def __len__(self):
        return 6

    def __getitem__(self, index):
        x = X[8 * index : 8 * index + 8]
        return x + (0.1 * self.draw() if self.draw else 0), Y[8 * index : 8 * index + 8]


PIPELINES = {
    "shuffle, batch": lambda: rows().shuffle(48, seed=4).batch(8),
    "shuffle without a seed": lambda: rows().shuffle(48).batch(8),
    "shuffle, batch, cache": lambda: rows().shuffle(48, seed=4).batch(8).cache(),
    "cache, shuffle": lambda: rows().cache().shuffle(48, seed=4).batch(8),
    "cache, shuffle without a seed": lambda: rows().cache().shuffle(48).batch(8),
    "shuffle without a seed, cache": lambda: rows().shuffle(48).cache().batch(8),
    "shuffle, file": lambda: rows().shuffle(48, seed=4).batch(8).cache(file()),
    "file, shuffle": lambda: rows().shuffle(48).cache(file()).shuffle(48).batch(8),
    "shuffle, repeat, take": lambda: rows().shuffle(48, seed=4).repeat().batch(8).take(7),
    "interleave of shuffled": lambda: D.range(3).interleave(shuffled_part, cycle_length=2).batch(8),
    "rejection_resample": lambda: resampled().batch(8),
    "generator": lambda: generated(pairs).batch(8),
    "generator, shuffle": lambda: generated(pairs).shuffle(48, seed=4).batch(8),
    "generator that draws": lambda: generated(drawn_pairs).batch(8),
    "sample_from_datasets": lambda: sampled().batch(8),
    "sample_from_datasets, made anew": lambda: sampled(rerandomize_each_iteration=True).batch(8),
    "random augmentation": lambda: rows().shuffle(48, seed=4).map(augmented).batch(8),
    "augmentation by a generator": lambda: rows().map(augmented_by(tf.random.Generator.from_seed(3))).batch(8),
    "prefetch": lambda: rows().shuffle(48, seed=4).batch(8).prefetch(2),
    "PyDataset": Batches,
    "PyDataset, 2 workers": lambda: Batches(workers=2, use_multiprocessing=False),
    "PyDataset that draws from np.random": lambda: Batches(lambda: np.random.normal(size=2)),  # noqa: NPY002
    "PyDataset that draws from random": lambda: Batches(random.random),
}


# --- rows of the table: how the network is made, what is trained on and looked at, and which looks there are ---------

TABLE, SEQUENCE = zoo.rows(96), sequences.rows(96)[0]


def fresh(build, jit_compile=False, optimizer=None, loss="mse", **compiled):
    keras.utils.clear_session()  # the same names for the variables of each model
    keras.utils.set_random_seed(1)
    model = build()
    optimizer = keras.optimizers.Adam(0.01) if optimizer is None else optimizer()
    model.compile(optimizer, loss, jit_compile=jit_compile, **compiled)
    model.optimizer.build(model.trainable_variables)
    return model


def again(build, **how):
    """Gives the same network as it was at first: to trace it only once saves most of the time."""

    @functools.cache
    def first():
        model = fresh(build, **how)
        return model, [(variable, variable.numpy()) for variable in [*model.variables, *model.optimizer.variables]]

    def start():
        model, values = first()
        for variable, value in values:
            variable.assign(value)
        return model

    return start


def arrays(x):
    y = np.sin(x.reshape(len(x), -1)[:, :1]) + x.reshape(len(x), -1)[:, 1:2]
    return lambda: (x, {"x": x, "y": y, "batch_size": 32, "validation_data": (x[:64], y[:64])})


def stream(build):
    def given():
        data = build()
        return data, {"x": data, "shuffle": not isinstance(data, D)}

    return given


def network(build, x, jit_compile=False):
    return lambda: fresh(build, jit_compile), arrays(x), [{"jit_compile": jit_compile}]


@functools.cache
def kept(network):
    """One network for many pipelines."""
    return again(network)


def pipeline(build, network=small):
    looks = [{"jit_compile": False, "num_samples": num_samples} for num_samples in (20, None)]
    return kept(network), stream(build), looks


ROWS = {
    "noise, batch normalization, dropout": network(zoo.with_state, TABLE, jit_compile=True),
    "seed generator": network(noisy, TABLE),
    "recurrent dropout": network(recurrent, SEQUENCE),
    "stateful": network(stateful, SEQUENCE),
    "keras.random without a seed": network(with_layer(NoisyWithoutASeed), TABLE),
    "tf.random.Generator": network(with_layer(NoisyByTensorFlow), TABLE),
    "tf.Variable that counts": network(with_layer(Counting), TABLE),
    "tf.Variable with a moving average": network(with_layer(Averaging), TABLE),
    "words, shuffled": pipeline(lambda: words().shuffle(48, seed=4).batch(8), mixed),
    **{name: pipeline(build) for name, build in PIPELINES.items()},
}


# --- trainings ------------------------------------------------------------------------------------------------------


def plain_variables(model):
    """Those of TensorFlow, which Keras does not count among the model's."""
    for layer, name in itertools.product(model._flatten_layers(), ("count", "mean", "generator")):
        value = getattr(layer, name, None)
        value = value.state if isinstance(value, tf.random.Generator) else value
        if isinstance(value, tf.Variable):
            yield f"{layer.name}/{name}", value.numpy()


def generators():
    """A number that tells the states of Python's and NumPy's own generators."""
    states = pickle.dumps((random.getstate(), np.random.get_state()))  # noqa: NPY002
    return int(hashlib.sha256(states).hexdigest()[:8], 16)


def train(model, given, look):
    """Everything that a training leaves behind, by name; ``look`` are arguments of the callback, or None."""
    keras.utils.set_random_seed(2)
    global_state.set_global_attribute(GENERATOR, None)  # which older versions of Keras keep
    x, how = given()
    states = []
    after_looks = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: states.append(generators()))
    watch = None if look is None else ks.SensitivityCallback(x, **_arguments(look, how))
    callbacks = [after_looks] if watch is None else [watch, after_looks]
    log = model.fit(**how, epochs=3, callbacks=callbacks, verbose=0)
    if watch is not None:
        assert len(watch.history) == 3, "the callback switched itself off"
    left = {variable.path: variable.numpy() for variable in [*model.variables, *model.optimizer.variables]}
    left |= {f"log of {key}": log.history[key] for key in log.history if key in ("loss", "val_loss")}
    left |= dict(plain_variables(model))
    left |= {"random and np.random": states, "keras.random": keras.random.normal((2,)).numpy()}
    return left | {"tf.random": tf.random.normal((2,)).numpy()}


def _arguments(look, how):
    """Arguments of the callback; with labels those of the fit."""
    given = dict(look)
    return given | {"y": how["y"]} if given.pop("with_labels", False) else given


def differences(one, other):
    assert one.keys() == other.keys()
    return [name for name in one if not np.array_equal(one[name], other[name])]


def failure(start, given, looks):
    """What looking changed, in words; "" if nothing. A fit that now and then differs by itself is tried again."""
    wrong = ""
    for _ in range(ATTEMPTS):
        wrong = _failure(start, given, looks)
        if not wrong.startswith(UNSTEADY):
            return wrong
    return wrong


def _failure(start, given, looks):
    plain = train(start(), given, None)
    for look in looks:
        changed = differences(plain, train(start(), given, look))
        if changed:
            unsteady = differences(plain, train(start(), given, None))
            if unsteady:
                return f"{UNSTEADY}: {unsteady}"
            return f"changed by looking {look}: {len(changed)} values, such as {changed[:3]}"
    return ""


def main(rows, names):
    """Print how each row ends, all if there are no ``names``; the exit code tells whether any fails."""
    tf.config.experimental.enable_op_determinism()
    warnings.filterwarnings("ignore", "Your input ran out of data")  # a stream's length is known after an epoch
    failed = 0
    for name in names or rows:
        begun = time.perf_counter()
        try:
            wrong = failure(*rows[name])
        except Exception:  # noqa: BLE001  (one row must not hide the others)
            wrong = traceback.format_exc()
        failed += bool(wrong)
        print(f"{name}: {wrong or 'unchanged'} ({time.perf_counter() - begun:.1f} s)", flush=True)
    print(f"{failed} of {len(names or rows)} failed" if failed else "identical")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main(ROWS, sys.argv[1:]))
