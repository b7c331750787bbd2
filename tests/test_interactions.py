"""Which features act together: closed forms, screening, second derivatives, and what is refused."""

import itertools

import keras
import numpy as np
import pandas as pd
import pytest
from functions import linear, network
from keras import layers, ops

import keras_sensitivity as ks

N = 20_000


def part_of_variance(function, quadrature, num_columns):
    """The pair indices of a function of independent columns, brute force on a grid, percent; no library code."""
    nodes, weights = quadrature
    grid = np.array(list(itertools.product(nodes, repeat=num_columns)))
    mass = np.array([np.prod(each) for each in itertools.product(weights, repeat=num_columns)]).reshape(
        [len(nodes)] * num_columns
    )
    y = function(*grid.T).reshape(mass.shape)
    variance = (mass * y**2).sum() - (mass * y).sum() ** 2
    found = np.zeros((num_columns, num_columns))
    w = weights
    for j, k in itertools.combinations(range(num_columns), 2):
        # Without what depends on x_j alone given the others, and then on x_k: what the two do together.
        both = y - np.expand_dims(np.tensordot(y, w, (j, 0)), j)
        both -= np.expand_dims(np.tensordot(both, w, (k, 0)), k)
        found[j, k] = found[k, j] = 100 * (mass * both**2).sum() / variance
    return found


def uniform(low, high, count=16):
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return low + (nodes + 1) * (high - low) / 2, weights / 2


CASES = {
    "product": (lambda a, b, c: a * b + c, uniform(-1, 1), (-1, 1)),
    "Ishigami": (
        lambda a, b, c: np.sin(a) + 7 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a),
        uniform(-np.pi, np.pi),
        (-np.pi, np.pi),
    ),
    "Friedman": (lambda a, b, c: 10 * np.sin(np.pi * a * b) + 20 * (c - 0.5) ** 2, uniform(0, 1), (0, 1)),
    "exponential": (lambda a, b, c: np.exp(a * b) + c / 10, uniform(-1, 1), (-1, 1)),
    "all three": (lambda a, b, c: a * b * c + a * b, uniform(-1, 2), (-1, 2)),
}


@pytest.mark.parametrize("name", CASES)
def test_closed_forms(name, rng):
    function, quadrature, (low, high) = CASES[name]
    truth = part_of_variance(function, quadrature, 3)
    x = rng.uniform(low, high, (N, 3))
    found = ks.interactions(lambda x: function(*x.T), x, num_samples=None)
    apart = np.abs(found.table.to_numpy() - truth)[np.triu_indices(3, 1)]
    errors = found.standard_errors.to_numpy()[np.triu_indices(3, 1)]
    assert (apart <= 4 * errors + 1e-9).all()
    assert errors.max() < 2
    assert (found.table.to_numpy() == found.table.to_numpy().T).all()
    if name == "Ishigami":
        assert truth[0, 2] == pytest.approx(24.4, abs=0.05)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_a_network_of_a_sum_has_no_pairs(activation, rng):
    inputs = keras.Input((4,))
    columns = [layers.Dense(1)(layers.Dense(8, activation)(inputs[:, index : index + 1])) for index in range(4)]
    model = keras.Model(inputs, layers.Add()(columns))
    found = ks.interactions(model, rng.normal(size=(2000, 4)))
    assert found.table.to_numpy()[np.triu_indices(4, 1)].max() < 1e-6
    assert np.diag(found.table).min() > 1


def test_a_network_is_asked_like_a_function(rng):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(16, "relu"), layers.Dense(2)])
    x = pd.DataFrame(rng.normal(size=(1500, 3)).astype("float32"), columns=["a", "b", "c"])
    one = ks.interactions(model, x, batch_size=100)
    other = ks.interactions(lambda rows: model(rows.to_numpy()).numpy(), x)
    pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-3)
    pd.testing.assert_frame_equal(one.standard_errors, other.standard_errors, rtol=1e-3)
    assert one.num_samples == 1024


def test_the_diagonal_is_the_variance_of_an_importance(rng):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(16, "tanh"), layers.Dense(2)])
    x = rng.normal(size=(1500, 3))
    found = ks.interactions(model, x, num_samples=None)
    variance = ks.measure(model, x, definition=ks.Definition(change="swap")).variance
    np.testing.assert_allclose(np.diag(found.table), variance["variance"], rtol=1e-4)
    np.testing.assert_allclose(np.diag(found.standard_errors), variance["standard_error"], rtol=1e-3)


