"""Measuring after any change of a model equals measuring with nothing cached.

The truth comes from calling the model itself, under a tape that this file holds, or from an equal model that was saved
and loaded; so it knows of no trace that the library may keep.
"""

import dataclasses
import enum
import functools
import gc
import sys
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import keras_sensitivity as ks

STD = ks.Definition(scale="std")

# A change moves some importance by more than this, in percent points; otherwise its row would show nothing.
MOVED = 3.0

FACTOR = 1.0
SETTINGS = {"factor": 1.0}


@pytest.fixture(autouse=True)
def _globals_as_they_were(monkeypatch):
    monkeypatch.setitem(globals(), "FACTOR", 1.0)
    monkeypatch.setitem(SETTINGS, "factor", 1.0)
    monkeypatch.setattr(ByClass, "factor", 1.0)


# --- the truth ------------------------------------------------------------------------------------------------------


def by_tape(model, x, _folder):
    """Importances of the columns of float rows of shape (n, p) or (n, steps, p), one output head."""
    variables = list(model.non_trainable_variables)
    for layer in model._flatten_layers():
        variables += getattr(layer, "states", None) or []  # of recurrent layers, which Keras does not count
    before = [variable.numpy() for variable in variables]
    x = tf.constant(x)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = model(x, training=False)
        units = [y[:, unit] for unit in range(y.shape[1])]
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    # A row's output depends on that row alone, so the gradient of the sum over rows holds each row's.
    g = np.stack([np.asarray(tape.gradient(unit, x), dtype="float64") for unit in units])
    values = np.asarray(x, dtype="float64")
    if values.ndim == 2:
        g, values = g[:, :, None], values[:, None]
    rms = np.sqrt((g**2).mean(axis=1).sum(axis=0)).mean(axis=0) * values.reshape(-1, values.shape[-1]).std(axis=0)
    return 100 * rms / rms.sum()


def by_an_equal_model(model, x, folder):
    """For codes, words and masks: of what the model is after saving and loading, which nobody has measured yet."""
    path = folder / "model.keras"
    model.save(path)
    fresh = keras.models.load_model(path)
    rows = tf.constant(x)
    np.testing.assert_allclose(fresh(rows), model(rows), rtol=1e-5, atol=1e-6)
    return ks.measure(fresh, x, jit_compile=False, definition=STD).features.to_numpy()


class Row(NamedTuple):
    """A model, its rows, what is done to it one after the other, and how it is known what must come out."""

    model: keras.Model
    x: Any
    changes: list[Callable[[], Any]]
    truth: Callable[..., np.ndarray] = by_tape
    atol: float = 0.02


def measured(model, x):
    return ks.measure(model, x, jit_compile=False, definition=STD).features.to_numpy()


# --- models ---------------------------------------------------------------------------------------------------------


def rows(n=40, columns=3):
    """The first column is negative throughout."""
    x = np.random.default_rng(0).normal(size=(n, columns)) * np.arange(1, columns + 1)
    x[:, 0] = -0.2 - np.abs(x[:, 0])
    return x.astype("float32")


def sequences(n=16):
    return (np.random.default_rng(1).normal(size=(n, 4, 2)) * [1, 2]).astype("float32")


def tilted(x, factor):
    """x with the first column multiplied."""
    return ops.concatenate([factor * x[:, :1], x[:, 1:]], axis=1)


def net(*stack, columns=3):
    head = [layers.Dense(4, "tanh", kernel_initializer=keras.initializers.RandomNormal(stddev=0.3)), layers.Dense(1)]
    return keras.Sequential([keras.Input((columns,)), *stack, *head])


def ones(*stack, columns=3):
    """A head that adds up what comes."""
    return keras.Sequential([keras.Input((columns,)), *stack, layers.Dense(1, kernel_initializer="ones")])


class Custom(layers.Layer):
    """Multiplies the first column by what is read off the setting."""

    def __init__(self, setting, read=None):
        super().__init__()
        self.setting = setting
        self.read = read

    def call(self, x):
        return tilted(x, self.setting if self.read is None else self.read(self.setting))


class ByClass(layers.Layer):
    factor = 1.0

    def call(self, x):
        return tilted(x, type(self).factor)


class ByGlobal(layers.Layer):
    def call(self, x):
        return tilted(x, FACTOR)


