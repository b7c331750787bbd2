"""Models without their probes predict what the old ones do with every probe at its mean."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sensitivity as ks
from keras_sensitivity.removal import removal

L = keras.layers


def plain():
    return keras.Sequential([keras.Input((3,)), ks.NoiseProbes(4), L.Dropout(0.1), L.Dense(5, "tanh"), L.Dense(1)])


def normalised():
    return keras.Sequential([keras.Input((3,)), ks.NoiseProbes(4), L.BatchNormalization(), L.Dense(5), L.Dense(1)])


def several_inputs():
    """The input of the probes is also read without them, their output is joined to others, twice."""
    a, b, c = keras.Input((3,), name="a"), keras.Input((2,), name="b"), keras.Input((1,), dtype="int32", name="c")
    noisy = ks.NoiseProbes(4)(L.Concatenate()([a, b]))
    hidden = L.Dense(6, "relu")(L.Concatenate()([L.Flatten()(L.Embedding(5, 2)(c)), noisy, a, noisy]))
    return keras.Model({"a": a, "b": b, "c": c}, [L.Dense(1)(hidden), L.Dense(2)(hidden + 1)])


def shared():
    """One layer, called on two noisy tensors."""
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    probes, layer = ks.NoiseProbes(4), L.Dense(4, "tanh")
    return keras.Model([a, b], L.Dense(1)(layer(probes(a)) - layer(probes(b))))


def noise_into_a_nested_model():
    inputs = keras.Input((3,))
    body = keras.Sequential([keras.Input((6,)), L.Dense(4, "relu"), L.Dense(2)])
    return keras.Model(inputs, L.Dense(1)(body(ks.NoiseProbes(3)(inputs)) + L.Dense(2)(inputs)))


def noise_out_of_a_nested_model():
    inner, outer = keras.Input((3,)), keras.Input((3,))
    return keras.Model(outer, L.Dense(1)(keras.Model(inner, ks.NoiseProbes(3)(inner))(outer)))


def noise_out_of_a_nested_sequential():
    inputs = keras.Input((3,))
    return keras.Model(inputs, L.Dense(1)(keras.Sequential([keras.Input((3,)), ks.NoiseProbes(3)])(inputs)))


def sequence(*layers):
    def build():
        made = [layer() for layer in layers]
        return keras.Sequential([keras.Input((4, 3)), L.Masking(), ks.NoiseProbes(4), *made, L.Dense(2)])

    return build


def masked_graph():
    inputs = keras.Input((4, 3))
    noisy = ks.NoiseProbes(4)(L.Masking()(inputs))
    return keras.Model(inputs, L.Dense(1)(L.GRU(4)(L.Dropout(0.1)(noisy))))


def masked_nested_model():
    inputs = keras.Input((4, 3))
    body = keras.Sequential([keras.Input((4, 7)), L.GRU(4)])
    return keras.Model(inputs, L.Dense(1)(body(ks.NoiseProbes(4)(L.Masking()(inputs)))))


def shared_dropout():
    """One layer without weights, called with noise, with other noise, and without any."""
    a, b = keras.Input((3,), name="a"), keras.Input((7,), name="b")
    dropout, noisy = L.Dropout(0.5), ks.NoiseProbes(4)(a)
    return keras.Model([a, b], L.Dense(1)(dropout(noisy)) + L.Dense(1)(dropout(b)) + L.Dense(1)(dropout(noisy)))


def shared_model():
    """One model, called twice on noise, and one that brings its own, called twice without."""
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    probes = ks.NoiseProbes(4)
    body = keras.Sequential([keras.Input((7,)), L.Dense(4, "tanh"), L.Dense(2)])
    inner = keras.Input((3,))
    noisy = keras.Model(inner, L.Dense(2)(ks.NoiseProbes(3)(inner)))
    return keras.Model([a, b], L.Dense(1)(body(probes(a)) - 2 * body(probes(b)) + noisy(a) * noisy(b)))


def a_layer_in_and_around_a_nested_model():
    a = keras.Input((3,))
    noisy, dense = ks.NoiseProbes(4)(a), L.Dense(4, "tanh")
    return keras.Model(a, L.Dense(1)(keras.Sequential([keras.Input((7,)), dense, L.Dense(4)])(noisy) + dense(noisy)))


def normalised_twice():
    """What the noise is on average passes through two of them, a Dropout and a Concatenate."""
    inputs = keras.Input((3,))
    x = L.Dropout(0.1)(L.BatchNormalization()(ks.NoiseProbes(4)(inputs)))
    return keras.Model(inputs, L.Dense(2)(L.BatchNormalization(scale=False)(L.Concatenate()([inputs, x]))))


def inner_layers():
    return keras.Sequential([L.Dense(4, "tanh"), L.Dropout(0.1), L.Dense(3)])


CASES = {
    "Dense": plain,
    "BatchNormalization": normalised,
    "several inputs": several_inputs,
    "shared": shared,
    "into a nested model": noise_into_a_nested_model,
    "out of a nested model": noise_out_of_a_nested_model,
    "out of a nested Sequential": noise_out_of_a_nested_sequential,
    "BatchNormalization, twice": normalised_twice,
    "mask": masked_graph,
    "mask of a nested model": masked_nested_model,
    "shared Dropout": shared_dropout,
    "shared model": shared_model,
    "shared with a nested model": a_layer_in_and_around_a_nested_model,
    "TimeDistributed(Dropout)": sequence(lambda: L.TimeDistributed(L.Dropout(0.1)), lambda: L.GRU(4)),
    "TimeDistributed(BatchNormalization)": sequence(
        lambda: L.TimeDistributed(L.BatchNormalization()), lambda: L.TimeDistributed(L.Dense(4))
    ),
    "TimeDistributed(Sequential)": sequence(lambda: L.TimeDistributed(inner_layers())),
    "LSTM": sequence(lambda: L.LSTM(4)),
    "GRU, all steps": sequence(lambda: L.GRU(4, return_sequences=True)),
    "SimpleRNN": sequence(lambda: L.SimpleRNN(4)),
    "Bidirectional": sequence(lambda: L.Bidirectional(L.GRU(4))),
    "Conv1D": sequence(lambda: L.Conv1D(4, 2)),
    "TimeDistributed": sequence(lambda: L.TimeDistributed(L.Dense(4))),
}


def with_random_weights(model, rng):
    weights = [rng.normal(size=weight.shape) for weight in model.get_weights()]
    model.set_weights([
        np.abs(weight) + 0.1 if "variance" in variable.path else weight
        for weight, variable in zip(weights, model.weights, strict=True)
    ])  # fmt: skip
    return model


WORDS = ["red", "green", "blue", "dark blue", "line\nbreak"]


def rows(model, rng):
    x = [
        rng.normal(size=(20, *tensor.shape[1:])).astype("float32")
        if tensor.dtype == "float32"
        else tf.constant(rng.choice(WORDS, size=(20, *tensor.shape[1:])))
        if tensor.dtype == "string"
        else rng.integers(0, 5, size=(20, *tensor.shape[1:]))
        for tensor in model.inputs
    ]
    if len(x[0].shape) == 3:
        x[0][:10, -2:] = 0  # masked
    if len(x) == 1:
        return x[0]
    return {tensor.name: tf.constant(value) for tensor, value in zip(model.inputs, x, strict=True)}


@pytest.fixture
def quiet(monkeypatch):
    """Sets all probes to 0, from the call on."""

    def zeros(self, inputs):
        return tf.zeros((*inputs.shape[:-1], self.num_probes), inputs.dtype)

    return lambda: monkeypatch.setattr(ks.NoiseProbes, "noise", zeros)


def state(model):
    """The weights, and the objects that the layers and operations hold, with the lengths of lists."""
    parts = [*model._flatten_layers(), *getattr(model, "operations", ())]
    held = [
        {
            name: (id(value), len(value) if isinstance(value, (list, dict)) else None)
            for name, value in vars(part).items()
        }
        for part in parts
    ]
    return [np.asarray(variable) for variable in model.variables], held


def assert_same_state(before, after):
    for old, now in zip(before[0], after[0], strict=True):
        np.testing.assert_array_equal(old, now)
    assert before[1] == after[1]


def assert_predicts_alike(model, rebuilt, x, quiet, *, compiled=False):
    """The new model predicts what the old one does with every probe at 0; and the noise did matter."""
    with_noise = keras.tree.flatten(model(x))
    quiet()
    model.run_eagerly = rebuilt.run_eagerly = not compiled  # which is quicker
    found, expected = (keras.tree.flatten(each.predict(x, verbose=0)) for each in (rebuilt, model))
    for one, other, noisy in zip(found, expected, with_noise, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        assert not np.allclose(one, noisy, rtol=1e-2)


@pytest.mark.parametrize("build", CASES.values(), ids=CASES)
@pytest.mark.sample(2)
def test_predicts_as_with_every_probe_at_its_mean(build, rng, quiet):
    model = with_random_weights(build(), rng)
    x, before = rows(model, rng), state(model)
    rebuilt = ks.remove_probes(model)
    assert_same_state(before, state(model))
    assert type(rebuilt) is type(model)
    assert not any(isinstance(layer, ks.NoiseProbes) for layer in rebuilt._flatten_layers())
    assert rebuilt.count_params() < model.count_params()
    assert [(t.name, t.shape, t.dtype) for t in rebuilt.inputs] == [(t.name, t.shape, t.dtype) for t in model.inputs]
    assert_predicts_alike(model, rebuilt, x, quiet)


# --- what layers know beside their weights ---------------------------------------------------------------------------


def beside(tensor, made):
    """A model of noisy numbers beside what a layer makes of another input."""
    number = keras.Input((3,), name="number")
    return keras.Model([number, tensor], L.Dense(1)(L.Concatenate()([made, ks.NoiseProbes(4)(number)])))


def normalization():
    layer = L.Normalization()
    layer.adapt(np.random.default_rng(0).normal([200, -50, 0], [1, 20, 0.1], size=(50, 3)))
    return keras.Sequential([keras.Input((3,)), layer, ks.NoiseProbes(4), L.Dense(1)])


def lookup(layer, dtype="string", adapt=WORDS):
    def build():
        tensor, made = keras.Input((1,), dtype=dtype, name="code"), layer()
        if adapt is not None:
            made.adapt(np.array(adapt)[:, None])
        found = made(tensor)
        return beside(tensor, L.Flatten()(found if found.dtype == "float32" else L.Embedding(9, 2)(found)))

    return build


def new_vocabulary():
    """A vocabulary that is not the one of the configuration."""
    layer = L.StringLookup(vocabulary=["red"], output_mode="one_hot")
    layer.set_vocabulary(["blue"])
    return layer


def feature_space():
    kinds = {"colour": "string_categorical", "size": "float_normalized", "age": "float_discretized"}
    space = keras.utils.FeatureSpace(kinds, output_mode="concat", crosses=[("colour", "age")], crossing_dim=4)
    values = {"colour": WORDS * 9, "size": np.linspace(-9.0, 99.0, 45), "age": np.linspace(-2.0, 2.0, 45)}
    space.adapt(tf.data.Dataset.from_tensor_slices(values))
    return keras.Model(space.get_inputs(), L.Dense(1)(ks.NoiseProbes(4)(space.get_encoded_features())))


class Centred(L.Layer):
    """Keeps what it learns in a file."""

    centre = 0.0

    def call(self, x):
        return x - self.centre

    def save_assets(self, path):
        pathlib.Path(path, "centre").write_text(str(self.centre))

    def load_assets(self, path):
        self.centre = float(pathlib.Path(path, "centre").read_text())


class Stretched(L.Layer):
    """Not registered; its configuration is the one that Keras makes."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="random_normal")

    def call(self, x):
        return x * self.scale * self.factor

    def compute_output_shape(self, shape):
        return shape


