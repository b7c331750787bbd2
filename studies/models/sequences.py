"""Models of sequences: time series of several features, read by recurrence, convolution or attention."""

import keras
import numpy as np
from keras import layers, ops

from models.case import Case, Draw, chain, labels, normal, numbers, padded, sequential, together, uniform

SEVERAL, MANY = "many-to-one", "many-to-many"
STEPS: Draw = normal(8, 3)
GUIDE, FORECASTING = "Keras guide: Working with RNNs", "TensorFlow tutorial: Time series forecasting"


# --- recurrence -----------------------------------------------------------------------------------------------------


def weather() -> keras.Model:
    """An LSTM and a dense layer."""
    return sequential((8, 3), layers.LSTM(8), layers.Dense(1))


def stacked() -> keras.Model:
    """Recurrent layers on each other, with dropout in between and within."""
    hidden = [layers.GRU(8, return_sequences=True, dropout=0.2), layers.GRU(8, recurrent_dropout=0.2)]
    return sequential((8, 3), *hidden, layers.Dense(1))


def bidirectional() -> keras.Model:
    """Read from both ends."""
    hidden = [layers.Bidirectional(layers.LSTM(6, return_sequences=True)), layers.Bidirectional(layers.LSTM(4))]
    return sequential((8, 3), *hidden, layers.Dense(3, "softmax"))


def stateful() -> keras.Model:
    """A batch goes on where the one before has ended."""
    return keras.Sequential([keras.Input(batch_shape=(16, 8, 3)), layers.LSTM(6, stateful=True), layers.Dense(1)])


def every_step() -> keras.Model:
    """A forecast at each step."""
    return sequential((8, 3), layers.LSTM(8, return_sequences=True), layers.Dense(1))


def masked() -> keras.Model:
    """Sequences of different lengths, whose padding is skipped."""
    return sequential((8, 3), layers.Masking(), layers.LSTM(8), layers.Dense(1))