class Holder(layers.Layer):
    """Calls another layer."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return self.inner(x)


class SurrogateSpike(layers.Layer):
    """The columns' signs, with derivatives as if they were less steep: only those depend on the slopes."""

    def __init__(self, slopes):
        super().__init__()
        self.slopes = slopes

    def call(self, x):
        @tf.custom_gradient
        def spike(x):
            return tf.sign(x), lambda upstream: upstream * self.slopes

        return spike(x)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.factor, self.out = 1.0, layers.Dense(1, kernel_initializer="ones")

    def call(self, x):
        return self.out(tilted(x, self.factor))


class Masked(keras.Model):
    def __init__(self, mask_value):
        super().__init__()
        self.masking, self.rnn, self.out = layers.Masking(mask_value), layers.GRU(3), layers.Dense(1)

    def call(self, x):
        return self.out(self.rnn(self.masking(x)))


@dataclasses.dataclass
class Options:
    factor: float = 1.0

    def apply(self, x):
        return tilted(x, self.factor)

    def __call__(self, x):
        return self.apply(x)


class Slots:
    __slots__ = ("factor",)

    def __init__(self):
        self.factor = 1.0


class Size(enum.Enum):
    SMALL = 1.0
    LARGE = 9.0


# --- the changes ----------------------------------------------------------------------------------------------------

CHANGES = {}


def change(function):
    CHANGES[function.__name__.replace("_", " ")] = function
    return function


def to(thing, name, *values):
    """Changes that set an attribute to one value after the other."""
    return [functools.partial(setattr, thing, name, value) for value in values]


def attribute(before, *after, read=None):
    """A row: the setting of a custom layer is replaced."""

    def row():
        layer = Custom(before, read)
        return Row(net(layer), rows(), to(layer, "setting", *after))

    return row


def in_place(make, mutate, read):
    """A row: the setting of a custom layer is changed where it is."""

    def row():
        layer = Custom(make(), read)
        return Row(net(layer), rows(), [lambda: mutate(layer.setting)])

    return row


def second(values):
    return values[1]


CHANGES |= {
    "float attribute": attribute(1.0, 9.0, 0.1, 9.0),
    "int attribute": attribute(1, 9),
    "bool attribute": attribute(False, True, read=lambda flag: 9.0 if flag else 1.0),
    "str attribute": attribute("small", "large", read={"small": 1.0, "large": 9.0}.get),
    "enum attribute": attribute(Size.SMALL, Size.LARGE, read=lambda size: size.value),
    "tuple attribute": attribute((0, 1.0), (0, 9.0), read=second),
    "list attribute replaced": attribute([0, 1.0], [0, 9.0], read=second),
    "list attribute changed in place": in_place(lambda: [0, 1.0], lambda v: v.__setitem__(1, 9.0), second),
    "list attribute that grows": in_place(lambda: [1.0], lambda v: v.append(9.0), lambda v: v[-1]),
    "dict attribute changed in place": in_place(lambda: {1: 1.0}, lambda v: v.__setitem__(1, 9.0), second),
    "nested dict of lists": in_place(
        lambda: {"a": {"b": [1.0]}}, lambda v: v["a"]["b"].__setitem__(0, 9.0), lambda v: v["a"]["b"][0]
    ),
    "set attribute changed in place": in_place(set, lambda v: v.add("large"), lambda v: 9.0 if v else 1.0),
    "array replaced": attribute(np.array([0, 1.0], "float32"), np.array([0, 9.0], "float32"), read=second),
    "array changed in place": in_place(
        lambda: np.array([0, 1.0], "float32"), lambda v: v.__setitem__(1, 9.0), second
    ),
    "large array changed in one place": in_place(
        lambda: np.ones(100_000, "float32"), lambda v: v.__setitem__(50_000, 9.0), lambda v: v[50_000]
    ),
    "constant tensor replaced": attribute(tf.constant(1.0), tf.constant(9.0)),
    "None becomes a value": attribute(None, 9.0, read=lambda factor: 1.0 if factor is None else factor),
    "a plain object's field": in_place(
        lambda: types.SimpleNamespace(factor=1.0), lambda v: setattr(v, "factor", 9.0), lambda v: v.factor
    ),
    "a dataclass' field": in_place(Options, lambda v: setattr(v, "factor", 9.0), lambda v: v.factor),
    "a dataclass in a list": in_place(
        lambda: [Options()], lambda v: setattr(v[0], "factor", 9.0), lambda v: v[0].factor
    ),
    "an object with slots": in_place(Slots, lambda v: setattr(v, "factor", 9.0), lambda v: v.factor),
    "an object in an object": in_place(
        lambda: types.SimpleNamespace(options=Options()),
        lambda v: setattr(v, "options", Options(9.0)),
        lambda v: v.options.factor,
    ),
}  # fmt: skip


