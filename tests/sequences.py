"""Sequence models with inputs of shape (n, 4, 3): name -> a function that builds one under the present dtype policy."""

import keras
import numpy as np
from keras import layers
from zoo import under

NUM_STEPS, NUM_FEATURES = 4, 3


def recurrent(kind, *, depth=1, units=1, many=False, masked=False):
    """A stack of recurrent layers and a Dense head, for each step or for the newest."""
    stack = [keras.Input((NUM_STEPS, NUM_FEATURES))]
    if masked:
        stack.append(layers.Masking(0.0))
    stack += [getattr(layers, kind)(4, return_sequences=many or level < depth - 1) for level in range(depth)]
    return keras.Sequential([*stack, layers.Dense(units)])


RECURRENT = {
    f"{kind} {depth} layers {units} units {mode} {padding}": {
        "kind": kind,
        "depth": depth,
        "units": units,
        "many": mode == "many-to-many",
        "masked": padding == "masked",
    }
    for kind in ("SimpleRNN", "GRU", "LSTM")
    for depth, units in ((1, 1), (2, 3))
    for mode in ("many-to-one", "many-to-many")
    for padding in ("full", "masked")
    # A mask that leaves everything valid is no mask: without one the deepest are enough, and one kind that is shallow.
    if (depth, units) == (2, 3) or (padding == "masked" and kind == "GRU")
}


def attention():
    x = keras.Input((NUM_STEPS, NUM_FEATURES))
    hidden = layers.LSTM(4, return_sequences=True)(x)
    mixed = layers.MultiHeadAttention(2, 3)(hidden, hidden)
    return keras.Model(x, layers.Dense(2)(mixed))


def conv():
    return keras.Sequential(
        [
            keras.Input((NUM_STEPS, NUM_FEATURES)),
            layers.Conv1D(4, 2, padding="causal", activation="tanh"),
            layers.Conv1D(4, 2, padding="causal", dilation_rate=2, activation="tanh"),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )


def bidirectional(many=True):
    return keras.Sequential(
        [
            keras.Input((NUM_STEPS, NUM_FEATURES)),
            layers.Bidirectional(layers.GRU(3, return_sequences=many)),
            layers.Dense(2),
        ]
    )


def flipped():
    """A functional model whose steps are mixed by an operation that is no layer."""
    x = keras.Input((NUM_STEPS, NUM_FEATURES))
    return keras.Model(x, layers.Dense(1)(layers.LSTM(3, return_sequences=True)(keras.ops.flip(x, axis=1))))


def backwards():
    return keras.Sequential(
        [
            keras.Input((NUM_STEPS, NUM_FEATURES)),
            layers.LSTM(3, return_sequences=True, go_backwards=True),
            layers.Dense(1),
        ]
    )


def normalised_over_steps():
    return keras.Sequential(
        [
            keras.Input((NUM_STEPS, NUM_FEATURES)),
            layers.LSTM(3, return_sequences=True),
            layers.LayerNormalization(axis=[1, 2]),
            layers.Dense(1),
        ]
    )


def activation_over_steps():
    x = keras.Input((NUM_STEPS, NUM_FEATURES))
    hidden = layers.GRU(3, return_sequences=True)(x)
    return keras.Model(x, layers.Dense(1, activation=lambda t: keras.ops.softmax(t, axis=1))(hidden))


@keras.saving.register_keras_serializable(package="zoo")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden = layers.GRU(3, return_sequences=True)
        self.out = layers.Dense(1)

    def call(self, x, training=False):
        return keras.ops.cumsum(self.out(self.hidden(x, training=training)), axis=1)


def subclassed():
    model = Subclassed()
    model(np.zeros((1, NUM_STEPS, NUM_FEATURES)))
    return model


def stepwise():
    """Everything that may stand beside recurrent layers without mixing steps."""
    x = keras.Input((NUM_STEPS, NUM_FEATURES))
    hidden = layers.LSTM(4, return_sequences=True, dropout=0.1, recurrent_dropout=0.1)(x)
    hidden = layers.LayerNormalization()(layers.Dropout(0.2)(hidden))
    hidden = layers.Concatenate()([hidden, layers.TimeDistributed(layers.Dense(2, "relu"))(x)])
    hidden = layers.BatchNormalization()(layers.GRU(3, return_sequences=True)(hidden))
    inner = keras.Sequential([keras.Input((NUM_STEPS, 3)), layers.Dense(3, "tanh")])
    return keras.Model(x, layers.Dense(2, "softmax")(layers.Add()([inner(hidden), hidden])))


MIXING = {
    "attention": attention,
    "bidirectional": bidirectional,
    "operation that is no layer": flipped,
    "go_backwards": backwards,
    "normalised over steps": normalised_over_steps,
    "activation over steps": activation_over_steps,
    "subclassed": subclassed,
}


def build(builder, *, policy="float32", like=None):
    """A model under a dtype policy, with random weights of some size, or with the weights of another."""
    model = under(policy, builder)
    if like is not None:
        model.set_weights(like.get_weights())
    else:
        rng = np.random.default_rng(2)
        model.set_weights([w + 0.2 * rng.normal(size=w.shape) if "f" in w.dtype.str else w for w in _weights(model)])
    return model


def _weights(model):
    # Variances stay positive.
    return [np.abs(w) for w in model.get_weights()] if model.non_trainable_weights else model.get_weights()


def rows(n=24, *, padding=None, seed=0):
    """Sequences whose columns differ in scale; padded, of 1 to 4 valid steps, before or after ("pre", "post").

    Returns x and its mask of shape (n, 4).
    """
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n, NUM_STEPS, NUM_FEATURES)) * [1.0, 0.5, 2.0] + [0.5, 1.0, -1.0]).astype("float32")
    mask = np.ones((n, NUM_STEPS), bool)
    if padding:
        lengths = rng.integers(1, NUM_STEPS + 1, size=n)
        steps = np.arange(NUM_STEPS)[None] if padding == "post" else np.arange(NUM_STEPS)[::-1][None]
        mask = steps < lengths[:, None]
        x[~mask] = 0.0
    return x, mask