def test_the_standard_error_is_how_far_samples_scatter(rng):
    looks = [
        ks.interactions(lambda x: x[:, 0] * x[:, 1] + x[:, 2], rng.normal(size=(1024, 3)), num_samples=None)
        for _ in range(60)
    ]
    for j, k in ((0, 1), (0, 0), (2, 2)):
        scatter = np.std([look.table.iloc[j, k] for look in looks], ddof=1)
        stated = np.mean([look.standard_errors.iloc[j, k] for look in looks])
        assert 0.7 < stated / scatter < 1.4, (j, k)


def test_rows_that_weigh_nothing_are_as_if_they_were_not_there(rng):
    x = rng.normal(size=(800, 3))
    weights = (rng.random(800) < 0.6).astype(float)

    def function(x):
        return x[:, 0] * x[:, 1] + x[:, 2]

    one = ks.interactions(function, x, sample_weight=weights, num_samples=None)
    other = ks.interactions(function, x[weights > 0], num_samples=None)
    pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-9)
    pd.testing.assert_frame_equal(one.standard_errors, other.standard_errors, rtol=1e-6)


def test_lags_and_groups_are_units_of_interaction(rng):
    x = rng.normal(size=(4000, 5, 2))
    found = ks.interactions(lambda x: x[:, -2, 0] * x[:, -4, 0] + x[:, -1, 1], x, num_samples=None)
    assert found.lags.loc[1, 3] == pytest.approx(50, abs=4)
    rest = found.lags.to_numpy().copy()
    rest[[1, 3], [3, 1]] = 0
    np.fill_diagonal(rest, 0)
    assert rest.max() < 1e-9
    assert found.lag_standard_errors.loc[1, 3] < 3
    assert found.table.loc["x0", "x1"] < 1e-9
    columns = rng.normal(size=(4000, 4))
    grouped = ks.interactions(
        lambda x: (x[:, 0] + x[:, 1]) * x[:, 2] + x[:, 3],
        columns,
        groups={"both": ["x0", "x1"]},
        num_samples=None,
    )
    assert list(grouped.table) == ["both", "x2", "x3"]
    assert grouped.table.loc["both", "x2"] == pytest.approx(100 * 2 / 3, abs=5)
    assert grouped.lags is None


def _is_all(found):
    """Whether the only pair moves all."""
    value, error = found.table.iloc[0, 1], found.standard_errors.iloc[0, 1]
    return abs(value - 100) < 4 * error < 25


def test_steps_and_codes_interact(rng):
    """An exclusive or has no derivative, and nothing but the pair."""
    bits = rng.integers(0, 2, (4000, 2)).astype(float)
    xor = network(lambda a, b: ops.cast(ops.logical_xor(a > 0.5, b > 0.5), "float32") + 0 * a * b, 2)
    assert _is_all(ks.interactions(xor, bits, num_samples=None))
    inputs = {"shop": keras.Input((1,), dtype="int32", name="shop"), "price": keras.Input((1,), name="price")}
    looked_up = layers.Flatten()(layers.Embedding(3, 1, embeddings_initializer=lambda *_, **__: [[-1.0], [0.0], [1.0]])(
        inputs["shop"]
    ))  # fmt: skip
    model = keras.Model(inputs, layers.Multiply()([looked_up, inputs["price"]]))
    rows = {"shop": rng.integers(0, 3, (3000, 1)), "price": rng.normal(size=(3000, 1))}
    assert _is_all(ks.interactions(model, rows, num_samples=None))


def test_several_units_one_of_them_and_logits(rng):
    model = keras.Sequential([keras.Input((2,)), layers.Dense(3, "softmax")])
    x = rng.normal(size=(1000, 2))
    every = ks.interactions(model, x)
    assert every.units == ("0", "1", "2")
    assert every.table.iloc[0, 1] > 0.1
    assert ks.interactions(model, x, definition=ks.Definition(output=1)).units == ("1",)
    assert ks.interactions(model, x, definition=ks.Definition(logits=True)).table.iloc[0, 1] < 1e-6


@pytest.mark.parametrize("kind", ["model", "function"])
def test_many_features_are_screened(kind, rng, capsys):
    def pairs(x, relu):
        return x[:, 0:1] * x[:, 1:2] + relu(x[:, 20:21] + x[:, 50:51]) + x.sum(axis=1, keepdims=True) / 4

    model = keras.Sequential([keras.Input((60,)), layers.Dense(1)])

    class Pairs(layers.Layer):
        def call(self, x):
            total = ops.sum(x, axis=1, keepdims=True) / 4
            return x[:, 0:1] * x[:, 1:2] + ops.relu(x[:, 20:21] + x[:, 50:51]) + total

    model = keras.Sequential([keras.Input((60,)), Pairs()])
    asked = model if kind == "model" else lambda x: pairs(x, lambda y: np.maximum(y, 0))
    found = ks.interactions(asked, rng.normal(size=(600, 60)), verbose=1)
    assert "of 1,770 pairs 1,225 are measured" in capsys.readouterr().out
    leading = {frozenset(pair) for pair in found.top(2)[["first", "second"]].to_numpy()}
    assert leading == {frozenset({"x0", "x1"}), frozenset({"x20", "x50"})}
    assert found.top(3)["interaction"][2] < 0.2
    assert len(found.screened) == 1770 - 1225
    assert found.screened["bound"].max() < 0.1
    assert found.table.isna().sum().sum() == 2 * len(found.screened)
    assert "545 pairs screened out" in repr(found)