@change
def a_tf_variable_replaced():
    layer = Custom(tf.Variable(1.0, trainable=False))
    return Row(net(layer), rows(), [lambda: setattr(layer, "setting", tf.Variable(9.0, trainable=False))])


@change
def a_tf_variable_assigned():
    layer = Custom(tf.Variable(1.0, trainable=False))
    return Row(net(layer), rows(), [lambda: layer.setting.assign(9.0)])


@change
def an_attribute_of_the_class():
    return Row(net(ByClass()), rows(), to(ByClass, "factor", 9.0))


@change
def a_method_of_the_class():
    class Own(layers.Layer):
        def factor(self):
            return 1.0

        def call(self, x):
            return tilted(x, self.factor())

    return Row(net(Own()), rows(), [lambda: setattr(Own, "factor", lambda self: 9.0)])


@change
def a_subclassed_models_attribute():
    model = Subclassed()
    model(rows())
    return Row(model, rows(), to(model, "factor", 9.0))


# Functions.


@change
def new_lambdas_in_turn():
    """Ids of functions that were freed are used again."""
    model = ones(layers.Activation(lambda x: tilted(x, 1.0)))

    def replace(factor):
        model.layers[0].activation = lambda x: tilted(x, factor)
        gc.collect()

    return Row(model, rows(), [functools.partial(replace, factor) for factor in (9, 0.1, 5, 0.2, 7, 0.3)])


@change
def a_closures_cell():
    factor = 1.0

    def function(x):
        return tilted(x, factor)

    def act():
        nonlocal factor
        factor = 9.0

    return Row(net(layers.Lambda(function)), rows(), [act])


@change
def a_closures_list():
    factors = [1.0]
    return Row(net(layers.Lambda(lambda x: tilted(x, factors[0]))), rows(), [lambda: factors.__setitem__(0, 9.0)])


def set_global(factor=9.0):
    global FACTOR  # noqa: PLW0603
    FACTOR = factor


@change
def a_global_that_a_lambda_reads():
    return Row(net(layers.Lambda(lambda x: tilted(x, FACTOR))), rows(), [set_global])


@change
def a_global_that_a_custom_layer_reads():
    return Row(net(ByGlobal()), rows(), [set_global])


@change
def a_global_dict():
    model = net(layers.Lambda(lambda x: tilted(x, SETTINGS["factor"])))
    return Row(model, rows(), [lambda: SETTINGS.update(factor=9.0)])


def _factor():
    return FACTOR


@change
def a_global_that_a_function_called_by_a_lambda_reads():
    return Row(net(layers.Lambda(lambda x: tilted(x, _factor()))), rows(), [set_global])


@change
def a_mutable_default():
    def function(x, factors=[1.0]):  # noqa: B006
        return tilted(x, factors[0])

    return Row(net(layers.Lambda(function)), rows(), [lambda: function.__defaults__[0].__setitem__(0, 9.0)])


@change
def a_default_of_a_keyword():
    def function(x, *, factor=1.0):
        return tilted(x, factor)

    return Row(net(layers.Lambda(function)), rows(), [lambda: function.__kwdefaults__.update(factor=9.0)])


@change
def a_partials_keyword():
    function = functools.partial(tilted, factor=1.0)
    model = net(layers.Activation(function))
    return Row(model, rows(), [lambda: function.keywords.update(factor=9.0)])


@change
def a_partials_list():
    factors = [1.0]
    function = functools.partial(lambda factors, x: tilted(x, factors[0]), factors)
    return Row(net(layers.Activation(function)), rows(), [lambda: factors.__setitem__(0, 9.0)])


@change
def the_object_of_a_bound_method():
    options = Options()
    return Row(net(layers.Activation(options.apply)), rows(), to(options, "factor", 9.0))


@change
def a_callable_object():
    options = Options()
    return Row(net(layers.Activation(options)), rows(), to(options, "factor", 9.0))


@change
def the_arguments_of_a_lambda():
    layer = layers.Lambda(tilted, arguments={"factor": 1.0})
    return Row(net(layer), rows(), [lambda: layer.arguments.update({"factor": 9.0})])


@change
def the_function_of_a_lambda():
    layer = layers.Lambda(lambda x: tilted(x, 1.0))
    return Row(net(layer), rows(), [lambda: setattr(layer, "function", lambda x: tilted(x, 9.0))])


@change
def the_call_of_a_layer():
    layer = layers.Identity()

    def replace(factor):
        layer.call = lambda x: tilted(x, factor)
        gc.collect()

    return Row(net(layer), rows(), [functools.partial(replace, factor) for factor in (9, 0.1, 5, 0.2)])


