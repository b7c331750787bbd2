"""Models that a fit is given without weights: the callback begins when they have them, and changes nothing."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_sensitivity as ks

X = np.random.default_rng(0).normal(size=(48, 4)).astype("float32")
Y = X[:, :1] * X[:, 1:2]
PLAIN = {"jit_compile": False}


class Subclassed(keras.Model):
    """Layers that are built when they are called; of a dict, if it is given one."""

    def __init__(self):
        super().__init__()
        self.hidden, self.dropout, self.out = layers.Dense(3, "tanh"), layers.Dropout(0.3), layers.Dense(1)

    def call(self, x, training=False):
        x = ops.concatenate([x["a"], x["b"]], axis=1) if isinstance(x, dict) else x
        return self.out(self.dropout(self.hidden(x), training=training))


class MakesLayers(keras.Model):
    """Layers that are made when it is built, and one that is never used."""

    def __init__(self):
        super().__init__()
        self.spare = layers.Dense(7)

    def build(self, shape):
        self.hidden, self.out = layers.Dense(3), layers.Dense(1)
        self.hidden.build(shape)
        self.out.build((None, 3))
        self.built = True

    def call(self, x):
        return self.out(self.hidden(x))


class Nested(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner, self.end = Subclassed(), keras.Sequential([layers.Dense(3), layers.Dense(1)])

    def call(self, x):
        return self.end(self.inner(x))


DICT = {"a": X[:, :1], "b": X[:, 1:]}
MODELS = {
    "Sequential": (lambda: keras.Sequential([layers.Dense(8, "relu"), layers.Dropout(0.2), layers.Dense(1)]), X),
    "statistics": (lambda: keras.Sequential([layers.BatchNormalization(), layers.Dense(1)]), X),
    "subclassed": (Subclassed, X),
    "of a dict": (Subclassed, DICT),
    "layers made in build": (MakesLayers, X),
    "nested": (Nested, X),
}


def trained(build, x, epochs=2, **options):
    """What a fit leaves: losses, weights and what the optimizer keeps; and the callback."""
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(3)
    model = build()
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=False)
    watch = ks.SensitivityCallback(x, **PLAIN, **options) if options.pop("watched", True) else None
    history = model.fit(x, Y, epochs=epochs, batch_size=24, callbacks=[watch] if watch else [], verbose=0)
    kept = [*model.get_weights(), *(variable.numpy() for variable in model.optimizer.variables)]
    return [np.array(history.history["loss"]), *kept], watch, model


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.sample(3)
def test_a_model_without_weights_is_trained_as_if_nobody_looked(name):
    build, x = MODELS[name]
    alone, _, model = trained(build, x, watched=False)
    looked_at, watch, model = trained(build, x)
    for one, other in zip(alone, looked_at, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [*watch.trajectory.index] == [0, 1]
    importance = ks.measure(model, x, **PLAIN)
    np.testing.assert_allclose(watch.importance.features, importance.features, rtol=1e-4)


def test_what_is_wrong_is_refused_once_the_model_has_weights():
    steps = []
    counter = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: steps.append(batch))
    model = keras.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse")
    watch = ks.SensitivityCallback(X, feature_names=["a"], **PLAIN)
    with pytest.raises(ValueError, match="`feature_names` does not match"):
        model.fit(X, Y, batch_size=8, callbacks=[counter, watch], verbose=0)
    assert steps == [0, 1]


def test_a_second_fit_begins_before_its_first_step():
    model = MODELS["Sequential"][0]()
    model.compile("sgd", "mse")
    watch = ks.SensitivityCallback(X, **PLAIN)
    model.fit(X, Y, epochs=2, callbacks=[watch], verbose=0)
    model.fit(X, Y, epochs=3, initial_epoch=2, callbacks=[watch], verbose=0)
    assert [*watch.trajectory.index] == [0, 1, 2]


# --- models without a call, and objects that hold a model -----------------------------------------------------------


class Autoencoder(keras.Model):
    """As many are written: a step of its own, and no `call`."""

    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
        self.decoder = keras.Sequential([keras.Input((2,)), layers.Dense(4)])

    def train_step(self, data):
        return {"loss": ops.mean((self.decoder(self.encoder(data)) - data) ** 2)}


def test_a_model_without_a_call_says_what_to_measure_instead():
    model = Autoencoder()
    model.compile("sgd")
    words = r"(?s)has no `call`.*'encoder', 'decoder'.*measure\(model.encoder, x\)"
    for use in (ks.measure, ks.explain):
        with pytest.raises(ValueError, match=words):
            use(model, X)
    with pytest.raises(ValueError, match=words):
        model.fit(X, callbacks=[ks.SensitivityCallback(X)], verbose=0)
    assert len(ks.measure(model.encoder, X, **PLAIN).features) == 4


class Holder:
    """As libraries of forecasts have it."""

    def __init__(self, **held):
        vars(self).update(held)


class Estimator(Holder):
    def get_params(self, deep=True):
        return vars(self)


def test_an_object_that_holds_a_model_stands_for_it():
    model, other = (keras.Sequential([keras.Input((4,)), layers.Dense(1)]) for _ in range(2))
    expected = ks.measure(model, X, **PLAIN).features
    for holder in (Holder(model=model), Holder(model_=model, model=other), Estimator(model_=model, model=other)):
        np.testing.assert_array_equal(ks.measure(holder, X, **PLAIN).features, expected)
        np.testing.assert_array_equal(ks.explain(holder, X, **PLAIN).predictions, model.predict(X, verbose=0))
    with pytest.raises(ValueError, match=r"(?s)The Estimator was not fitted.*`model_`"):
        ks.measure(Estimator(model=model), X)
    with pytest.raises(TypeError, match="`model` has the wrong type"):
        ks.measure(Holder(model="a path"), X)
