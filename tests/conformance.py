"""Trains networks of every kind with and without the callback, and compares every bit; a script, see test_laws.py.

For each network: every kind of change, with labels and without, with and without a log.
"""

import functools
import sys
import tempfile

import determinism
import keras
import numpy as np
import tensorflow as tf
import zoo

import keras_sensitivity as ks

L = keras.layers

TABLE = zoo.rows(96)


class Penalised(L.Layer):
    """Adds to the loss what it sees."""

    def call(self, x):
        self.add_loss(0.01 * keras.ops.mean(keras.ops.square(x)))
        return x


class Attending(L.Layer):
    """Looks at its own steps."""

    def __init__(self, dropout):
        super().__init__()
        self.attention = L.MultiHeadAttention(2, 3, dropout=dropout)

    def call(self, x, training=False):
        return self.attention(x, x, training=training)


class Measured(keras.Model):
    """Trains by a step of its own, and keeps a metric by hand."""

    def __init__(self):
        super().__init__()
        self.hidden, self.drop, self.out = L.Dense(4, "tanh"), L.Dropout(0.2), L.Dense(1)
        self.tracker = keras.metrics.Mean(name="tracked")

    def call(self, x, training=False):
        return self.out(self.drop(self.hidden(x), training=training))

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = keras.ops.mean(keras.ops.square(self(x, training=True) - y))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        self.tracker.update_state(loss)
        return {"loss": self.tracker.result()}

    @property
    def metrics(self):
        return [self.tracker]


def measured():
    model = Measured()
    model(np.zeros((1, 5), "float32"))
    return model


def table_of(*layers):
    return lambda: keras.Sequential([keras.Input((5,)), *(layer() for layer in layers), L.Dense(4, "tanh"), L.Dense(1)])


def sequence_of(*layers):
    return lambda: keras.Sequential([keras.Input((4, 3)), *(layer() for layer in layers), L.Flatten(), L.Dense(1)])


def image_of(*layers):
    return lambda: keras.Sequential([keras.Input((4, 4, 2)), *(layer() for layer in layers), L.Flatten(), L.Dense(1)])


def low_rank():
    model = keras.Sequential([keras.Input((5,)), L.Dense(8, "tanh"), L.Dropout(0.2), L.Dense(1)])
    model.layers[0].enable_lora(2)
    return model


def quantised():
    """Eight bits for the weights, which stand still, and a low rank beside them, which is trained."""
    model = low_rank()
    model.quantize("int8")
    return model


def small_table():
    return keras.Sequential([keras.Input((5,)), L.Dense(4, "tanh"), L.Dropout(0.2, seed=5), L.Dense(1)])


def frozen():
    model = keras.Sequential([keras.Input((5,)), L.Dense(4, "tanh"), L.BatchNormalization(), L.Dense(1)])
    model.layers[0].trainable = False
    return model


IMAGES = np.random.default_rng(2).normal(size=(96, 4, 4, 2)).astype("float32")
LONG_SEQUENCE = np.random.default_rng(3).normal(size=(96, 4, 3)).astype("float32")

# Adam, but for what the row is about.
OPTIMIZERS = {
    "EMA": lambda: keras.optimizers.Adam(0.01, use_ema=True, ema_overwrite_frequency=2),
    "gradient accumulation": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "clipped gradients": lambda: keras.optimizers.SGD(0.01, momentum=0.9, clipnorm=1.0),
    "a schedule": lambda: keras.optimizers.AdamW(keras.optimizers.schedules.ExponentialDecay(0.01, 2, 0.9)),
}

COMPILED = {
    "metrics": {"metrics": ["mae", keras.metrics.RootMeanSquaredError()], "weighted_metrics": ["mse"]},
    "steps_per_execution": {"steps_per_execution": 3},
    "run_eagerly": {"run_eagerly": True},
    "jit_compile": {"jit_compile": True},
    "a loss of two parts": {"loss": keras.losses.Huber(), "loss_weights": None},
}

NETWORKS = {
    **{f"zoo: {name}": (functools.partial(zoo.build, name), TABLE) for name in zoo.ZOO},
    "alpha dropout": (table_of(lambda: L.AlphaDropout(0.3)), TABLE),
    "Gaussian dropout": (table_of(lambda: L.GaussianDropout(0.3)), TABLE),
    "Gaussian noise": (table_of(lambda: L.GaussianNoise(0.3)), TABLE),
    "dropout": (table_of(lambda: L.Dropout(0.3)), TABLE),
    "spatial dropout in one dimension": (sequence_of(lambda: L.SpatialDropout1D(0.3)), LONG_SEQUENCE),
    "spatial dropout in two dimensions": (image_of(lambda: L.SpatialDropout2D(0.3)), IMAGES),
    "random augmentation": (image_of(L.RandomFlip, lambda: L.RandomContrast(0.2)), IMAGES),
    "batch normalization": (table_of(L.BatchNormalization), TABLE),
    "spectral normalization": (table_of(lambda: L.SpectralNormalization(L.Dense(6))), TABLE),
    "unit normalization, layer normalization": (table_of(L.UnitNormalization, L.LayerNormalization), TABLE),
    "attention with dropout": (sequence_of(lambda: Attending(0.2)), LONG_SEQUENCE),
    "bidirectional with recurrent dropout": (
        sequence_of(lambda: L.Bidirectional(L.GRU(3, return_sequences=True, dropout=0.2, recurrent_dropout=0.2))),
        LONG_SEQUENCE,
    ),
    "add_loss": (table_of(Penalised), TABLE),
    "activity and weight penalties": (
        table_of(lambda: L.Dense(4, activity_regularizer="l1", kernel_regularizer="l2")),
        TABLE,
    ),
    "custom train_step": (measured, TABLE),
    "low rank": (low_rank, TABLE),
    "quantised": (quantised, TABLE),
    "frozen layers": (frozen, TABLE),
    "mixed_float16": (lambda: zoo.under("mixed_float16", table_of(lambda: L.Dropout(0.2))), TABLE),
    "mixed_bfloat16": (lambda: zoo.under("mixed_bfloat16", table_of(lambda: L.Dropout(0.2))), TABLE),
    "float64": (lambda: zoo.under("float64", table_of(lambda: L.Dropout(0.2))), TABLE),
}


def conforming(build, x, **how):
    """A row of the conformance table: every kind of change, with labels and without, with and without a log."""
    looks = [
        {"definition": ks.Definition(change="auto")},
        {"definition": ks.Definition(change="derivative"), "log_dir": tempfile.mkdtemp()},
        {"with_labels": True, "log_importances": True},
    ]
    if x.ndim < 4:  # single pixels are not swapped
        looks.append({"definition": ks.Definition(change="swap"), "log_dir": tempfile.mkdtemp()})
    looks = [look for look in looks if x.ndim < 4 or "with_labels" not in look]
    return determinism.again(build, **how), determinism.arrays(x), looks


ROWS = {
    **{name: conforming(*network) for name, network in NETWORKS.items()},
    **{name: conforming(small_table, TABLE, optimizer=made) for name, made in OPTIMIZERS.items()},
    **{name: conforming(small_table, TABLE, **compiled) for name, compiled in COMPILED.items()},
}


if __name__ == "__main__":
    sys.exit(determinism.main(ROWS, sys.argv[1:]))