@change
def the_slope_of_a_surrogate_gradient():
    layer = SurrogateSpike([1.0, 1.0, 1.0])
    return Row(ones(layer), rows(), [*to(layer, "slopes", [9.0, 1, 1]), lambda: layer.slopes.__setitem__(1, 9.0)])


# Keras' own layers.


@change
def set_weights():
    model = net()
    weights = [np.multiply(w.T, np.arange(1, len(w) + 1)[::-1] ** 3).T for w in model.get_weights()]
    return Row(model, rows(), [lambda: model.set_weights(weights)])


@change
def a_fit():
    model, x = net(), rows()
    model.compile(keras.optimizers.Adam(0.05), "mse")
    return Row(model, x, [lambda: model.fit(x, x[:, :1], epochs=20, verbose=0)])


@change
def another_activation():
    # The exponential is steep where the first column is not.
    model = ones(layers.Activation("linear"))
    return Row(model, rows(), to(model.layers[0], "activation", keras.activations.exponential, keras.activations.relu))


@change
def the_slope_of_an_activation_that_is_a_layer():
    slope = layers.LeakyReLU(0.1)
    model = ones(layers.Dense(3, slope, kernel_initializer="identity"))
    return Row(model, rows(), to(slope, "negative_slope", 9.0))


@change
def adapted_once_and_again():
    layer = layers.Normalization()
    model = net(layer)
    adapt = [functools.partial(layer.adapt, rows(400) * scale) for scale in ([9, 1, 1], [0.1, 1, 5])]
    return Row(model, rows(), adapt)


@change
def weights_loaded_with_a_normalization(tmp_path):
    model = net(layers.Normalization())
    files = []
    for scale in ([9, 1, 1], [0.1, 1, 5]):
        model.layers[0].adapt(rows(400) * scale)
        files.append(tmp_path / f"{len(files)}.weights.h5")
        model.save_weights(files[-1])
    loads = [functools.partial(model.load_weights, file) for file in (*files, files[0])]
    return Row(model, rows(), loads)


@change
def the_variance_of_a_normalization():
    """Given to the constructor, it is no weight."""
    model = net(layers.Normalization(mean=[0.0] * 3, variance=[1.0] * 3))
    layer = model.layers[0]
    return Row(model, rows(), [lambda: setattr(layer, "variance", ops.convert_to_tensor([[0.01, 1.0, 1.0]]))])


@change
def bins_adapted():
    bins = layers.Discretization(num_bins=4)
    x = rows(200, 2)
    spread = np.linspace(-5, 5, 200)
    bins.adapt(spread)
    inputs = keras.Input((2,))
    codes = bins(inputs)
    model = keras.Model(inputs, net(layers.Embedding(4, 2), layers.Flatten(), columns=2)(codes))
    model.layers[2].layers[0].set_weights([np.array([[0, 1], [3, -2], [1, 1], [-2, 4]]) / 4])
    return Row(model, x, [lambda: bins.adapt(spread / 50)], by_an_equal_model)


def _looked_up(lookup, kind, x, vocabularies):
    inputs = keras.Input((2,), dtype=kind)
    lookup.set_vocabulary(vocabularies[0])
    table = layers.Embedding(5, 2)
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(table(lookup(inputs)))))
    table.set_weights([np.array([[0.0, 0], [9, -9], [0.1, 0.2], [0, 0], [0.2, -0.1]])])
    changes = [functools.partial(lookup.set_vocabulary, vocabulary) for vocabulary in vocabularies[1:]]
    return Row(model, x, changes, by_an_equal_model)


@change
def a_vocabulary_of_words():
    rng = np.random.default_rng(0)
    x = tf.constant(np.stack([rng.choice(["a", "b"], 40), rng.choice(["c", "d"], 40)], axis=1))
    return _looked_up(layers.StringLookup(), "string", x, [list("abcd"), list("cdab"), list("abcd")])


@change
def a_vocabulary_of_integers():
    rng = np.random.default_rng(0)
    x = np.stack([rng.choice([11, 12], 40), rng.choice([13, 14], 40)], axis=1)
    return _looked_up(layers.IntegerLookup(), "int64", x, [[11, 12, 13, 14], [13, 14, 11, 12]])


@change
def rows_of_an_embedding():
    table = layers.Embedding(5, 2)
    model = keras.Sequential([keras.Input((2,), dtype="int32"), table, layers.Flatten(), layers.Dense(1)])
    x = np.random.default_rng(0).integers(0, [2, 5], (40, 2))
    weights = np.linspace(-1, 1, 10).reshape(5, 2) ** 3
    weights[:2] *= 30
    return Row(model, x, [lambda: table.set_weights([weights])], by_an_equal_model)


