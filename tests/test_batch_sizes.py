"""How many rows a batch has: as many as the memory is meant to hold, wherever and however the model was built."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sensitivity as ks
from keras_sensitivity.networks.keras_tf.activations import count_activations
from keras_sensitivity.networks.keras_tf.network import KerasNetwork
from keras_sensitivity.plan import Options, Plan, suitable_batch_size
from keras_sensitivity.rows.rows import read

L, ops = keras.layers, keras.ops
X = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")


def measure(model, x=X, **options):
    return ks.measure(model, x, **{"jit_compile": False, "definition": ks.Definition(scale="std")} | options)


def batch_size(model, x=X):
    network = KerasNetwork(model)
    options = Options(jit_compile=False)
    return Plan(network.look_pass, network, read(x, network), definition=ks.Definition(), options=options).batch_size


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(3, "tanh")

    def call(self, x):
        return self.dense(x)


class OfEight(Subclassed):
    """A model that has the size of its batch in its code."""

    def call(self, x):
        return tf.reshape(self.dense(tf.reshape(x, (8, 6))), (8, 3))


class ZerosOfEight(Subclassed):
    def call(self, x):
        return self.dense(x) + tf.zeros((8, 3))


def sequential():
    return keras.Sequential([L.Dense(3, "tanh")])


def called_on(build, count):
    def built():
        model = build()
        model(X[:count])
        return model

    return built


def functional(function=None, **options):
    def built():
        inputs = keras.Input((6,), **options)
        return keras.Model(inputs, (function or sequential())(inputs))

    return built


ANY_SIZE = {
    "Sequential, on 1 row": called_on(sequential, 1),
    "Sequential, on 2 rows": called_on(sequential, 2),
    "Sequential, on 32 rows": called_on(sequential, 32),
    "subclassed, on 1 row": called_on(Subclassed, 1),
    "subclassed, on 32 rows": called_on(Subclassed, 32),
    "functional, batch_size=8": functional(batch_size=8),
    "functional": functional(),
}

EIGHT = {
    "reshape": called_on(OfEight, 8),
    "zeros": called_on(ZerosOfEight, 8),
    "functional": functional(lambda x: L.Dense(3, "tanh")(ops.reshape(x, (8, 6))), batch_size=8),
}


@pytest.mark.parametrize("name", ANY_SIZE)
def test_where_a_model_was_built_means_nothing(name):
    assert KerasNetwork(ANY_SIZE[name]()).fixed_batch_size is None


def test_a_model_built_on_one_row_is_measured_in_one_batch():
    assert batch_size(ANY_SIZE["Sequential, on 1 row"]()) == len(X)


@pytest.mark.parametrize("name", EIGHT)
def test_a_model_that_refuses_another_size_gets_that_of_its_building(name):
    model = EIGHT[name]()
    assert batch_size(model) == 8
    same = ANY_SIZE["functional"]()
    same.set_weights(model.get_weights())
    np.testing.assert_allclose(measure(model, X[:37]).features, measure(same, X[:37]).features, rtol=1e-4)
    with pytest.raises(ValueError, match="batch"):
        measure(model, batch_size=5)


def test_a_callback_gives_a_model_of_one_size_what_it_takes():
    model = EIGHT["reshape"]()
    model.compile("sgd", "mse")
    watch = ks.SensitivityCallback(X, jit_compile=False)
    model.fit(X, X[:, :3], batch_size=8, epochs=2, callbacks=[watch], verbose=0)
    assert len(watch.history) == 2


def test_a_model_that_takes_no_size_is_told_of_the_one_that_was_tried_first():
    model = called_on(sequential, 1)()
    model.layers[0].call = None  # whatever is wrong with it
    with pytest.raises(ValueError, match=r"batches of shape \(40, 6\)"):
        measure(model)


# --- how much a row takes ---------------------------------------------------------------------------------------------


def in_a_row(shape, *layers):
    return lambda: keras.Sequential([keras.Input(shape), *(layer() for layer in layers)])


class Attending(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.attend, self.norm = L.Dense(16), L.MultiHeadAttention(4, 8), L.LayerNormalization()
        self.wide, self.back, self.last = L.Dense(32, "relu"), L.Dense(16), L.Dense(1)

    def call(self, x):
        x = self.first(x)
        x = self.norm(x + self.attend(x, x))
        return self.last((x + self.back(self.wide(x)))[:, -1])


def attending():
    model = Attending()
    model(np.zeros((1, 40, 6), "float32"))
    return model


def convolution(**options):
    return lambda: L.Conv2D(16, 3, padding="same", activation="relu", **options)


MODELS = {
    "dense": (in_a_row((20,), lambda: L.Dense(64, "relu"), lambda: L.Dense(64, "relu"), lambda: L.Dense(3)), (20,)),
    "convolutions": (in_a_row((32, 32, 3), *[convolution()] * 8, L.GlobalAveragePooling2D), (32, 32, 3)),
    "any size": (in_a_row((None, None, 3), *[convolution()] * 3, L.GlobalAveragePooling2D), (32, 32, 3)),
    "strides": (in_a_row((32, 32, 3), *[convolution(strides=2)] * 4, L.Flatten, lambda: L.Dense(3)), (32, 32, 3)),
    "LSTM": (in_a_row((30, 4), lambda: L.LSTM(8, return_sequences=True), lambda: L.LSTM(8)), (30, 4)),
    "GRU of any length": (in_a_row((None, 4), lambda: L.GRU(8)), (30, 4)),
    "attention, subclassed": (attending, (40, 6)),
}  # fmt: skip


def numbers(model, row):
    """All that the model computes of a row, counted in its graph; a loop runs once for each step."""

    def count(graph, computed):
        total = 0
        for operation in graph.get_operations():
            has = [tensor.name in computed for tensor in operation.inputs]
            if any(has):
                computed |= {tensor.name for tensor in operation.outputs}
                floats = [tensor for tensor in operation.outputs if tensor.dtype.is_floating]
                total += sum(tensor.shape.num_elements() or 0 for tensor in floats)
                if operation.type == "While":
                    body = graph._get_function(operation.get_attr("body").name).graph
                    inside = {tensor.name for tensor, inner in zip(body.inputs, has, strict=True) if inner}
                    total += row[0] * count(body, inside)
        return total

    run = tf.function(lambda x: model(x, training=False), autograph=False)
    graph = run.get_concrete_function(tf.TensorSpec((1, *row), "float32")).graph
    return count(graph, {graph.inputs[0].name})


@pytest.mark.parametrize("name", MODELS)
def test_the_numbers_of_a_row_are_counted_well_enough(name):
    build, row = MODELS[name]
    model = build()
    assert 0.4 < count_activations(model, [row]) / numbers(model, row) < 4


def test_images_are_not_measured_one_by_one():
    build, row = MODELS["convolutions"]
    floats = KerasNetwork(build()).floats_per_row([row], keeps_rows=False)
    assert 32 < suitable_batch_size(4096, floats) < 512


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ConvNeXtTiny", "EfficientNetV2B0", "MobileNetV3Small"])
def test_public_models_of_images(name):
    build = getattr(keras.applications, name)
    model = build(weights=None, input_shape=(32, 32, 3), classes=10, include_preprocessing=False)
    floats = KerasNetwork(model).floats_per_row([(32, 32, 3)], keeps_rows=False)
    assert 16 < suitable_batch_size(4096, floats) < 512