class Whole(keras.Model):
    """A subclassed model, which sees no noise."""

    def __init__(self, units):
        super().__init__()
        self.units = units
        self.hidden, self.out = L.Dense(units, "tanh"), L.Dense(2)

    def call(self, x):
        return self.out(self.hidden(x))

    def get_config(self):
        return {"units": self.units}


class Even(keras.regularizers.Regularizer):
    """Not registered."""

    def __call__(self, x):
        return keras.ops.var(x)

    def get_config(self):
        return {}


def bent(x):
    return keras.ops.sin(3 * x)


def custom_layers():
    centred = Centred()
    centred.centre = 7.0
    inputs = keras.Input((3,))
    x = Whole(4)(Stretched(5)(centred(inputs)))
    x = L.Lambda(lambda t, by: t + by, arguments={"by": 2.0})(L.Lambda(lambda t: keras.ops.sin(2 * t))(x))
    noisy = L.Dense(2, activation=lambda t: keras.ops.cos(2 * t))(ks.NoiseProbes(4)(inputs))
    noisy = L.Dense(2, bent, kernel_regularizer=Even())(noisy)
    return keras.Model(inputs, L.Dense(1)(x + noisy))


def custom_parts():
    steps = keras.Input((6, 3))
    x = L.TimeDistributed(L.Dense(4, bent))(ks.NoiseProbes(4)(steps))
    return keras.Model(steps, L.Dense(1)(L.TimeDistributed(Stretched(3))(x)))