@change
def a_mask_value():
    """After the change, the second half of the steps is masked; a Sequential model would go on with the old mask."""

    def by_another(model, x, _folder):
        other = Masked(model.masking.mask_value)
        other(x)
        other.set_weights(model.get_weights())
        np.testing.assert_allclose(other(x), model(x), rtol=1e-5)
        return measured(other, x)

    model, x = Masked(-5.0), sequences()
    model(x)
    model.set_weights([3 * weight for weight in model.get_weights()])
    x[:, 2:] = 7.0
    return Row(model, x, to(model.masking, "mask_value", 7.0), by_another)


@change
def the_scale_of_a_rescaling():
    layer = layers.Rescaling([1.0, 1.0, 1.0])
    return Row(net(layer), rows(), [*to(layer, "scale", [9.0, 1.0, 1.0]), lambda: layer.scale.__setitem__(1, 9.0)])


@change
def the_slope_of_a_leaky_relu():
    layer = layers.LeakyReLU(0.1)
    return Row(ones(layer), rows(), to(layer, "negative_slope", 9.0))


@change
def the_slope_of_an_operation():
    """`ops.leaky_relu` of a functional model is an object with attributes, and no layer."""
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Dense(1, kernel_initializer="ones")(ops.leaky_relu(inputs, 0.1)))
    operation = next(each for each in model.operations if not isinstance(each, keras.Layer))
    return Row(model, rows(), to(operation, "negative_slope", 9.0))


@change
def the_epsilon_of_a_layer_normalization():
    layer = layers.LayerNormalization()
    model = keras.Sequential([keras.Input((3,)), layer, layers.Dense(1)])
    model.layers[1].set_weights([np.array([[3.0], [1.0], [0.0]]), np.zeros(1)])
    return Row(model, rows(), to(layer, "epsilon", 1e3))


@change
def the_epsilon_of_a_batch_normalization():
    layer = layers.BatchNormalization()
    model = ones(layer)
    layer.moving_variance.assign([0.01, 1.0, 1.0])
    return Row(model, rows(), to(layer, "epsilon", 1e3))


@change
def the_statistics_of_a_batch_normalization():
    layer = layers.BatchNormalization()
    return Row(ones(layer), rows(), [lambda: layer.moving_variance.assign([0.01, 1.0, 1.0])])


@change
def lora():
    dense = layers.Dense(1, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((3,)), dense])

    def assign():
        dense.lora_kernel_a.assign([[9.0], [0], [0]])
        dense.lora_kernel_b.assign([[1.0]])

    def enable():
        dense.enable_lora(1)
        assign()

    return Row(model, rows(), [enable])


@change
def int8():
    """Where one weight is large, small ones become 0."""
    dense = layers.Dense(1)
    model = keras.Sequential([keras.Input((3,)), dense])
    dense.set_weights([np.array([[1.0], [0.003], [0.003]]), np.zeros(1)])
    return Row(model, rows() * np.float32([1, 300, 300]), [lambda: model.quantize("int8")])


@change
def how_two_directions_are_merged():
    layer = layers.Bidirectional(layers.SimpleRNN(1), merge_mode="mul")
    model = keras.Sequential([keras.Input((4, 2)), layer, layers.Dense(1, kernel_initializer="ones")])
    state = [np.zeros((1, 1)), np.zeros(1)]
    layer.set_weights([np.array([[3.0], [0]]), *state, np.array([[0], [0.1]]), *state])
    return Row(model, sequences(), to(layer, "merge_mode", "ave"))


@change
def the_activation_of_a_cell():
    layer = layers.SimpleRNN(2)
    model = keras.Sequential([keras.Input((4, 2)), layer, layers.Dense(1, kernel_initializer="ones")])
    layer.set_weights([np.array([[9.0, 0], [0, 0.2]]), np.zeros((2, 2)), np.zeros(2)])
    return Row(model, sequences(), to(layer.cell, "activation", keras.activations.linear))


@change
def states():
    layer = layers.SimpleRNN(2, stateful=True)
    model = keras.Sequential([keras.Input(batch_shape=(16, 4, 2)), layer, layers.Dense(1, kernel_initializer="ones")])
    layer.set_weights([np.array([[1.0, 0], [0, 1.0]]), 2 * np.eye(2), np.zeros(2)])
    assign = functools.partial(layer.states[0].assign, np.tile([[9.0, 0.0]], (16, 1)))
    return Row(model, sequences(16), [assign, layer.reset_state])


# How layers hang together.


