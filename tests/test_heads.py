"""Outputs of every structure, weights of every shape, and layers that mix rows."""

import re
import warnings

import keras
import numpy as np
import oracle
import pandas as pd
import pytest
import sequences
import zoo
from keras import layers, ops

import keras_sensitivity as ks

STD = ks.Definition(scale="std")

X = zoo.rows(40)
PLAIN = {"jit_compile": False}


def expected(function, x=X):
    """Percent by unit, shape (num_units, num_features), and of all units together."""
    g = oracle.jacobian(lambda x, training: ops.reshape(ops.cast(function(x), "float64"), (len(x), -1)), x)
    scale = x.astype("float64").std(axis=0)
    return np.stack([oracle.importances(g[:, [unit]], scale) for unit in range(g.shape[1])]), oracle.importances(
        g, scale
    )


def check(importance, units, function):
    """Names of the units, and all numbers; ``function`` gives the outputs that are measured, beside each other."""
    by_unit, together = expected(function)
    assert len(np.unique(by_unit.round(3), axis=0)) > 1 or len(by_unit) == 1
    assert list(importance.by_output.index) == units
    np.testing.assert_allclose(importance.by_output, by_unit, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(importance.features, together, rtol=1e-3, atol=1e-3)


def user_warnings(function):
    """What a function warns its user of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [str(warning.message) for warning in caught if issubclass(warning.category, UserWarning)]


def watched(model, x=X, epochs=2, **options):
    """What a fit with the callback finds."""
    if not model.compiled:
        model.compile(keras.optimizers.SGD(0.0), loss=lambda y, output: 0.0 * ops.sum(output), jit_compile=False)
    watch = ks.SensitivityCallback(x, **{"definition": STD} | PLAIN | options)
    model.fit(x, x[:, :1], epochs=epochs, callbacks=[watch], verbose=0)
    assert len(watch.history) == epochs
    return watch


# --- functional models ----------------------------------------------------------------------------------------------


def dense(units, name):
    return layers.Dense(units, "tanh", name=name)


def halves(x):
    return ops.split(dense(4, "both")(x), 2, axis=1)


def states(x):
    return layers.LSTM(4, return_state=True, name="lstm")(layers.Reshape((5, 1))(x))


# What is returned for a tensor, and the number of units of each head.
STRUCTURES = {
    "halves of one layer": (halves, {"split": 2, "split_1": 2}),
    "output and states": (states, {"lstm": 4, "lstm_1": 4, "lstm_2": 4}),
    "list": (lambda x: [dense(2, "one")(x), dense(1, "two")(x)], {"one": 2, "two": 1}),
    "nested list": (
        lambda x: [dense(2, "one")(x), [dense(1, "two")(x), [dense(3, "three")(x)]]],
        {"one": 2, "two": 1, "three": 3},
    ),
    "dict": (lambda x: {"a": dense(1, "one")(x), "b": dense(2, "two")(x)}, {"a": 1, "b": 2}),
    "nested dict": (
        lambda x: {"a": {"b": dense(1, "one")(x), "c": dense(2, "two")(x)}, "d": dense(1, "three")(x)},
        {"a/b": 1, "a/c": 2, "d": 1},
    ),
    "dict of lists": (
        lambda x: {"a": [dense(2, "one")(x), dense(1, "two")(x)], "b": dense(1, "three")(x)},
        {"a/0": 2, "a/1": 1, "b": 1},
    ),
    "list of one": (lambda x: [dense(2, "one")(x)], {"one": 2}),
    "dict of one": (lambda x: {"a": dense(2, "one")(x)}, {"a": 2}),
    "nested dict of one": (lambda x: {"a": {"b": dense(2, "one")(x)}}, {"a/b": 2}),
}


def functional(name):
    """A model, and a function of x that returns a list of its heads in the order of STRUCTURES."""
    outputs, heads = STRUCTURES[name]
    inputs = keras.Input((5,))
    model = keras.Model(inputs, outputs(inputs))
    model.set_weights([w + 0.1 * np.random.default_rng(0).normal(size=w.shape) for w in model.get_weights()])
    return model, lambda x: keras.tree.flatten(model(x)), heads


def units_of(heads):
    """Names of the units: of one head the numbers alone, of one unit the head alone."""
    if len(heads) == 1:
        return [str(unit) for unit in range(*heads.values())]
    return [head if width == 1 else f"{head}/{unit}" for head, width in heads.items() for unit in range(width)]


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.sample(3)
def test_heads_of_every_structure(name):
    model, flat, heads = functional(name)
    assert [tensor.shape[-1] for tensor in flat(X)] == [*heads.values()]
    check(ks.measure(model, X, definition=STD, **PLAIN), units_of(heads), lambda x: ops.concatenate(flat(x), axis=1))
    explanation = ks.explain(model, X, **PLAIN)
    assert list(explanation.units) == units_of(heads)
    np.testing.assert_allclose(explanation.predictions, np.concatenate(flat(X), axis=1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.sample(3)
def test_one_head_of_every_structure(name):
    model, flat, heads = functional(name)
    for index, (head, width) in enumerate(heads.items()):
        importance = ks.measure(model, X, definition=ks.Definition(scale="std", output=head), **PLAIN)
        check(importance, units_of({head: width}), lambda x, index=index: flat(x)[index])
    with pytest.raises(ValueError, match="The model has no output 'nothing'") as raised:
        ks.measure(model, X, definition=ks.Definition(scale="std", output="nothing"), **PLAIN)
    assert repr([*heads][-1]) in str(raised.value)
    last = sum(heads.values()) - 1
    importance = ks.measure(model, X, definition=ks.Definition(scale="std", output=last), **PLAIN)
    np.testing.assert_allclose(
        importance.features, expected(lambda x: ops.concatenate(flat(x), axis=1))[0][last], rtol=1e-3
    )


@pytest.mark.parametrize("name", ["halves of one layer", "nested dict", "nested list"])
def test_heads_in_a_fit(name):
    model, flat, heads = functional(name)
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    model.compute_loss = lambda x, y, y_pred, *_, **__: sum(map(ops.sum, keras.tree.flatten(y_pred)))
    check(watched(model).importance, units_of(heads), lambda x: ops.concatenate(flat(x), axis=1))


# --- outputs that are no heads --------------------------------------------------------------------------------------


class Several(keras.Model):
    """Returns what a function makes of itself, of x and of the hidden tensor."""

    def __init__(self, function):
        super().__init__()
        self.one, self.two, self.function = layers.Dense(2, "tanh"), layers.Dense(1, "tanh"), function
        self.one.build((None, 5))
        self.two.build((None, 5))

    def call(self, x):
        return self.function(self, x)


def subclassed(function):
    model = Several(function)
    model(X)
    model.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    model.compute_loss = lambda x, y, y_pred, *_, **__: ops.sum(model.one(x)) + ops.sum(model.two(x))
    return model


def both(model):
    return lambda x: ops.concatenate([model.one(x), model.two(x)], axis=1)


@pytest.mark.filterwarnings("error:::")
@pytest.mark.parametrize("none", [None, {"d": None}, [None, None]], ids=["None", "in a dict", "in a list"])
def test_none_among_the_outputs_is_left_out(none):
    model = subclassed(lambda m, x: {"a": m.one(x), "b": none, "c": m.two(x)})
    check(ks.measure(model, X, definition=STD, **PLAIN), ["a/0", "a/1", "c"], both(model))
    check(watched(model).importance, ["a/0", "a/1", "c"], both(model))
    check(ks.measure(model, X, definition=ks.Definition(scale="std", output="c"), **PLAIN), ["0"], model.two)


def test_none_in_a_list_is_left_out():
    model = subclassed(lambda m, x: [m.one(x), None, m.two(x)])
    importance = ks.measure(model, X, definition=STD, **PLAIN)
    check(importance, list(importance.by_output.index), both(model))
    assert len(set(importance.by_output.index)) == 3


# Outputs that have no derivatives of their rows.
NO_HEADS = {
    "scalar": lambda m, x: ops.mean(ops.square(m.one.kernel)),
    "scalar of all rows": lambda m, x: ops.mean(m.one(x)),
    "weight": lambda m, x: ops.multiply(m.one.kernel, 1.0),
    "label": lambda m, x: ops.argmax(m.one(x), axis=1),
    "comparison": lambda m, x: ops.greater(m.one(x), 0.0),
}


@pytest.mark.parametrize("name", NO_HEADS)
@pytest.mark.sample(2)
def test_an_output_that_is_no_head_is_left_out_with_one_warning(name):
    extra = NO_HEADS[name]
    model = subclassed(lambda m, x: {"a": m.one(x), "odd_one": extra(m, x), "c": m.two(x)})
    units = ["a/0", "a/1", "c"]

    def measured():
        check(ks.measure(model, X, batch_size=10, definition=STD, **PLAIN), units, both(model))

    for use in (measured, lambda: watched(model)):
        told = user_warnings(use)
        assert len(told) == 1, told
        assert "'odd_one'" in told[0]
    assert list(watched(model).importance.by_output.index) == units
    for output in ("a", "c"):
        definition = ks.Definition(scale="std", output=output)
        assert user_warnings(lambda definition=definition: ks.measure(model, X, definition=definition, **PLAIN)) == []
    with pytest.raises(ValueError, match=r"odd_one(.|\n)*Expected(.|\n)*Received(.|\n)*To fix it"):
        ks.measure(model, X, definition=ks.Definition(scale="std", output="odd_one"), **PLAIN)


@pytest.mark.parametrize("name", NO_HEADS)
def test_an_output_that_is_no_head_is_refused_alone(name):
    model = subclassed(NO_HEADS[name])
    for use in (ks.measure, ks.explain):
        with pytest.raises(ValueError, match=r"(?s)\n  Expected: .*\n  Received: .*\n  To fix it: "):
            use(model, X, **PLAIN)
    with pytest.raises(ValueError, match=r"(?s)\n  Expected: .*\n  Received: .*\n  To fix it: "):
        watched(model)


def test_a_label_beside_the_scores_of_a_functional_model():
    inputs = keras.Input((5,))
    scores = dense(3, "scores")(inputs)
    model = keras.Model(inputs, {"scores": scores, "label": ops.argmax(scores, axis=1)})
    told = user_warnings(
        lambda: check(ks.measure(model, X, definition=STD, **PLAIN), ["0", "1", "2"], lambda x: model(x)["scores"])
    )
    assert len(told) == 1
    assert "'label'" in told[0]


# What is made of scores, and stands for a choice among them.
CHOICES = {
    "argmax": lambda scores: ops.argmax(scores, axis=1),
    "argmax as a number": lambda scores: ops.cast(ops.argmax(scores, axis=1), "float32")[:, None],
    "rounded": lambda scores: ops.cast(ops.cast(3 * scores, "int32"), "float32"),
    "compared": lambda scores: ops.cast(ops.greater(scores, 0.5), "float32"),
    "one-hot": lambda scores: ops.one_hot(ops.argmax(scores, axis=1), 3),
    "the best": lambda scores: ops.top_k(scores, 2)[1],
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_beside_the_scores_is_left_out_by_name(name):
    first = [*CHOICES].index(name) % 2 == 1
    inputs = keras.Input((5,))
    scores = dense(3, "scores")(inputs)
    choice = "a_label" if first else "the_label"
    model = keras.Model(inputs, {choice: CHOICES[name](scores), "scores": scores})
    told = user_warnings(
        lambda: check(ks.measure(model, X, definition=STD, **PLAIN), ["0", "1", "2"], lambda x: model(x)["scores"])
    )
    assert len(told) == 1
    assert f"'{choice}'" in told[0]
    assert "Definition(output=...)" in told[0]
    with pytest.raises(ValueError, match=rf"output '{choice}' cannot be differentiated(.|\n)*Definition\(output=...\)"):
        ks.measure(model, X, definition=ks.Definition(scale="std", output=choice), **PLAIN)


class Normal:
    """A distribution, as libraries of these have them."""

    def __init__(self, location, scale):
        self.location, self.scale = location, scale

    def mean(self):
        return self.location

    def sample(self, shape=()):
        return self.location + self.scale


def test_of_a_distribution_the_mean_is_measured():
    model = subclassed(lambda m, x: Normal(m.one(x), 1.0))
    check(ks.measure(model, X, definition=STD, **PLAIN), ["0", "1"], model.one)
    model = subclassed(lambda m, x: {"a": Normal(m.one(x), 1.0), "b": m.two(x)})
    check(ks.measure(model, X, definition=STD, **PLAIN), ["a/0", "a/1", "b"], both(model))


# --- weights without an axis ----------------------------------------------------------------------------------------


class Scaled(layers.Layer):
    """ReZero: x + alpha * f(x); or a temperature."""

    def __init__(self, inner=None):
        super().__init__()
        self.inner = inner

    def build(self, shape):
        self.alpha = self.add_weight(shape=(), initializer=keras.initializers.Constant(0.7))

    def call(self, x):
        return x / self.alpha if self.inner is None else x + self.alpha * self.inner(x)


def attending(**options):
    inputs = keras.Input((5,))
    steps = layers.Dense(3)(layers.Reshape((5, 1))(inputs))
    mixed = layers.Attention(**options)([steps, layers.Dense(3)(steps)])
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(mixed)))


SCALARS = {
    "attention with a scale": lambda: attending(use_scale=True),
    "attention by concatenation": lambda: attending(score_mode="concat"),
    "attention by concatenation with a scale": lambda: attending(score_mode="concat", use_scale=True),
    "ReZero": lambda: keras.Sequential([keras.Input((5,)), Scaled(layers.Dense(5, "tanh")), layers.Dense(2)]),
    "temperature": lambda: keras.Sequential([keras.Input((5,)), layers.Dense(3), Scaled(), layers.Softmax()]),
}


@pytest.mark.filterwarnings("error:::")
@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.sample(3)
def test_weights_without_an_axis(name):
    model = SCALARS[name]()
    assert any(weight.shape == () for weight in model.trainable_variables)
    units = [str(unit) for unit in range(model.output_shape[-1])]
    check(ks.measure(model, X, definition=STD, **PLAIN), units, model)
    check(watched(model).importance, units, model)


def test_a_network_in_float8():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(4, "tanh"), layers.Dense(2)])
    whole = ks.measure(model, X, definition=STD, **PLAIN)
    model.quantize("float8")
    assert any(variable.shape == () for variable in model.variables if variable.path.endswith("scale"))
    for importance in (ks.measure(model, X, definition=STD, **PLAIN), watched(model).importance):
        np.testing.assert_allclose(importance.features, whole.features, rtol=0.1)


# --- layers that mix rows -------------------------------------------------------------------------------------------


class Centred(layers.Layer):
    """What a row becomes depends on the rows beside it."""

    def call(self, x):
        return x - ops.mean(x, axis=0, keepdims=True)


def masked():
    return sequences.build(lambda: sequences.recurrent("LSTM", masked=True))


SEQUENCES = sequences.rows(40, padding="post")[0]

APART = {
    "batch normalization, noise, dropout": (lambda: zoo.build("noise, batch normalization, dropout"), X),
    "LSTM with a mask": (masked, SEQUENCES),
    "GRU with dropout": (
        lambda: keras.Sequential([keras.Input((4, 3)), layers.GRU(3, dropout=0.2, recurrent_dropout=0.2)]),
        SEQUENCES,
    ),
    "attention": (lambda: sequences.build(sequences.attention), SEQUENCES),
    "convolution": (lambda: sequences.build(sequences.conv), SEQUENCES),
    "steps mixed": (lambda: sequences.build(sequences.normalised_over_steps), SEQUENCES),
    "layer normalization": (
        lambda: keras.Sequential([keras.Input((5,)), layers.LayerNormalization(), layers.Dense(3, "tanh")]),
        X,
    ),
    "noise probes": (lambda: keras.Sequential([keras.Input((5,)), ks.NoiseProbes(), layers.Dense(1)]), X),
    "heads": (lambda: functional("nested dict")[0], X),
    "subclassed": (lambda: zoo.build("subclassed without training"), X),
}

# Layers that mix them.
MIXED = {
    "centred": Centred,
    "scaled": lambda: layers.Lambda(lambda x: x * ops.mean(x, axis=0)),
    "summed up": lambda: layers.Lambda(lambda x: ops.cumsum(x, axis=0)),
    "turned round": lambda: layers.Lambda(lambda x: ops.flip(x, axis=0)),
}


@pytest.mark.parametrize("name", APART)
@pytest.mark.sample(3)
def test_rows_that_are_kept_apart_are_not_warned_of(name):
    build, x = APART[name]
    model = build()
    assert user_warnings(lambda: ks.measure(model, x, batch_size=16, definition=STD, **PLAIN)) == []
    if name.startswith("batch"):
        assert user_warnings(lambda: watched(model, batch_size=16)) == []


@pytest.mark.parametrize("name", MIXED)
def test_rows_that_are_mixed_are_warned_of_once(name):
    model = keras.Sequential([keras.Input((5,)), layers.Dense(3, "tanh"), MIXED[name](), layers.Dense(2, "tanh")])
    for use in (
        lambda: ks.measure(model, X, batch_size=16, definition=STD, **PLAIN),
        lambda: ks.measure(model, X, batch_size=16, definition=STD, **PLAIN),  # traced already
        lambda: watched(model),
        lambda: watched(model),
    ):
        told = user_warnings(use)
        assert len(told) == 1, told
        assert re.search(r"(?i)rows of (a|each|the) batch", told[0])


# --- batches of explained rows --------------------------------------------------------------------------------------


class Recording(layers.Layer):
    """Notes how many rows it was traced for."""

    def __init__(self, sizes):
        super().__init__()
        self.note = sizes.append  # Keras would wrap the list

    def call(self, x):
        self.note(x.shape[0])
        return x


@pytest.mark.parametrize(
    ("use", "num_rows", "batch_size", "traced"),
    [
        (ks.explain, 5, 5, 5),
        (ks.explain, 5, 3, 3),
        (ks.explain, 7, 5, 5),
        (ks.explain, 8, 8, 8),
        (ks.explain, 5, None, 8),
        (ks.explain, 1, None, 1),
        (ks.measure, 5, 5, 5),
        (ks.measure, 7, 5, 5),
        (ks.measure, 7, None, 7),
    ],
)
def test_batches_are_as_large_as_asked_for(use, num_rows, batch_size, traced):
    sizes = []
    model = keras.Sequential([keras.Input((5,)), Recording(sizes), layers.Dense(1)])
    sizes.clear()
    found = use(model, X[:num_rows], batch_size=batch_size, definition=ks.Definition(scale=None), **PLAIN)
    assert set(sizes) == {traced}
    weights = np.abs(model.layers[-1].kernel.numpy()[:, 0])
    power = 2 if use is ks.explain else 1
    shares = np.broadcast_to(100 * weights**power / (weights**power).sum(), np.shape(found.features))
    np.testing.assert_allclose(found.features, shares, rtol=1e-4)


# --- probes before a table that is read as a sequence ---------------------------------------------------------------


@pytest.mark.parametrize("mode", ["many-to-one", "auto", "static"])
def test_the_noise_band_of_a_table_that_is_read_as_a_sequence(mode):
    model = keras.Sequential([keras.Input((5,)), ks.NoiseProbes(), layers.Dense(8, "tanh"), layers.Dense(1)])
    definition = ks.Definition(scale="std", mode=mode)
    importance = ks.measure(model, X, definition=definition, **PLAIN)
    watch = watched(model, definition=definition)
    assert len(importance.features) == (1 if mode == "many-to-one" else 5)
    for look in (importance, watch.importance):
        assert np.isfinite(look.noise_band).all()
        assert look.noise_band[0] < look.noise_level < look.noise_band[1]
        pd.testing.assert_frame_equal(look.table, importance.table, rtol=1e-5)
    assert np.isfinite(watch.noise_band).all(axis=None)


def test_heads_of_different_types():
    inputs = keras.Input((5,))
    model = keras.Model(inputs, [dense(2, "one")(inputs), layers.Dense(1, dtype="float64", name="two")(inputs)])
    importance = ks.measure(model, X, definition=STD, **PLAIN)
    parts = [
        ks.measure(model, X, definition=ks.Definition(scale="std", output=name), **PLAIN) for name in ("one", "two")
    ]
    together = np.sqrt(sum((part.rms_by_output**2).sum(axis=0) for part in parts))
    np.testing.assert_allclose(importance.features, 100 * together / together.sum(), rtol=1e-4)


class Nothing(keras.Model):
    def call(self, x):
        return {"a": None}


@pytest.mark.parametrize("output", [None, "a"])
def test_a_model_that_returns_nothing_is_refused_in_words(output):
    model = Nothing()
    model.built = True
    with pytest.raises(ValueError, match=r"returns nothing that can be differentiated(.|\n)*To fix it"):
        ks.measure(model, X, definition=ks.Definition(scale="std", output=output), **PLAIN)