class Residual(keras.Model):
    """Forecasts the change to the next step."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.model = model

    def call(self, inputs, training=None):
        """(batch_size, num_steps, num_features) -> the same."""
        return inputs + self.model(inputs, training=training)


def residual() -> keras.Model:
    """A recurrent network within a class that adds its input."""
    inner = keras.Sequential(
        [layers.LSTM(6, return_sequences=True), layers.Dense(3, kernel_initializer=keras.initializers.zeros)]
    )
    model = Residual(inner)
    model(np.zeros((1, 8, 3), "float32"))
    return model


class FeedBack(keras.Model):
    """Forecasts step after step, each from the one before."""

    def __init__(self, units: int, num_steps: int) -> None:
        super().__init__()
        self.num_steps = num_steps
        self.cell = layers.LSTMCell(units)
        self.warm_up = layers.RNN(self.cell, return_state=True)
        self.dense = layers.Dense(3)

    def call(self, inputs, training=None):
        """(batch_size, num_steps, num_features) -> (batch_size, horizon, num_features)."""
        hidden, *state = self.warm_up(inputs)
        steps = [self.dense(hidden)]
        for _ in range(self.num_steps - 1):
            hidden, state = self.cell(steps[-1], states=state, training=training)
            steps.append(self.dense(hidden))
        return ops.stack(steps, axis=1)


def feed_back() -> keras.Model:
    """Three steps ahead."""
    model = FeedBack(6, 3)
    model(np.zeros((1, 8, 3), "float32"))
    return model


def multi_step() -> keras.Model:
    """All steps of the forecast at once, as many as were read."""
    return sequential((8, 3), layers.LSTM(8), layers.Dense(8 * 3), layers.Reshape((8, 3)))


def last_step() -> keras.Model:
    """The same, from the last step alone."""
    last = layers.Lambda(lambda x: x[:, -1:, :], output_shape=(1, 3))
    return sequential((8, 3), last, layers.Dense(16, "relu"), layers.Dense(8 * 3), layers.Reshape((8, 3)))


def encoder_decoder() -> keras.Model:
    """What an LSTM has read is repeated for another that writes."""
    return sequential(
        (8, 3),
        layers.LSTM(8),
        layers.RepeatVector(4),
        layers.LSTM(8, return_sequences=True),
        layers.TimeDistributed(layers.Dense(1)),
    )


def attention_over_states() -> keras.Model:
    """A weighted mean of the states of an LSTM."""
    x = keras.Input((8, 3))
    states = layers.Bidirectional(layers.LSTM(6, return_sequences=True))(x)
    weights = layers.Softmax(axis=1)(layers.Dense(1, "tanh")(states))
    return keras.Model(x, layers.Dense(1)(ops.sum(weights * states, axis=1)))


def long_and_short() -> keras.Model:
    """Convolution, recurrence, recurrence over every second step, and a linear model beside."""
    x = keras.Input((8, 3))
    convolved = layers.Conv1D(6, 3, padding="same", activation="relu")(x)
    recurrent = layers.GRU(6)(convolved)
    skipping = layers.GRU(4)(convolved[:, 1::2])
    linear = layers.Dense(3)(layers.Flatten()(x[:, -4:]))
    return keras.Model(x, layers.Dense(3)(layers.Concatenate()([recurrent, skipping])) + linear)


# --- convolution ----------------------------------------------------------------------------------------------------


def fully_convolutional() -> keras.Model:
    """Convolutions with batch normalisation, averaged over time."""
    hidden = [
        layer
        for _ in range(3)
        for layer in (layers.Conv1D(8, 3, padding="same"), layers.BatchNormalization(), layers.ReLU())
    ]
    return sequential((12, 1), *hidden, layers.GlobalAveragePooling1D(), layers.Dense(2, "softmax"))


def anomaly() -> keras.Model:
    """Squeezes a series by strided convolutions, and writes it again."""
    how = {"padding": "same", "strides": 2}
    return sequential(
        (8, 2),
        layers.Conv1D(8, 3, activation="relu", **how),
        layers.Dropout(0.2),
        layers.Conv1D(4, 3, activation="relu", **how),
        layers.Conv1DTranspose(4, 3, activation="relu", **how),
        layers.Dropout(0.2),
        layers.Conv1DTranspose(8, 3, activation="relu", **how),
        layers.Conv1DTranspose(2, 3, padding="same"),
    )


def temporal_convolution() -> keras.Model:
    """Causal convolutions that reach back farther and farther, with a way round each block."""
    x = hidden = keras.Input((12, 3))
    for dilation in (1, 2, 4):
        block = hidden
        for _ in range(2):
            block = layers.Conv1D(8, 2, padding="causal", dilation_rate=dilation)(block)
            block = chain(block, layers.LayerNormalization(), layers.ReLU(), layers.SpatialDropout1D(0.1))
        straight = hidden if hidden.shape[-1] == 8 else layers.Conv1D(8, 1)(hidden)
        hidden = layers.ReLU()(layers.Add()([straight, block]))
    return keras.Model(x, layers.Dense(1)(hidden[:, -1]))


def wave_net() -> keras.Model:
    """Gated causal convolutions, whose skips add up to a distribution over the next sample."""
    x = keras.Input((8, 2))
    hidden, skips = layers.Conv1D(8, 1)(x), []
    for dilation in (1, 2, 4):
        how = {"padding": "causal", "dilation_rate": dilation}
        gated = layers.Multiply()([layers.Conv1D(8, 2, activation=kind, **how)(hidden) for kind in ("tanh", "sigmoid")])
        skips.append(layers.Conv1D(8, 1)(gated))
        hidden = layers.Add()([hidden, layers.Conv1D(8, 1)(gated)])
    output = chain(layers.Add()(skips), layers.ReLU(), layers.Conv1D(8, 1, activation="relu"))
    return keras.Model(x, layers.Conv1D(4, 1, activation="softmax")(output))


def wide_window() -> keras.Model:
    """A convolution over a window."""
    return sequential((8, 3), layers.Conv1D(8, 8, activation="relu"), layers.Dense(8, "relu"), layers.Dense(1))


def convolution_then_lstm() -> keras.Model:
    """The same small convolution for each picture of a film, then an LSTM."""
    small = sequential((6, 6, 1), layers.Conv2D(4, 3, activation="relu"), layers.GlobalMaxPooling2D())
    return sequential((4, 6, 6, 1), layers.TimeDistributed(small), layers.LSTM(6), layers.Dense(2, "softmax"))


def next_frame() -> keras.Model:
    """Convolutions in the states of LSTMs, and a picture after each picture."""
    how = {"padding": "same", "return_sequences": True}
    return sequential(
        (3, 5, 5, 1),
        layers.ConvLSTM2D(3, 3, activation="relu", **how),
        layers.BatchNormalization(),
        layers.ConvLSTM2D(3, 1, activation="relu", **how),
        layers.Conv3D(1, 3, padding="same", activation="sigmoid"),
    )


# --- attention, mixing, decomposition -------------------------------------------------------------------------------


def transformer() -> keras.Model:
    """Blocks of attention and convolution, averaged over features."""
    x = hidden = keras.Input((8, 1))
    for _ in range(2):
        attended = layers.MultiHeadAttention(2, 8, dropout=0.2)(hidden, hidden)
        attended = layers.LayerNormalization(epsilon=1e-6)(layers.Dropout(0.2)(attended)) + hidden
        fed = chain(attended, layers.Conv1D(4, 1, activation="relu"), layers.Dropout(0.2), layers.Conv1D(1, 1))
        hidden = layers.LayerNormalization(epsilon=1e-6, axis=1)(fed) + attended
    pooled = layers.GlobalAveragePooling1D(data_format="channels_last")(layers.Concatenate()([hidden, x]))
    return keras.Model(x, chain(pooled, layers.Dense(8, "relu"), layers.Dropout(0.4), layers.Dense(2, "softmax")))


def n_beats() -> keras.Model:
    """Blocks that each explain a part of the past, take it away, and add to the forecast."""
    x = keras.Input((8, 1))
    backcast, forecast = layers.Flatten()(x), 0
    for _ in range(3):
        theta = chain(backcast, layers.Dense(16, "relu"), layers.Dense(16, "relu"))
        forecast = layers.Dense(4)(theta) + forecast
        backcast = layers.Subtract()([backcast, layers.Dense(8)(theta)])
    return keras.Model(x, layers.Reshape((4, 1))(forecast))


def d_linear() -> keras.Model:
    """One linear layer for the moving average, one for what is left."""
    x = keras.Input((8, 3))
    trend = layers.AveragePooling1D(3, strides=1, padding="same")(x)
    parts = [layers.Permute((2, 1))(layers.Dense(4)(layers.Permute((2, 1))(part))) for part in (trend, x - trend)]
    return keras.Model(x, layers.Add()(parts))


def ts_mixer() -> keras.Model:
    """Layers that mix the steps, and layers that mix the features, in turn."""
    x = hidden = keras.Input((8, 3))
    for _ in range(2):
        mixed = layers.Permute((2, 1))(layers.LayerNormalization(axis=[1, 2])(hidden))
        hidden += layers.Permute((2, 1))(layers.Dropout(0.1)(layers.Dense(8, "relu")(mixed)))
        hidden += chain(
            hidden, layers.BatchNormalization(), layers.Dense(6, "relu"), layers.Dropout(0.1), layers.Dense(3)
        )
    return keras.Model(x, layers.Permute((2, 1))(layers.Dense(4)(layers.Permute((2, 1))(hidden))))


def patches() -> keras.Model:
    """A transformer over patches of the series."""
    x = keras.Input((12, 1))
    tokens = layers.Dense(8)(layers.Reshape((4, 3))(x)) + layers.Embedding(4, 8)(ops.arange(4))
    tokens = layers.LayerNormalization()(tokens + layers.MultiHeadAttention(2, 4)(tokens, tokens))
    tokens = layers.LayerNormalization()(tokens + chain(tokens, layers.Dense(16, "gelu"), layers.Dense(8)))
    return keras.Model(x, layers.Dense(3)(layers.Flatten()(tokens)))


ROADS = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]], "float32")


def traffic() -> keras.Model:
    """Speeds at junctions spread along the roads at each step; then an LSTM forecasts those of all junctions."""
    x = keras.Input((6, 4))
    spread = ops.matmul(x[..., None] * layers.Dense(4, use_bias=False)(x[..., None]), np.ones((4, 1), "float32"))[
        ..., 0
    ]
    spread = layers.ReLU()(ops.matmul(spread, ROADS / ROADS.sum(axis=0)))
    return keras.Model(x, layers.Dense(4)(layers.LSTM(8, activation="relu")(layers.Concatenate()([x, spread]))))


def echo_state() -> keras.Model:
    """A recurrent layer that is not trained, and a linear one that is."""
    reservoir = layers.SimpleRNN(12, recurrent_initializer="orthogonal", trainable=False)
    return sequential((8, 3), reservoir, layers.Dense(1))


def static_and_steps() -> keras.Model:
    """What stays the same joins what an LSTM has read."""
    fixed, steps = keras.Input((2,), name="fixed"), keras.Input((6, 3), name="steps")
    joined = layers.Concatenate()([layers.LSTM(6)(steps), layers.Dense(4, "relu")(fixed)])
    return keras.Model({"fixed": fixed, "steps": steps}, layers.Dense(1)(joined))


def points() -> keras.Model:
    """A cloud of points, each seen by itself, and the largest of what was seen."""
    hidden = [
        layer
        for width in (8, 16)
        for layer in (layers.Conv1D(width, 1), layers.BatchNormalization(momentum=0.0), layers.ReLU())
    ]
    return sequential((6, 3), *hidden, layers.GlobalMaxPooling1D(), layers.Dense(8, "relu"), layers.Dense(3, "softmax"))


CASES = [
    Case(
        "LSTM forecast", "keras-io: Timeseries forecasting for weather prediction", weather, STEPS, numbers(), SEVERAL
    ),
    Case("Stacked GRU", GUIDE, stacked, STEPS, numbers(), SEVERAL),
    Case("Bidirectional LSTM", GUIDE, bidirectional, STEPS, labels(3), SEVERAL),
    Case("Stateful LSTM", GUIDE, stateful, STEPS, numbers(), SEVERAL),
    Case("LSTM at every step", FORECASTING, every_step, STEPS, numbers(8, 1), MANY),
    Case(
        "Masked LSTM",
        "Keras guide: Understanding masking and padding",
        masked,
        padded(8, 3),
        numbers(),
        SEVERAL,
        mask=lambda x: x.any(axis=2),
    ),
    Case("Residual wrapper", FORECASTING, residual, STEPS, numbers(8, 3), MANY),
    Case("Autoregressive LSTM", FORECASTING, feed_back, STEPS, numbers(3, 3), SEVERAL),
    Case("Multi-step LSTM", FORECASTING, multi_step, STEPS, numbers(8, 3), SEVERAL),
    Case("Multi-step dense", FORECASTING, last_step, STEPS, numbers(8, 3), SEVERAL),
    Case("Convolution window", FORECASTING, wide_window, STEPS, numbers(1, 1), SEVERAL),
    Case("Encoder and decoder", "Sutskever et al. (2014)", encoder_decoder, STEPS, numbers(4, 1), SEVERAL),
    Case("LSTM with attention", "Zhou et al. (2016)", attention_over_states, STEPS, numbers(), SEVERAL),
    Case("LSTNet", "Lai et al. (2018)", long_and_short, STEPS, numbers(3), SEVERAL),
    Case(
        "Fully convolutional",
        "keras-io: Timeseries classification from scratch",
        fully_convolutional,
        normal(12, 1),
        labels(2),
        SEVERAL,
    ),
    Case(
        "Convolutional autoencoder",
        "keras-io: Timeseries anomaly detection using an Autoencoder",
        anomaly,
        normal(8, 2),
        numbers(8, 2),
        MANY,
    ),
    Case("TCN", "Bai et al. (2018)", temporal_convolution, normal(12, 3), numbers(), SEVERAL),
    Case("WaveNet", "van den Oord et al. (2016)", wave_net, normal(8, 2), labels(4, 8), MANY),
    Case(
        "CNN and LSTM",
        "Keras guide: TimeDistributed layer",
        convolution_then_lstm,
        uniform(4, 6, 6, 1),
        labels(2),
        SEVERAL,
    ),
    Case(
        "ConvLSTM",
        "keras-io: Next-Frame Video Prediction with Convolutional LSTMs",
        next_frame,
        uniform(3, 5, 5, 1),
        numbers(3, 5, 5, 1, loss="binary_crossentropy"),
        MANY,
    ),
    Case(
        "Transformer of a series",
        "keras-io: Timeseries classification with a Transformer model",
        transformer,
        normal(8, 1),
        labels(2),
        SEVERAL,
    ),
    Case("N-BEATS", "Oreshkin et al. (2020)", n_beats, normal(8, 1), numbers(4, 1), SEVERAL),
    Case("DLinear", "Zeng et al. (2022)", d_linear, STEPS, numbers(4, 3), SEVERAL),
    Case("TSMixer", "Chen et al. (2023)", ts_mixer, STEPS, numbers(4, 3), SEVERAL),
    Case("PatchTST", "Nie et al. (2023)", patches, normal(12, 1), numbers(3), SEVERAL),
    Case(
        "Graph and LSTM",
        "keras-io: Traffic forecasting using graph neural networks and LSTM",
        traffic,
        uniform(6, 4),
        numbers(4),
        SEVERAL,
    ),
    Case("Echo state network", "Jaeger (2001)", echo_state, STEPS, numbers(), SEVERAL),
    Case(
        "Static and sequence",
        "Keras guide: The Functional API",
        static_and_steps,
        together(fixed=normal(2), steps=normal(6, 3)),
        numbers(),
        SEVERAL,
    ),
    Case("PointNet", "keras-io: Point cloud classification with PointNet", points, normal(6, 3), labels(3), SEVERAL),
]