@change
def layers_added_and_removed():
    """Ids of layers and weights that were freed are used again."""
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])

    def replace(factor):
        model.pop()
        gc.collect()
        model.add(layers.Dense(1, kernel_initializer=lambda *_, **__: ops.array([[factor], [1.0], [1.0]])))

    return Row(model, rows(), [functools.partial(replace, factor) for factor in (9, 0.1, 5, 0.2)])


@change
def a_nested_models_layer():
    inner = net(Custom(1.0))
    model = keras.Sequential([keras.Input((3,)), inner])
    return Row(model, rows(), to(inner.layers[0], "setting", 9.0))


@change
def a_nested_models_activation():
    inner = ones(layers.Activation("linear"))
    model = keras.Sequential([keras.Input((3,)), layers.Identity(), inner])
    return Row(model, rows(), to(inner.layers[0], "activation", keras.activations.exponential))


@change
def an_inner_layer_replaced():
    holder = Holder(Custom(1.0))

    def replace(factor):
        holder._tracker.unlock()
        del holder.inner
        gc.collect()
        holder.inner = Custom(factor)
        holder._tracker.lock("")

    return Row(net(holder), rows(), [functools.partial(replace, factor) for factor in (9.0, 0.1, 5.0)])


@change
def a_layer_that_keras_does_not_see():
    hidden = types.SimpleNamespace(layer=Custom(1.0))

    def call(x):
        return hidden.layer(x)

    model = net(layers.Lambda(call))
    return Row(model, rows(), [*to(hidden, "layer", Custom(9.0)), lambda: setattr(hidden.layer, "setting", 0.1)])


# Nothing that matters.


STEADY = {}


def steady(function):
    STEADY[function.__name__.replace("_", " ")] = function
    return function


@steady
def a_dropout_rate():
    layer = layers.Dropout(0.1)
    return Row(net(layer), rows(), to(layer, "rate", 0.9))


@steady
def the_size_of_noise():
    layer = layers.GaussianNoise(0.1)
    return Row(net(layer), rows(), to(layer, "stddev", 9.0))


@steady
def a_frozen_layer():
    model = net()
    return Row(model, rows(), [*to(model.layers[0], "trainable", False), *to(model, "trainable", False, True)])


@steady
def compiled():
    model = net()
    return Row(model, rows(), [lambda: model.compile("sgd", "mse"), lambda: model.predict(rows(), verbose=0)])


@steady
def low_ranks_that_are_still_zero():
    model = net()
    return Row(model, rows(), [lambda: model.layers[0].enable_lora(1)])


# --- the law --------------------------------------------------------------------------------------------------------


def made(maker, folder):
    return maker(folder) if maker.__code__.co_argcount else maker()


# --- what is reached on other ways ----------------------------------------------------------------------------------


def other_module(**values):
    """A module of the user's, which may be imported by its name."""
    module = types.ModuleType(f"users_{'_'.join(values)}")
    vars(module).update(values)
    sys.modules[module.__name__] = module
    return module


def calling(function):
    return net(layers.Lambda(function))


@change
def a_layer_takes_the_activation_of_another():
    stack = [layers.Dense(3, "tanh"), layers.Dense(3, "linear"), layers.Dense(3, "tanh")]
    model = keras.Sequential([keras.Input((3,)), *stack, layers.Dense(1)])
    for layer, factors in zip(stack, ([1, 0.1, 0.1], [1, 1, 1], [5, 0.1, 0.1]), strict=True):
        layer.kernel.assign(np.diag(np.float32(factors)))
    return Row(model, rows(), to(stack[2], "activation", keras.activations.linear))


@change
def an_attribute_becomes_another_that_is_there():
    layer = Custom([1.0], lambda setting: setting[0])
    layer.settings = layer.setting, [9.0]
    return Row(net(layer), rows(), to(layer, "setting", layer.settings[1]))


@change
def class_in_a_global():
    return Row(calling(lambda x: tilted(x, ByClass.factor)), rows(), to(ByClass, "factor", 9.0))


@change
def class_in_an_attribute():
    class Settings:
        factor = 1.0

    return Row(net(Custom(Settings, lambda kind: kind.factor)), rows(), to(Settings, "factor", 9.0))


@change
def class_of_a_layer():
    class Steep(Custom):
        def call(self, x):
            return tilted(x, 9.0)

    layer = Custom(1.0)
    return Row(net(layer), rows(), to(layer, "__class__", Steep))


@change
def module_in_a_closure():
    module = other_module(factor=1.0)
    return Row(calling(lambda x: tilted(x, module.factor)), rows(), to(module, "factor", 9.0))