def adapted_low_rank():
    model = plain()
    model.layers[2].enable_lora(2)
    model.layers[2].lora_kernel_b.assign(keras.random.normal((2, 5)))
    return model


KNOWING = {
    "Normalization": normalization,
    "StringLookup": lookup(lambda: L.StringLookup(output_mode="one_hot")),
    "StringLookup, to codes": lookup(L.StringLookup),
    "StringLookup, tf-idf": lookup(lambda: L.StringLookup(output_mode="tf_idf"), adapt=[*WORDS[:4], "red"]),
    "another vocabulary": lookup(new_vocabulary, adapt=None),
    "IntegerLookup": lookup(lambda: L.IntegerLookup(output_mode="one_hot"), "int32", [4, 2, 2]),
    "TextVectorization": lookup(lambda: L.TextVectorization(output_mode="multi_hot", split=None)),
    "TextVectorization, tf-idf": lookup(lambda: L.TextVectorization(output_mode="tf_idf")),
    "TextVectorization, to codes": lookup(lambda: L.TextVectorization(output_sequence_length=2)),
    "Discretization": lookup(lambda: L.Discretization(num_bins=4), "float32", [-0.5, 0, 0.5]),
    "Hashing": lookup(lambda: L.Hashing(5, salt=3, output_mode="one_hot"), adapt=None),
    "FeatureSpace": feature_space,
    "custom layers": custom_layers,
    "custom parts of layers": custom_parts,
    "LoRA": adapted_low_rank,
}


