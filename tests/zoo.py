"""Models with one input of shape (n, 5): name -> a function that builds one under the present dtype policy."""

import keras
import numpy as np
from keras import layers

NUM_FEATURES = 5


def linear(units=1):
    return keras.Sequential([keras.Input((NUM_FEATURES,)), layers.Dense(units)])


def mlp(activation="tanh", units=1, final=None):
    return keras.Sequential(
        [keras.Input((NUM_FEATURES,)), layers.Dense(8, activation), layers.Dense(units, activation=final)]
    )


def functional():
    x = keras.Input((NUM_FEATURES,), name="table")
    hidden = layers.Dense(8, "swish")(x)
    joined = layers.Concatenate()([hidden, x])
    return keras.Model(x, layers.Dense(3, "softmax")(joined))


def with_state():
    return keras.Sequential(
        [
            keras.Input((NUM_FEATURES,)),
            layers.GaussianNoise(0.5, seed=3),
            layers.Dense(8, "tanh", activity_regularizer="l2"),
            layers.BatchNormalization(),
            layers.Dropout(0.3, seed=5),
            layers.Dense(2),
        ]
    )


@keras.saving.register_keras_serializable(package="zoo")
class Subclassed(keras.Model):
    """Its `call` takes no `training`, and its output has no axis of units."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.Dense(8, "gelu")
        self.out = layers.Dense(1)

    def call(self, x):
        return keras.ops.squeeze(self.out(self.hidden(x)), axis=-1)


def subclassed():
    model = Subclassed()
    model(np.zeros((1, NUM_FEATURES)))
    return model


def nested():
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(3, "sigmoid")])
    return keras.Sequential([keras.Input((NUM_FEATURES,)), layers.Dense(6, "elu"), inner])


def many_units():
    return mlp(units=20, final="softmax")


ZOO = {
    "linear": linear,
    "tanh regression": mlp,
    "relu, 3 units": lambda: mlp("relu", 3),
    "softmax classifier": lambda: mlp(units=3, final="softmax"),
    "sigmoid classifier": lambda: mlp(units=1, final="sigmoid"),
    "functional": functional,
    "noise, batch normalization, dropout": with_state,
    "subclassed without training": subclassed,
    "nested Sequential": nested,
    "20 units": many_units,
}


def under(policy, builder):
    """What ``builder`` builds under a dtype policy."""
    before, float_type = keras.config.dtype_policy(), keras.config.floatx()
    if policy == "float64":
        keras.config.set_floatx("float64")  # else keras.Input would round to float32
    keras.config.set_dtype_policy(policy)
    try:
        return builder()
    finally:
        keras.config.set_floatx(float_type)
        keras.config.set_dtype_policy(before)


def build(name, *, policy="float32", like=None):
    """A model of the zoo under a dtype policy, with random biases, or with the weights of another."""
    model = under(policy, ZOO[name])
    if like is None:
        rng = np.random.default_rng(1)
        weights = [w + 0.3 * rng.random(w.shape) if w.dtype.kind == "f" else w for w in model.get_weights()]
    else:
        weights = like.get_weights()
    model.set_weights(weights)
    return model


def rows(n=300, seed=0):
    """Rows whose columns differ in scale and place."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, NUM_FEATURES)) * [1.0, 0.5, 2.0, 1.5, 1.0] + [0.0, 1.0, 0.0, -0.5, 0.2]).astype(
        "float32"
    )
