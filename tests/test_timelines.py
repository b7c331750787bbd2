"""Whether the steps of an output are those of the input: how a model is made says so, not the length of its output."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_sensitivity.networks.keras_tf.timelines import has_steps_of

L, ops = keras.layers, keras.ops
STEPS, COLUMNS = 6, 2


def functional(*layers):
    """A model of layers in a row, on a window of six steps of two columns."""

    def build():
        tensor = inputs = keras.Input((STEPS, COLUMNS))
        for layer in layers:
            tensor = layer(tensor)
        return keras.Model(inputs, tensor)

    return build


def subclassed(function, **layers):
    """The same as a class with a call of its own, of whose layers nobody knows the order."""

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            for name, layer in layers.items():
                setattr(self, name, layer)

        def call(self, x):
            return function(self, x)

    def build():
        model = Subclassed()
        model(np.zeros((1, STEPS, COLUMNS), "float32"))
        return model

    return build


def attending(x):
    return L.MultiHeadAttention(2, 4)(x, x)


def with_positions(x):
    positions = L.Embedding(STEPS, 4)(ops.arange(STEPS))
    return L.Dense(1)(attending(L.Dense(4)(x) + positions))


def mixed_over_time(x):
    return x + L.Permute((2, 1))(L.Dense(STEPS)(L.Permute((2, 1))(x)))


def decoded_one_by_one(model, x):
    """A forecast that is fed back, step by step."""
    *_, h, c = model.encoder(x)
    y, found = model.head(h), []
    for _ in range(STEPS):
        y, (h, c) = model.cell(y, [h, c])
        y = model.head(y)
        found.append(y)
    return ops.stack(found, axis=1)


def looped(model, x):
    """A running sum in a loop of TensorFlow's."""

    def turn(step, state, found):
        state = state + model.head(x[:, step])
        return step + 1, state, found.write(step, state)

    found = tf.TensorArray("float32", STEPS, element_shape=(x.shape[0], 1))
    *_, found = tf.while_loop(lambda step, *_: step < STEPS, turn, (0, tf.zeros((x.shape[0], 1)), found))
    return tf.transpose(found.stack(), (1, 0, 2))


def looped_forecast(model, x):
    """The same loop, of which no turn reads the input."""

    def turn(step, state, found):
        state = model.head(state)
        return step + 1, state, found.write(step, state)

    found = tf.TensorArray("float32", STEPS, element_shape=(x.shape[0], 1))
    start = model.head(tf.reduce_mean(x, axis=(1, 2), keepdims=False)[:, None])
    *_, found = tf.while_loop(lambda step, *_: step < STEPS, turn, (0, start, found))
    return tf.transpose(found.stack(), (1, 0, 2))


def placeholders_behind_the_window(x):
    """The end of the window and zeros for the forecast go through attention; what stands for the zeros is returned."""
    both = ops.concatenate([x[:, -3:], ops.zeros_like(x)], axis=1)
    return L.Dense(1)(attending(L.Dense(4)(both)))[:, -STEPS:]


def small_u(x):
    down = L.MaxPooling1D(2)(L.Conv1D(3, 2, padding="same")(x))
    return L.Conv1D(1, 2, padding="same")(L.UpSampling1D(2)(down))


def seasonal(x):
    """Window minus its mean through a linear layer over time, as in DLinear and NLinear."""
    mean = ops.mean(x, axis=1, keepdims=True)
    return L.Permute((2, 1))(L.Dense(STEPS)(L.Permute((2, 1))(x - mean))) + mean