@change
def module_in_a_module():
    inner = other_module(slope=1.0)
    module = other_module(inner=inner)
    return Row(calling(lambda x: tilted(x, module.inner.slope)), rows(), to(inner, "slope", 9.0))


@change
def module_in_an_attribute():
    module = other_module(steepness=1.0)
    return Row(net(Custom(module, lambda module: module.steepness)), rows(), to(module, "steepness", 9.0))


@change
def second_constant_of_a_functional_model():
    first, second_one = np.ones(3, "float32"), np.ones(3, "float32")
    inputs = keras.Input((3,))
    outputs = layers.Dense(1)(layers.Dense(4, "tanh")(ops.multiply(ops.multiply(inputs, first), second_one)))
    return Row(keras.Model(inputs, outputs), rows(), [lambda: second_one.__setitem__(0, 9.0)])


@change
def attribute_called_like_a_constraint():
    class Constrained(layers.Layer):
        sign_constraint = None

        def call(self, x):
            return tilted(x, self.sign_constraint or 1.0)

    layer = Constrained()
    return Row(net(layer), rows(), to(layer, "sign_constraint", 9.0))


@change
def branch_on_trainable():
    class Branches(layers.Layer):
        def call(self, x):
            return tilted(x, 1.0 if self.trainable else 9.0)

    layer = Branches()
    return Row(net(layer), rows(), to(layer, "trainable", False))


@change
def attribute_of_a_function():
    def function(x):
        return tilted(x, function.factor)

    function.factor = 1.0
    return Row(calling(function), rows(), to(function, "factor", 9.0))


@change
def attribute_of_a_model_that_a_layer_reads():
    model = calling(lambda x: tilted(x, getattr(model, "factor", 1.0)))
    return Row(model, rows(), to(model, "factor", 9.0))


@change
def bound_method_of_a_dict():
    table = {"factor": 1.0}
    return Row(net(Custom(table.get, lambda get: get("factor"))), rows(), [lambda: table.update(factor=9.0)])


@change
def order_of_a_dict():
    layer = Custom({"a": 1.0, "b": 9.0}, lambda setting: next(iter(setting.values())))
    return Row(net(layer), rows(), [lambda: layer.setting.update({"a": layer.setting.pop("a")})])


@change
def object_array():
    array = np.array([[1.0], None], dtype=object)
    return Row(net(Custom(array, lambda array: array[0][0])), rows(), [lambda: array[0].__setitem__(0, 9.0)])


@change
def object_array_of_arrays():
    array = np.array([np.ones(2), None], dtype=object)
    replaced = [lambda: array.__setitem__(0, np.full(2, 9.0))]
    return Row(net(Custom(array, lambda array: array[0][0])), rows(), replaced)


@change
def mask_of_an_array():
    array = np.ma.array([9.0, 1.0], mask=[True, False], fill_value=9.0)
    layer = Custom(array, lambda array: float(array.sum()))
    return Row(net(layer), rows(), [lambda: layer.setting.__setitem__(slice(None), np.ma.array([9.0, 1.0]))])


@change
def function_without_a_module():
    names = {"tilted": tilted, "factor": 1.0}
    exec("def function(x): return tilted(x, factor)", names)
    return Row(calling(names["function"]), rows(), [lambda: names.update(factor=9.0)])


@change
def function_behind_a_wrapper_of_a_package():
    setting = [1.0]
    return Row(
        calling(tf.recompute_grad(lambda x: tilted(x, setting[0]))), rows(), [lambda: setting.__setitem__(0, 9.0)]
    )


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.sample(6)
def test_a_change_is_seen(name, tmp_path):
    row = made(CHANGES[name], tmp_path)
    before = row.truth(row.model, row.x, tmp_path)
    np.testing.assert_allclose(measured(row.model, row.x), before, atol=row.atol)
    for number, act in enumerate(row.changes):
        act()
        after = row.truth(row.model, row.x, tmp_path)
        assert np.abs(after - before).max() > MOVED, f"change {number} is no change"
        np.testing.assert_allclose(measured(row.model, row.x), after, atol=row.atol, err_msg=f"change {number}")
        before = after


@pytest.mark.parametrize("name", STEADY)
def test_what_changes_nothing_is_no_change(name, tmp_path):
    row = made(STEADY[name], tmp_path)
    before = row.truth(row.model, row.x, tmp_path)
    np.testing.assert_allclose(measured(row.model, row.x), before, atol=row.atol)
    for act in row.changes:
        act()
        np.testing.assert_allclose(row.truth(row.model, row.x, tmp_path), before, atol=row.atol)
        np.testing.assert_allclose(measured(row.model, row.x), before, atol=row.atol)


