"""Models without their probes predict what the old ones do with every probe at its mean."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_sensitivity as ks

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


def sequence(layer):
    def build():
        return keras.Sequential([keras.Input((6, 3)), L.Masking(), ks.NoiseProbes(4), layer(), L.Dense(2)])

    return build


CASES = {
    "Dense": plain,
    "BatchNormalization": normalised,
    "several inputs": several_inputs,
    "shared": shared,
    "into a nested model": noise_into_a_nested_model,
    "out of a nested model": noise_out_of_a_nested_model,
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


def rows(model, rng):
    x = [
        rng.normal(size=(20, *tensor.shape[1:])).astype("float32")
        if tensor.dtype == "float32"
        else rng.integers(0, 5, size=(20, *tensor.shape[1:]))
        for tensor in model.inputs
    ]
    if x[0].ndim == 3:
        x[0][:10, 4:] = 0  # masked
    return {tensor.name: value for tensor, value in zip(model.inputs, x, strict=True)} if len(x) > 1 else x[0]


@pytest.mark.parametrize("build", CASES.values(), ids=CASES)
def test_predicts_as_with_every_probe_at_its_mean(build, rng, monkeypatch):
    model = with_random_weights(build(), rng)
    x, before = rows(model, rng), model.get_weights()
    rebuilt = ks.remove_probes(model)
    assert type(rebuilt) is type(model)
    assert not any(isinstance(layer, ks.NoiseProbes) for layer in rebuilt._flatten_layers())
    assert rebuilt.count_params() < model.count_params()
    assert [(t.name, t.shape, t.dtype) for t in rebuilt.inputs] == [(t.name, t.shape, t.dtype) for t in model.inputs]
    found = keras.tree.flatten(rebuilt.predict(x, verbose=0))

    with_noise = keras.tree.flatten(model(x))
    monkeypatch.setattr(
        ks.NoiseProbes, "noise", lambda self, inputs: tf.zeros((*inputs.shape[:-1], self.num_probes), inputs.dtype)
    )
    for one, other, noisy in zip(found, keras.tree.flatten(model(x)), with_noise, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
        assert not np.allclose(one, noisy, rtol=1e-2)  # the noise did matter
    for old, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)


def test_predictions_are_equal_where_the_noise_has_no_weight(rng):
    model = with_random_weights(plain(), rng)
    kernel = model.layers[2].kernel
    kernel.assign(np.asarray(kernel) * (np.arange(7) < 3)[:, None])
    x = rows(model, rng)
    np.testing.assert_allclose(ks.remove_probes(model).predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5)


@pytest.mark.parametrize("build", [plain, sequence(lambda: L.GRU(4, return_sequences=True))], ids=["table", "steps"])
def test_the_importances_of_the_features_stay(build, rng):
    """Where the noise has no weight, it makes no difference to the features that probes are measured beside them."""
    model = with_random_weights(build(), rng)
    first = next(weight for weight in model.weights if weight.shape[0] == 7)
    first.assign(np.asarray(first) * (np.arange(7) < 3)[:, None])
    x, rebuilt = rows(model, rng), ks.remove_probes(model)
    for definition in (ks.Definition(), ks.PAPER):
        probed = ks.measure(model, x, definition=definition, batch_size=9)
        bare = ks.measure(rebuilt, x, definition=definition, batch_size=9)
        np.testing.assert_allclose(probed.table, bare.table, rtol=1e-4, atol=1e-5)
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


def test_what_was_compiled_can_be_trained_on(rng, tmp_path):
    model = plain()
    model.compile("adam", "mse", metrics=["mae"])
    rebuilt = ks.remove_probes(model)
    x = rng.normal(size=(32, 3))
    assert set(rebuilt.fit(x, x[:, :1], verbose=0).history) == {"loss", "mae"}
    rebuilt.save(tmp_path / "model.keras")
    assert keras.models.load_model(tmp_path / "model.keras").count_params() == 4 * 5 + 6
    assert not ks.remove_probes(plain()).compiled


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