# --- second derivatives -----------------------------------------------------------------------------------------------


def test_second_derivatives_are_those_of_the_function(rng):
    model = network(lambda a, b, c: a * b + c**3 + ops.sin(a), 3)
    x = rng.normal(size=(400, 3)) * [1, 2, 0.5]
    found = ks.interactions(model, x, order="derivative", num_samples=None)
    s = x.std(axis=0)
    expected = np.zeros((3, 3))
    expected[0, 1] = expected[1, 0] = s[0] * s[1]
    expected[0, 0] = s[0] ** 2 * np.sqrt(np.mean(np.sin(x[:, 0]) ** 2))
    expected[2, 2] = s[2] ** 2 * np.sqrt(np.mean((6 * x[:, 2]) ** 2))
    np.testing.assert_allclose(found.table, expected, rtol=1e-4, atol=1e-5)
    squares = (6 * x[:, 2]) ** 2
    error = s[2] ** 2 * squares.std() / np.sqrt(400) / (2 * np.sqrt(squares.mean()))
    assert found.standard_errors.iloc[2, 2] == pytest.approx(error, rel=1e-3)
    raw = ks.interactions(model, x, order="derivative", definition=ks.PAPER, num_samples=None)
    assert raw.table.iloc[0, 1] == pytest.approx(1, rel=1e-5)
    grouped = ks.interactions(model, x, order="derivative", groups={"ab": ["x0", "x1"]}, num_samples=None)
    whole = np.sqrt(2 * expected[0, 1] ** 2 + expected[0, 0] ** 2)
    assert grouped.table.loc["ab", "ab"] == pytest.approx(whole, rel=1e-4)


def test_second_derivatives_by_brute_force(rng):
    """Several units, and lags."""
    inputs = keras.Input((3, 2), dtype="float64")
    model = keras.Model(inputs, layers.Dense(2, dtype="float64")(layers.LSTM(4, dtype="float64")(inputs)))
    x = rng.normal(size=(20, 3, 2))
    step = 1e-4
    moves = step * np.eye(6).reshape(6, 3, 2)

    def f(x):
        return model(x).numpy()

    hessian = np.array([[f(x + a + b) - f(x + a - b) - f(x - a + b) + f(x - a - b) for b in moves] for a in moves]) / (
        4 * step**2
    )  # (6, 6, n, units)
    squares = (hessian**2).sum(axis=3).mean(axis=2).reshape(3, 2, 3, 2)
    found = ks.interactions(model, x, order="derivative", definition=ks.PAPER, num_samples=None, batch_size=7)
    np.testing.assert_allclose(found.table, np.sqrt(squares.sum(axis=(0, 2))), rtol=1e-3)
    np.testing.assert_allclose(found.lags, np.sqrt(squares.sum(axis=(1, 3)))[::-1, ::-1], rtol=1e-3)


STRAIGHT = {
    "relu": lambda: [layers.Activation("relu")],
    "relu inside": lambda: [layers.Dense(4, "relu"), layers.Dense(4, "tanh")],
    "leaky relu": lambda: [layers.Dense(4), layers.LeakyReLU()],
    "prelu": lambda: [layers.Dense(4), layers.PReLU()],
    "relu6": lambda: [layers.Dense(4, "relu6")],
    "selu": lambda: [layers.Dense(4, "selu")],
    "hard sigmoid": lambda: [layers.Dense(4, "hard_sigmoid")],
    "pooling": lambda: [layers.Reshape((3, 1)), layers.MaxPooling1D(2), layers.Flatten()],
    "the largest": lambda: [layers.Reshape((3, 1)), layers.GlobalMaxPooling1D()],
    "a recurrent relu": lambda: [layers.Reshape((3, 1)), layers.SimpleRNN(3, activation="relu")],
}


@pytest.mark.parametrize("name", STRAIGHT)
def test_straight_pieces_have_no_second_derivatives(name, rng):
    model = keras.Sequential([keras.Input((3,)), *STRAIGHT[name](), layers.Dense(1)])
    with pytest.raises(ValueError, match="straight pieces") as caught:
        ks.interactions(model, rng.normal(size=(20, 3)), order="derivative")
    assert "order='swap'" in str(caught.value)