def test_a_model_built_anew_is_a_new_model(tmp_path):
    """A model that was freed may leave its id to the next."""
    shares = []
    for factor in (1.0, 9.0, 0.1, 5.0, 0.2, 7.0):
        model = net(Custom(factor))
        shares.append(measured(model, rows()))
        np.testing.assert_allclose(shares[-1], by_tape(model, rows(), tmp_path), atol=0.02)
        del model
        gc.collect()
    assert (np.abs(np.diff(shares, axis=0)).max(axis=1) > MOVED).all()


@pytest.mark.parametrize("name", [
    "float attribute", "list attribute changed in place", "array changed in place", "a closures cell",
    "a global that a custom layer reads", "another activation", "adapted once and again", "a vocabulary of words",
])  # fmt: skip
@pytest.mark.sample(3)
def test_a_change_during_a_fit_is_seen(name, tmp_path):
    row = made(CHANGES[name], tmp_path)
    before = row.truth(row.model, row.x, tmp_path)
    changes = {1: row.changes[0]}
    act = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: changes.pop(epoch, lambda: None)())
    watch = ks.SensitivityCallback(row.x, definition=STD, jit_compile=False)
    row.model.compile(keras.optimizers.SGD(0.0), "mse")
    row.model.fit(row.x, np.zeros(len(row.x)), epochs=3, callbacks=[act, watch], verbose=0)
    after = row.truth(row.model, row.x, tmp_path)
    assert np.abs(after - before).max() > MOVED
    for look, truth in zip(watch.history, [before, after, after], strict=True):
        np.testing.assert_allclose(look.features, truth, atol=row.atol)


class Counter:
    """Counts how often Python runs through a function, without touching it."""

    def __init__(self, function):
        self._code, self._before, self._calls = function.__code__, None, 0

    def start(self):
        self._before = sys.getprofile()
        sys.setprofile(self._note)

    def stop(self):
        """All calls so far."""
        sys.setprofile(self._before)
        return self._calls

    def _note(self, frame, event, _argument):
        self._calls += event == "call" and frame.f_code is self._code


def _of_layers_without_state():
    return keras.Sequential([keras.Input((3,)), layers.Dense(4, "tanh"), layers.Dropout(0.2), layers.Dense(1)])


def _of_layers_with_state():
    stack = [layers.Normalization(), layers.Dense(4, "relu"), layers.BatchNormalization(), layers.Dense(2, "softmax")]
    return keras.Sequential([keras.Input((3,)), *stack])


def _nested():
    return keras.Sequential([keras.Input((3,)), layers.LeakyReLU(0.2), _of_layers_with_state()])


@pytest.mark.parametrize("build", [_of_layers_without_state, _of_layers_with_state, _nested])
def test_without_a_change_a_model_is_traced_once(build):
    model, x = build(), rows()
    watch = ks.SensitivityCallback(x, jit_compile=False)
    counter, counts = Counter(layers.Dense.call), []
    first = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: counter.start(), on_epoch_end=lambda epoch, logs: counter.start()
    )
    last = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: counts.append(counter.stop()),
        on_epoch_end=lambda epoch, logs: counts.append(counter.stop()),
    )
    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.fit(x, np.zeros((len(x), model.output_shape[1])), epochs=5, callbacks=[first, watch, last], verbose=0)
    assert len(watch.history) == 5
    assert counts[0] > 0  # before training
    assert counts[2:] == [counts[1]] * 4  # after each epoch


@pytest.mark.parametrize("build", [_of_layers_without_state, _of_layers_with_state, _nested])
def test_without_a_change_a_second_measurement_does_not_trace(build):
    model, counter = build(), Counter(layers.Dense.call)
    ks.measure(model, rows(), jit_compile=False)
    counter.start()
    ks.measure(model, rows(), jit_compile=False)
    assert counter.stop() == 0
    assert counts_itself(counter, model)


def counts_itself(counter, model):
    counter.start()
    model(rows())
    return counter.stop() > 0


def test_what_is_too_large_to_be_looked_into_is_compared_as_a_graph():
    """A list of more numbers than a model is worth, and a change behind it."""
    layer = Custom([0.0] * 30_000 + [1.0], lambda setting: setting[-1])
    model, x = net(layer), rows()
    before = measured(model, x)
    layer.setting[-1] = 9.0
    np.testing.assert_allclose(measured(model, x), by_tape(model, x, None), atol=0.02)
    assert np.abs(measured(model, x) - before).max() > MOVED