@pytest.mark.parametrize("build", KNOWING.values(), ids=KNOWING)
@pytest.mark.sample(3)
def test_layers_come_along_with_all_that_they_know(build, rng, quiet):
    model = build()
    x, before = rows(model, rng), state(model)
    rebuilt = ks.remove_probes(model)
    assert_same_state(before, state(model))
    assert_predicts_alike(model, rebuilt, x, quiet, compiled=build in (normalization, feature_space))


def test_random_generators_go_on_where_they_were(rng, quiet):
    quiet()
    model = keras.Sequential([
        keras.Input((3,)), ks.NoiseProbes(4), L.Dense(8), L.Dropout(0.5), L.GaussianNoise(1.0, seed=1)
    ])  # fmt: skip
    x = rows(model, rng)
    first = np.asarray(model(x, training=True))
    rebuilt = ks.remove_probes(model)
    found = rebuilt(x, training=True)
    assert not np.allclose(found, first)
    np.testing.assert_allclose(found, model(x, training=True), rtol=1e-4, atol=1e-5)


def test_states_come_along(rng, quiet):
    quiet()
    model = keras.Sequential([
        keras.Input(batch_shape=(20, 6, 3)), ks.NoiseProbes(4), L.GRU(4, stateful=True), L.Dense(1)
    ])  # fmt: skip
    x = rows(model, rng)
    first = np.asarray(model(x))
    rebuilt = ks.remove_probes(model)
    found = rebuilt(x)
    assert not np.allclose(found, first)
    np.testing.assert_allclose(found, model(x), rtol=1e-4, atol=1e-5)


def test_what_is_frozen_stays_frozen():
    model = noise_into_a_nested_model()
    body = next(layer for layer in model.layers if isinstance(layer, keras.Sequential))
    body.trainable = False
    body.layers[0].trainable = True
    rebuilt = ks.remove_probes(model)
    frozen = next(layer for layer in rebuilt.layers if isinstance(layer, keras.Sequential))
    assert [layer.trainable for layer in (rebuilt, frozen, *frozen.layers)] == [True, False, True, False]
    assert len(rebuilt.trainable_variables) == len(model.trainable_variables) == 6


def test_predictions_are_equal_where_the_noise_has_no_weight(rng):
    model = with_random_weights(plain(), rng)
    kernel = model.layers[2].kernel
    kernel.assign(np.asarray(kernel) * (np.arange(7) < 3)[:, None])
    x = rows(model, rng)
    np.testing.assert_allclose(ks.remove_probes(model).predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5)