def patches(x):
    """Patches of two steps, each looked at by itself and written back as two."""
    return L.Reshape((STEPS, 1))(L.Dense(2)(L.Reshape((STEPS // 2, 2 * COLUMNS))(x)))


KEPT = {
    "LSTM": functional(L.LSTM(3, return_sequences=True), L.Dense(1)),
    "GRU": functional(L.GRU(3, return_sequences=True)),
    "unrolled": functional(L.GRU(3, return_sequences=True, unroll=True)),
    "unrolled from the end": functional(L.GRU(3, return_sequences=True, unroll=True, go_backwards=True)),
    "from the end": functional(L.SimpleRNN(3, return_sequences=True, go_backwards=True)),
    "masked": functional(L.Masking(), L.LSTM(3, return_sequences=True), L.Dense(2)),
    "a cell of one's own": functional(L.RNN(L.StackedRNNCells([L.GRUCell(3), L.LSTMCell(2)]), return_sequences=True)),
    "Bidirectional": functional(L.Bidirectional(L.LSTM(3, return_sequences=True)), L.Dense(1)),
    "TimeDistributed": functional(L.TimeDistributed(L.Dense(3)), L.Dense(1)),
    "TimeDistributed model": functional(L.TimeDistributed(keras.Sequential([keras.Input((2,)), L.Dense(1)]))),
    "TimeDistributed behind attention": functional(L.Dense(4), attending, L.TimeDistributed(L.Dense(1))),
    "Dense": functional(L.Dense(3), L.LayerNormalization(), L.Dense(1)),
    "normalised over steps": functional(L.LayerNormalization(axis=[1, 2]), L.Dense(1)),
    "Conv1D same": functional(L.Conv1D(3, 3, padding="same"), L.Conv1D(1, 1)),
    "Conv1D causal, dilated": functional(L.Conv1D(3, 2, padding="causal", dilation_rate=2), L.Conv1D(1, 1)),
    "SeparableConv1D": functional(L.SeparableConv1D(3, 3, padding="same")),
    "padded by hand": functional(L.ZeroPadding1D((2, 0)), L.Conv1D(1, 3)),
    "down and up again": functional(small_u),
    "Conv1DTranspose": functional(L.Conv1D(3, 2, strides=2), L.Conv1DTranspose(1, 2, strides=2)),
    "patches": functional(patches),
    "attention": functional(L.Dense(4), attending, L.Dense(1)),
    "positions": functional(with_positions),
    "Attention": functional(lambda x: L.Attention()([x, x])),
    "steps mixed beside the input": functional(mixed_over_time, L.Dense(1)),
    "behind a reshape": functional(L.Flatten(), L.Reshape((STEPS, COLUMNS)), L.LSTM(1, return_sequences=True)),
    "two axes of columns": functional(L.Reshape((STEPS, 1, COLUMNS)), L.Dense(3)),
    "flipped": functional(L.Dense(3), lambda x: ops.flip(x, axis=1)),
    "cumulated": functional(L.Dense(1), lambda x: ops.cumsum(x, axis=1)),
    "shifted": functional(lambda x: ops.concatenate([ops.zeros_like(x[:, :1]), x[:, :-1]], axis=1)),
    "Einsum": functional(L.EinsumDense("btc,cd->btd", (STEPS, 3))),
    "subclassed LSTM": subclassed(
        lambda self, x: self.out(self.rnn(x)), rnn=L.LSTM(3, return_sequences=True), out=L.Dense(1)
    ),
    "subclassed loop": subclassed(looped, head=L.Dense(1)),
    "slices stacked": subclassed(
        lambda self, x: ops.stack([self.head(x[:, t]) for t in range(STEPS)], axis=1), head=L.Dense(1)
    ),
    "slices joined": subclassed(
        lambda self, x: ops.concatenate([self.head(x[:, t : t + 1]) for t in range(STEPS)], axis=1), head=L.Dense(1)
    ),
}  # fmt: skip

MADE_ANEW = {
    "Flatten": functional(L.Flatten(), L.Dense(STEPS), L.Reshape((STEPS, 1))),
    "Flatten, two columns": functional(L.Flatten(), L.Dense(2 * STEPS), L.Reshape((STEPS, 2))),
    "last state": functional(L.LSTM(3), L.Dense(STEPS), L.Reshape((STEPS, 1))),
    "last state, unrolled": functional(L.GRU(3, unroll=True), L.Dense(STEPS), L.Reshape((STEPS, 1))),
    "last step": functional(L.GRU(3, return_sequences=True), lambda x: x[:, -1], L.Dense(STEPS), L.Reshape((STEPS, 1))),
    "last convolution": functional(L.Conv1D(3, STEPS), L.Flatten(), L.Dense(STEPS), L.Reshape((STEPS, 1))),
    "encoder, decoder": functional(L.LSTM(3), L.RepeatVector(STEPS), L.LSTM(3, return_sequences=True), L.Dense(1)),
    "encoder, decoder, TimeDistributed": functional(
        L.GRU(3), L.RepeatVector(STEPS), L.GRU(3, return_sequences=True), L.TimeDistributed(L.Dense(1))
    ),
    "encoder, decoder, unrolled": functional(
        L.GRU(3, unroll=True), L.RepeatVector(STEPS), L.GRU(3, return_sequences=True, unroll=True)
    ),
    "flat vector repeated": functional(L.Flatten(), L.RepeatVector(STEPS), L.Dense(1)),
    "pooled": functional(L.GlobalAveragePooling1D(), L.Dense(STEPS), L.Reshape((STEPS, 1))),
    "largest": functional(L.GlobalMaxPooling1D(), L.Dense(STEPS), L.Reshape((STEPS, 1))),
    "linear over time": functional(L.Permute((2, 1)), L.Dense(STEPS), L.Permute((2, 1))),
    "linear over time, centred": functional(seasonal),
    "steps mixed, then linear over time": functional(
        mixed_over_time, L.Permute((2, 1)), L.Dense(STEPS), L.Permute((2, 1)), L.Dense(1)
    ),
    "steps as channels": functional(L.Permute((2, 1)), L.Conv1D(STEPS, 1), L.Permute((2, 1))),
    "Einsum over time": functional(L.EinsumDense("btc,th->bhc", (STEPS, COLUMNS))),
    "attention, then flat": functional(L.Dense(4), attending, L.Flatten(), L.Dense(STEPS), L.Reshape((STEPS, 1))),
    "queries of its own": functional(
        lambda x: L.MultiHeadAttention(2, 4)(L.RepeatVector(STEPS)(L.GlobalAveragePooling1D()(x)), x)
    ),
    "placeholders behind the window": functional(placeholders_behind_the_window),
    "decoded one by one": subclassed(
        decoded_one_by_one, encoder=L.LSTM(3, return_state=True), cell=L.LSTMCell(3), head=L.Dense(1)
    ),
    "looped forecast": subclassed(looped_forecast, head=L.Dense(1)),
    "subclassed Flatten": subclassed(
        lambda self, x: tf.reshape(self.out(tf.reshape(x, (-1, STEPS * COLUMNS))), (-1, STEPS, 1)), out=L.Dense(STEPS)
    ),
    "one head a step": functional(
        lambda x: ops.stack([L.Dense(1)(y) for y in [L.LSTM(3)(x)] for _ in range(STEPS)], axis=1)
    ),
}


def answer(model, steps=STEPS):
    """What the graph of a model on some steps says."""

    def traced(x):
        found.append(has_steps_of(model(x, training=False), x))

    found = []
    tf.function(traced, autograph=False).get_concrete_function(tf.TensorSpec((3, steps, COLUMNS), "float32"))
    return found[-1]


@pytest.mark.parametrize("name", KEPT)
def test_steps_that_are_kept(name):
    model = KEPT[name]()
    assert answer(model) is True


@pytest.mark.parametrize("name", MADE_ANEW)
def test_steps_that_are_made_anew(name):
    assert answer(MADE_ANEW[name]()) is False


def test_where_it_cannot_be_known():
    """What Python does to the numbers in between, no graph tells."""

    def outside(self, x):
        y = tf.numpy_function(lambda values: values[..., :1], [x], tf.float32)
        return self.out(tf.reshape(y, (x.shape[0], STEPS, 1)))

    assert answer(subclassed(outside, out=L.Dense(1))()) is None


def test_the_kernel_of_a_gpu():
    """Which runs nowhere else, but has a graph everywhere."""

    def traced(x):
        state, sizes = tf.zeros((1, x.shape[0], 3)), tf.fill([x.shape[0]], STEPS)
        by_step, last, *_ = tf.raw_ops.CudnnRNNV3(
            input=tf.transpose(x, (1, 0, 2)),
            input_h=state,
            input_c=state,
            params=tf.zeros(100),
            sequence_lengths=sizes,
        )
        forecast = tf.reshape(tf.tile(last[0], (1, 2)), (-1, STEPS, 1))
        found.extend(has_steps_of(head, x) for head in (tf.transpose(by_step, (1, 0, 2)), forecast))

    found = []
    tf.function(traced, autograph=False).get_concrete_function(tf.TensorSpec((3, STEPS, COLUMNS), "float32"))
    assert found == [True, False]