SMOOTH = {
    "normalised": lambda: [layers.Normalization(mean=[0.0] * 3, variance=[1.0] * 3), layers.Dense(4, "gelu")],
    "softplus": lambda: [layers.Dense(4, "softplus"), layers.BatchNormalization(), layers.Dense(2, "softmax")],
    "layer normalisation": lambda: [layers.Dense(4, "silu"), layers.LayerNormalization(), layers.Dropout(0.5)],
    "elu": lambda: [layers.Dense(4, "elu")],
    "attention": lambda: [layers.Reshape((3, 1)), layers.Dense(4), layers.MultiHeadAttention(1, 2)],
    "recurrent": lambda: [layers.Reshape((3, 1)), layers.GRU(3)],
}


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_networks_have_second_derivatives(name, rng):
    inputs = keras.Input((3,))
    y = inputs
    for layer in SMOOTH[name]():
        y = layer(y, y) if isinstance(layer, layers.MultiHeadAttention) else layer(y)
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(y)))
    assert np.isfinite(ks.interactions(model, rng.normal(size=(40, 3)), order="derivative").table).all(axis=None)


def test_a_linear_network_has_none(rng):
    found = ks.interactions(linear([[3.0], [1.0]]), rng.normal(size=(50, 2)), order="derivative")
    assert not found.table.any(axis=None)


# --- the result, and what is refused ----------------------------------------------------------------------------------


@pytest.fixture
def found(rng):
    return ks.interactions(
        lambda x: x[:, 0] * x[:, 1] + x[:, 2] + 0.3 * x[:, 1] * x[:, 3],
        rng.normal(size=(500, 4)),
        feature_names=["a", "b", "c", "$d$"],
    )


def test_what_is_saved_is_loaded(found, tmp_path, rng):
    sequences = ks.interactions(lambda x: x[:, -1, 0] * x[:, 0, 1], rng.normal(size=(50, 3, 2)))
    for each in (found, sequences):
        each.save(tmp_path / "found")
        loaded = ks.Interactions.load(tmp_path / "found")
        pd.testing.assert_frame_equal(loaded.table, each.table)
        pd.testing.assert_frame_equal(loaded.standard_errors, each.standard_errors)
        pd.testing.assert_frame_equal(loaded.top(3), each.top(3))
        assert (loaded.lags is None) == (each.lags is None)
        assert repr(loaded) == repr(each)
        assert loaded.definition == each.definition


def test_no_other_file_is_loaded(found, tmp_path, rng):
    path = tmp_path / "found"
    found.save(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="holds no Interactions"):
        ks.Interactions.load(path)
    ks.measure(lambda x: x[:, 0], rng.normal(size=(50, 2))).save(path)
    with pytest.raises(ValueError, match="another version"):
        ks.Interactions.load(path)


def test_the_leading_pairs(found):
    top = found.top(2)
    assert list(top.columns) == ["first", "second", "interaction", "standard_error"]
    assert top[["first", "second"]].to_numpy().tolist() == [["a", "b"], ["b", "$d$"]]
    assert "'a' x 'b'" in repr(found)
    assert "png" in found._repr_html_() or "svg" in found._repr_html_()
    with pytest.raises(ValueError, match="`n`"):
        found.top(0)


def test_the_picture_says_what_the_table_says(found):
    ax = found.plot()
    words = {text.get_text() for text in ax.texts}
    assert f"{found.table.loc['a', 'b']:.1f}" in words
    assert f"{found.table.loc['c', 'c']:.1f}" in words
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c", "$d$"]


def test_a_single_feature_has_no_pair(rng):
    found = ks.interactions(lambda x: x[:, 0], rng.normal(size=(50, 1)))
    assert len(found.top()) == 0
    assert found.table.shape == (1, 1)
    found.plot()


def test_an_output_that_is_constant_has_nothing(rng):
    assert not ks.interactions(lambda x: 0 * x[:, 0], rng.normal(size=(50, 2))).table.any(axis=None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"order": "second"}, "`order`"),
        ({"num_samples": 0}, "`num_samples`"),
        ({"definition": "paper"}, "`definition`"),
        ({"order": "derivative"}, "no second derivatives"),
    ],
    ids=["order", "no rows", "no definition", "a function"],
)
def test_what_is_refused(options, words, rng):
    with pytest.raises((TypeError, ValueError), match=words):
        ks.interactions(lambda x: x[:, 0], rng.normal(size=(50, 2)), **options)


def test_single_entries_of_images_are_not_swapped(rng):
    model = keras.Sequential([keras.Input((4, 4, 1)), layers.Flatten(), layers.Dense(1)])
    with pytest.raises(ValueError, match="Single entries of an image"):
        ks.interactions(model, rng.normal(size=(20, 4, 4, 1)))