@pytest.mark.parametrize("build", [plain, sequence(lambda: L.GRU(4, return_sequences=True))], ids=["table", "steps"])
@pytest.mark.sample(2)
def test_the_importances_of_the_features_stay(build, rng):
    """Where the noise has no weight, it makes no difference to the features that probes are measured beside them."""
    model = with_random_weights(build(), rng)
    first = next(weight for weight in model.weights if weight.shape[0] == 7)
    first.assign(np.asarray(first) * (np.arange(7) < 3)[:, None])
    x, rebuilt = rows(model, rng), ks.remove_probes(model)
    for definition in (ks.Definition(scale="std"), ks.PAPER):
        probed = ks.measure(model, x, definition=definition, batch_size=10)
        bare = ks.measure(rebuilt, x, definition=definition, batch_size=10)
        numbers = [table.select_dtypes("number") for table in (probed.table, bare.table)]
        np.testing.assert_allclose(*numbers, rtol=1e-4, atol=1e-5)
        assert probed.noise_level == 0
        assert bare.noise_level is None


def test_on_average_over_the_noise_a_linear_model_predicts_the_same(rng):
    model = with_random_weights(normalised(), rng)
    rebuilt = ks.remove_probes(model)
    row = rng.normal(size=(1, 3)).astype("float32")
    near = row + rng.uniform(-1e-5, 1e-5, size=(200_000, 3)).astype("float32")  # other bits, so other noise
    answers = model.predict(near, batch_size=50_000, verbose=0)
    standard_error = answers.std() / np.sqrt(len(answers))
    assert abs(answers.mean() - rebuilt.predict(row, verbose=0).item()) < 4 * standard_error
    assert answers.std() > 0.1


# --- compiled as it was ----------------------------------------------------------------------------------------------


class Bound(keras.losses.Loss):
    def __init__(self, bound):
        super().__init__()
        self.bound = bound

    def call(self, y_true, y_pred):
        return keras.ops.maximum(keras.ops.abs(y_true - y_pred), self.bound)


class Worst(keras.metrics.Metric):
    """A metric that counts, with an argument."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.worst = self.add_weight(name="worst", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.worst.assign(keras.ops.maximum(self.worst, self.factor * keras.ops.max(keras.ops.abs(y_true - y_pred))))

    def result(self):
        return self.worst

    def get_config(self):
        return super().get_config() | {"factor": self.factor}


class Forgetful(Worst):
    get_config = keras.metrics.Metric.get_config


class OfAName(Worst):
    """Without its argument, it cannot be made."""

    def __init__(self, factor, **kwargs):
        super().__init__(factor, **kwargs)

    get_config = keras.metrics.Metric.get_config


def distance(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


def two_heads():
    inputs = keras.Input((3,))
    hidden = L.Dense(4)(ks.NoiseProbes(4)(inputs))
    return keras.Model(inputs, {"a": L.Dense(1, name="a")(hidden), "b": L.Dense(1, name="b")(hidden)})


COMPILED = {
    "names": (plain, lambda: {"loss": "mse", "metrics": ["mae"], "weighted_metrics": ["mse"]}),
    "lambda": (plain, lambda: {"loss": lambda y, p: (y - p) ** 4, "metrics": [lambda y, p: p]}),
    "functions": (plain, lambda: {"loss": distance, "metrics": [distance]}),
    "objects": (plain, lambda: {"loss": Bound(2.0), "metrics": [Worst(3.0), keras.metrics.MeanAbsoluteError()]}),
    "a wrapped function": (plain, lambda: {"loss": "mse", "metrics": [keras.metrics.MeanMetricWrapper(distance)]}),
    "a loss for each head": (
        two_heads,
        lambda: {
            "loss": {"a": "mse", "b": distance},
            "loss_weights": {"a": 2.0, "b": 0.5},
            "metrics": {"b": [Worst(2.0, name="worst"), "mae"]},
        },
    ),
}


@pytest.mark.parametrize(("build", "arguments"), COMPILED.values(), ids=COMPILED)
def test_is_compiled_with_the_same_losses_and_metrics(build, arguments, rng, quiet):
    model = with_random_weights(build(), rng)
    model.compile("sgd", **arguments(), run_eagerly=True)
    x, y = rows(model, rng), rng.normal(size=(20, 1))
    y = {"a": y, "b": -y} if build is two_heads else y
    quiet()
    expected = model.evaluate(x, y, verbose=0, return_dict=True)
    before = state(model)
    rebuilt = ks.remove_probes(model)
    assert_same_state(before, state(model))
    assert rebuilt.run_eagerly
    assert not set(map(id, rebuilt.metrics)) & set(map(id, model.metrics))
    found = rebuilt.evaluate(x, y, verbose=0, return_dict=True)
    assert found == pytest.approx(expected, rel=1e-4)
    assert len(found) > 1
    assert rebuilt.fit(x, y, verbose=0).history.keys() == found.keys()


@keras.saving.register_keras_serializable("tests")
class Falling(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.25 / keras.ops.cast(step + 1, "float32")

    def get_config(self):
        return {}


class Slow(keras.optimizers.SGD):
    """Not registered."""


OPTIMIZERS = {
    "name": (lambda: "adam", 0.001),
    "object": (lambda: keras.optimizers.Adam(0.125, beta_1=0.5), 0.125),
    "schedule": (lambda: keras.optimizers.SGD(Falling(), momentum=0.5), 0.25),
    "custom": (lambda: Slow(0.125), 0.125),
}


@pytest.mark.parametrize(("optimizer", "rate"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_is_compiled_with_a_fresh_optimizer_of_the_same_configuration(optimizer, rate):
    model = plain()
    model.compile(optimizer(), "mse", run_eagerly=True)
    model.train_on_batch(np.ones((2, 3)), np.ones((2, 1)))
    rebuilt = ks.remove_probes(model)
    assert rebuilt.optimizer is not model.optimizer
    assert type(rebuilt.optimizer) is type(model.optimizer)
    assert (int(rebuilt.optimizer.iterations), int(model.optimizer.iterations)) == (0, 1)
    assert float(rebuilt.optimizer.learning_rate) == pytest.approx(rate)
    assert rebuilt.optimizer.get_config() == model.optimizer.get_config()
    assert len(rebuilt.optimizer.variables) == len(model.optimizer.variables) > 1


def test_is_compiled_with_the_learning_rate_that_was_set_last():
    model = plain()
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 0.125
    assert float(ks.remove_probes(model).optimizer.learning_rate) == 0.125


def test_is_compiled_with_the_same_settings():
    model = plain()
    for jit_compile, steps in ((True, 3), (False, 1)):
        model.compile("sgd", "mse", jit_compile=jit_compile, steps_per_execution=steps)
        rebuilt = ks.remove_probes(model)
        assert (rebuilt.jit_compile, rebuilt.steps_per_execution, rebuilt.run_eagerly) == (jit_compile, steps, False)


@pytest.mark.parametrize("scales", [True, False])
def test_the_loss_is_scaled_only_if_it_was(scales):
    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        model = plain()
        model.compile("sgd", "mse", auto_scale_loss=scales)
        optimizer = ks.remove_probes(model).optimizer
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) is scales
    assert type(optimizer) is type(model.optimizer)


class OwnSteps(keras.Model):
    def train_step(self, data):
        return {"loss": 1.0}


def own_steps():
    inputs = keras.Input((3,))
    return OwnSteps(inputs, L.Dense(1)(ks.NoiseProbes(4)(inputs)))


@pytest.mark.parametrize(
    ("build", "metrics", "reason"),
    [
        (plain, lambda: [Forgetful(3.0)], "does not hold the argument 'factor'"),
        (plain, lambda: [OfAName(3.0)], "TypeError"),
        (own_steps, lambda: None, "trains in a way of its own"),
    ],
    ids=["a metric that loses an argument", "a metric that cannot be made", "own steps"],
)
def test_says_so_where_it_cannot_be_compiled_alike(build, metrics, reason, rng, quiet):
    model = build()
    model.compile("sgd", "mse", metrics=metrics())
    with pytest.warns(UserWarning, match=reason) as caught:
        rebuilt = ks.remove_probes(model)
    assert "is not compiled" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert not rebuilt.compiled
    assert_predicts_alike(model, rebuilt, rows(model, rng), quiet)


def test_what_was_compiled_can_be_trained_on(rng, tmp_path):
    model = plain()
    model.compile("adam", "mse", metrics=["mae"])
    rebuilt = ks.remove_probes(model)
    x = rng.normal(size=(32, 3))
    assert set(rebuilt.fit(x, x[:, :1], verbose=0).history) == {"loss", "mae"}
    rebuilt.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").count_params() == 4 * 5 + 6
    assert not ks.remove_probes(plain()).compiled


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_model_without_probes_is_copied(rng):
    model = keras.Sequential([keras.Input((3,)), L.Dense(2)])
    rebuilt = ks.remove_probes(model)
    assert rebuilt.layers[0] is not model.layers[0]
    np.testing.assert_array_equal(rebuilt.get_weights()[0], model.get_weights()[0])


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.probes, self.out = ks.NoiseProbes(), L.Dense(1)

    def call(self, x):
        return self.out(self.probes(x))


def behind_noise(*layers, shape=(3,)):
    return lambda: keras.Sequential([keras.Input(shape), ks.NoiseProbes(4), *(layer() for layer in layers)])


def shared_with_a_clean_place(layer, noise_first=True):
    def build():
        a, b = keras.Input((3,), name="a"), keras.Input((7,), name="b")
        made, noisy = layer(), ks.NoiseProbes(4)(a)
        first, second = (noisy, b) if noise_first else (b, noisy)
        return keras.Model([a, b], L.Dense(1)(made(first) - made(second)))

    return build


def shared_with_noise_elsewhere():
    """As many columns of noise at both places, but others."""
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    noisy, layer = ks.NoiseProbes(4)(a), L.Dense(2, name="here")
    return keras.Model([a, b], L.Dense(1)(layer(L.Concatenate()([noisy, b])) - layer(L.Concatenate()([b, noisy]))))


def shared_model_with_a_clean_place():
    return keras.Sequential([keras.Input((7,)), L.Dense(2)], name="here")


class Unnoted(L.Layer):
    """Keras makes no configuration of an array."""

    def __init__(self, factor, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, x):
        return x * self.factor


class Incomplete(Stretched):
    def __init__(self, factor=1, **kwargs):
        super().__init__(factor, **kwargs)

    def get_config(self):
        return L.Layer.get_config(self)


class HandsOn(L.Layer):
    """Its configuration holds the layer itself."""

    def __init__(self, inner, **kwargs):
        super().__init__(**kwargs)
        self.inner = inner

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        return super().get_config() | {"inner": self.inner}


class Averaging(L.Dense):
    def call(self, x):
        return super().call(x - keras.ops.mean(x, axis=-1, keepdims=True))


class Hiding(L.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.probes = ks.NoiseProbes(4)

    def call(self, x):
        return self.probes(x)


def into_the_state():
    steps, start = keras.Input((6, 3), name="steps"), keras.Input((3,), name="start")
    return keras.Model(
        [steps, start], L.GRU(7, name="here")(ks.NoiseProbes(4)(steps), initial_state=ks.NoiseProbes(4)(start))
    )


def statistics_of_the_batch():
    inputs = keras.Input((3,))
    return keras.Model(inputs, L.Dense(1)(L.BatchNormalization(name="here")(ks.NoiseProbes(4)(inputs), training=True)))


def over_the_steps():
    """As many steps as columns."""
    return L.BatchNormalization(axis=1, name="here")


def quantized():
    model = keras.Sequential([keras.Input((3,)), ks.NoiseProbes(5), L.Dense(2, name="here")])
    model.layers[-1].quantize("int8")
    return model


def named(kind, *arguments, **options):
    return lambda: kind(*arguments, name="here", **options)


FREED = "'here' reads noise probes, and cannot be freed"
SHARED = "'here' is called at several places, which have not the same noise"
HIDDEN = "inside of the layer 'here'"
ANEW = "'here' cannot be made anew from its configuration"

REFUSED = {
    "shared, noise first": (shared_with_a_clean_place(named(L.Dense, 2)), SHARED),
    "shared, noise last": (shared_with_a_clean_place(named(L.Dense, 2), noise_first=False), SHARED),
    "shared, other columns": (shared_with_noise_elsewhere, SHARED),
    "shared BatchNormalization": (shared_with_a_clean_place(named(L.BatchNormalization)), SHARED),
    "shared model": (shared_with_a_clean_place(shared_model_with_a_clean_place), SHARED),
    "mixes columns of each step": (
        behind_noise(lambda: L.TimeDistributed(L.LayerNormalization(name="here")), shape=(6, 3)),
        FREED,
    ),
    "a subclass that mixes columns": (behind_noise(named(Averaging, 2)), FREED),
    "groups of columns": (behind_noise(named(L.Conv1D, 7, 2, groups=7), shape=(6, 3)), FREED),
    "channels first": (behind_noise(named(L.Conv1D, 7, 2, data_format="channels_first"), shape=(6, 3)), FREED),
    "statistics of steps": (behind_noise(over_the_steps, lambda: L.Dense(2), shape=(7, 3)), FREED),
    "statistics of the batch": (statistics_of_the_batch, FREED),
    "noise in the initial state": (into_the_state, FREED),
    "dropout of given width": (behind_noise(named(L.Dropout, 0.1, noise_shape=(1, 7)), lambda: L.Dense(1)), FREED),
    "quantized": (quantized, FREED),
    "probes in a layer": (behind_noise(lambda: L.Dense(2), named(Hiding), lambda: L.Dense(1)), HIDDEN),
    "probes at each step": (
        lambda: keras.Sequential([
            keras.Input((6, 3)), L.TimeDistributed(ks.NoiseProbes(4), name="here"), L.Dense(1)
        ]),
        HIDDEN,
    ),
    "no configuration": (behind_noise(lambda: L.Dense(2), named(Unnoted, np.ones(2))), ANEW),
    "an argument lost": (behind_noise(lambda: L.Dense(2), named(Incomplete, 3)), ANEW),
    "the layer itself": (behind_noise(lambda: L.Dense(2), named(HandsOn, L.Dense(1))), ANEW),
}  # fmt: skip


@pytest.mark.parametrize(("build", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_refused_before_anything_is_built(build, words, monkeypatch):
    model = build()
    before = state(model)
    monkeypatch.setattr(removal, "Builder", lambda plan: pytest.fail("a model is built"))
    with pytest.raises(ValueError, match=words) as caught:
        ks.remove_probes(model)
    for part in ("Expected: ", "Received: ", "To fix it: "):
        assert part in str(caught.value)
    assert_same_state(before, state(model))


class Unsaved(L.Layer):
    """Cannot load what it saves."""

    def call(self, x):
        return x

    def load_own_variables(self, store):
        raise KeyError("nothing")


class Rigid(L.Layer):
    """Can be called once in a program."""

    calls = 0

    def call(self, x):
        type(self).calls += 1
        if self.calls > 1:
            raise KeyError("once")
        return x


def test_says_so_where_layers_cannot_be_called_again():
    Rigid.calls = 0
    with pytest.raises(ValueError, match=r"model without noise probes cannot be built.*\n.*\n.*once"):
        ks.remove_probes(behind_noise(lambda: L.Dense(2), named(Rigid))())


def test_refuses_to_leave_behind_what_a_layer_knows():
    with pytest.raises(ValueError, match=r"'here' has learned cannot be brought.*\n.*\n.*Unsaved, with KeyError"):
        ks.remove_probes(behind_noise(lambda: L.Dense(2), named(Unsaved))())


def test_refuses_what_cannot_be_freed_of_noise(rng):
    subclassed = Subclassed()
    subclassed(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="subclassed model cannot be taken apart"):
        ks.remove_probes(subclassed)
    inputs = keras.Input((3,))
    for layer in (L.LayerNormalization(), L.Activation("relu"), L.Reshape((11, 1)), L.Concatenate(axis=0)):
        noisy = ks.NoiseProbes()(inputs)
        mixed = layer([noisy, noisy]) if isinstance(layer, L.Concatenate) else layer(noisy)
        with pytest.raises(ValueError, match="cannot be freed"):
            ks.remove_probes(keras.Model(inputs, L.Dense(1)(mixed)))
    with pytest.raises(ValueError, match="returns the columns"):
        ks.remove_probes(keras.Model(inputs, ks.NoiseProbes()(inputs)))
    no_bias = keras.Sequential(
        [keras.Input((3,)), ks.NoiseProbes(), L.BatchNormalization(), L.Dense(1, use_bias=False)]
    )
    with pytest.raises(ValueError, match="cannot be freed"):
        ks.remove_probes(with_random_weights(no_bias, rng))
    with pytest.raises(TypeError, match="Keras"):
        ks.remove_probes("model")
