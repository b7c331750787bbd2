"""Any function of rows: measured like a model, by differences and by real changes; its failures named."""

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import keras_sensitivity as ks
from keras_sensitivity.rows.reservoir import subset

FINE = ks.Definition(step=1e-4)


@pytest.fixture
def pair(rng):
    """The same network twice: as a Keras model, and as a function in NumPy."""
    layers = [keras.layers.Dense(5, "tanh"), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    weights = [rng.normal(size=w.shape) for w in model.get_weights()]
    model.set_weights(weights)
    a, b, c, d = weights

    def function(x):
        assert isinstance(x, pd.DataFrame) or x.dtype.kind == "f"
        return np.tanh(np.asarray(x) @ a + b) @ c + d

    return model, function


def test_a_function_is_measured_like_a_model(pair, rng):
    model, function = pair
    x = pd.DataFrame(rng.normal(size=(200, 3)) * [1, 2, 0.5], columns=["a", "b", "c"])
    options = {"groups": {"ab": ["a", "b"]}, "batch_size": 64, "definition": FINE}
    one, other = ks.measure(model, x, jit_compile=False, **options), ks.measure(function, x, **options)
    assert np.ptp(one.features) > 5
    pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-3, check_dtype=False)
    pd.testing.assert_frame_equal(one.by_output, other.by_output, rtol=1e-3)
    pd.testing.assert_frame_equal(one.outputs, other.outputs, rtol=1e-3)
    pd.testing.assert_frame_equal(
        ks.explain(model, x, jit_compile=False).features,
        ks.explain(function, x, definition=FINE).features,
        rtol=1e-3,
    )


@pytest.mark.parametrize("change", ["derivative", "swap", "auto"])
@pytest.mark.parametrize("background", [False, True])
def test_changes_and_backgrounds_are_those_of_a_model(pair, rng, change, background):
    model, function = pair
    x = np.column_stack([rng.normal(size=(300, 2)), rng.integers(0, 3, 300)]).astype("float32")
    if change == "derivative":
        x[:, 2] += 0.1 * rng.normal(size=300)  # between few values there are no derivatives, but differences
    options = {"definition": ks.Definition(change=change, step=1e-4), "background": x[:150] if background else None}
    one, other = ks.measure(model, x, jit_compile=False, **options), ks.measure(function, x, **options)
    assert (one.table["change"] == other.table["change"]).all()
    columns = ["importance", "standard_error", "rms"]
    if change == "auto":  # where a column of few values is swapped, its differences are those between its values
        columns = ["importance", "rms"]
    pd.testing.assert_frame_equal(one.table[columns], other.table[columns], rtol=2e-3)


def test_the_moments_of_the_outputs_are_those_of_the_predictions(pair, rng):
    x, weights = rng.normal(size=(100, 3)), rng.integers(0, 3, 100).astype(float)
    outputs = ks.measure(pair[0], iter([(x, None, weights)]), jit_compile=False, batch_size=32).outputs
    repeated = np.repeat(pair[0].predict(x, verbose=0), weights.astype(int), axis=0)
    np.testing.assert_allclose(outputs["mean"], repeated.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(outputs["std"], repeated.std(axis=0), rtol=1e-5)


def test_a_sequence_has_lags(rng):
    x = rng.normal(size=(400, 5, 2))
    imp = ks.measure(lambda x: 3 * x[:, -1, 0] + x[:, 1, 1], x, definition=ks.Definition(scale="std"))
    expected = np.zeros((5, 2))
    expected[0, 0], expected[3, 1] = 3, 1
    np.testing.assert_allclose(imp.by_lag, expected * x.reshape(-1, 2).std(axis=0), atol=1e-9)
    exp = ks.explain(lambda x: 3 * x[:, -1, 0] + x[:, 1, 1], x[:4], background=x)
    assert exp.gradients.shape == (4, 1, 5, 2)
    np.testing.assert_allclose(exp.gradients[:, 0, -1, 0], 3)
    np.testing.assert_allclose(exp.lags.iloc[0][[0, 3]].sum(), 100)


def test_a_stream_is_read_once_and_merges(rng):
    x = rng.normal(size=(900, 3))

    def rows():
        for start in range(0, len(x), 100):
            yield x[start : start + 100]

    def function(x):
        return x @ [1.0, 2.0, 0.0]

    whole = ks.measure(function, rows())
    np.testing.assert_allclose(whole.rms, [1, 2, 0] * x.std(axis=0), rtol=0.02)
    parts = [ks.measure(function, part, background=x) for part in (x[:500], x[500:])]
    together = parts[0].merge(parts[1])
    np.testing.assert_allclose(together.features, ks.measure(function, x, background=x).features, rtol=1e-9)


def test_steps_of_trees_are_seen_over_a_distance(rng):
    """Their slope is 0 almost everywhere."""
    x = rng.uniform(size=(3000, 4))
    y = 10 * x[:, 0] + 5 * x[:, 1] + rng.normal(size=3000) * 0.1
    trees = HistGradientBoostingRegressor(random_state=0).fit(x, y)
    far, near = (ks.measure(trees.predict, x, definition=ks.Definition(step=step)).features for step in (0.25, 0.001))
    truth = np.array([66.7, 33.3, 0, 0])
    assert np.abs(far - truth).sum() / 2 < 3 < np.abs(near - truth).sum() / 2


def test_words_categories_dates_and_flags_keep_their_types(rng):
    n = 400
    x = pd.DataFrame(
        {
            "age": rng.normal(size=n).astype("float32"),
            "city": rng.choice(["rome", "oslo", "bonn"], n),
            "code": pd.Categorical(rng.choice([3, 5], n)),
            "count": rng.integers(0, 4, n),
            "flag": rng.random(n) > 0.5,
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, n), unit="D"),
        }
    )

    def function(rows):
        for column in x.columns[:5]:
            assert rows[column].dtype == x[column].dtype, column
        days = (rows["day"] - pd.Timestamp("2020-01-01")).dt.total_seconds() / 86400
        return rows["age"] + 2.0 * (rows["city"] == "rome") + rows["code"].astype(float) + rows["flag"] + days / 100

    imp = ks.measure(function, x)
    assert list(imp.features.index) == list(x.columns)
    assert dict(imp.table["change"]) == dict.fromkeys(["age", "day"], "derivative") | dict.fromkeys(
        ["city", "code", "count", "flag"], "swap"
    )
    rome = (x["city"] == "rome").std(ddof=0)
    days = (x["day"] - x["day"].min()).dt.days.std(ddof=0) / 100
    np.testing.assert_allclose(imp.rms, [1, 2 * rome, 1, 0, 0.5, days], rtol=0.1)
    assert imp.table.loc["count", "importance"] == 0
    with pytest.warns(UserWarning, match="no slope"):
        exp = ks.explain(function, x[:5], background=x)
    assert (exp.features["city"] == 0).all()
    assert (exp.features["flag"] > 0).all()
    assert exp.table(0).loc["city", "flip"] != 0


def test_a_pipeline_of_scikit_learn(rng):
    x = pd.DataFrame({"income": rng.normal(size=500), "colour": rng.choice(["red", "blue", "green"], 500)})
    y = (x["income"] + 2 * (x["colour"] == "red") + rng.normal(size=500) > 0.7).astype(int)
    encode = make_column_transformer((OneHotEncoder(), ["colour"]), remainder="passthrough")
    model = make_pipeline(encode, LogisticRegression()).fit(x, y)
    imp = ks.measure(model.predict_proba, x, definition=ks.Definition(output=1))
    assert set(imp.top(99)) == {"income", "colour"}
    forest = RandomForestClassifier(20, random_state=0).fit(x[["income"]], y)
    assert ks.measure(forest.predict_proba, x[["income"]]).units == ("0", "1")


def test_a_module_of_pytorch_is_measured_as_it_predicts(rng):
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 1), torch.nn.BatchNorm1d(1), torch.nn.Dropout(0.5))
    module[0].weight.data = torch.tensor([[3.0, 1.0, 0.0]])
    module[1].eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    x = rng.normal(size=(500, 3))
    np.testing.assert_allclose(ks.measure(module, x).rms, [3, 1, 0] * x.std(axis=0), rtol=0.02)
    assert [each.training for each in module] == [True, False, True]
    assert all((value == before[name]).all() for name, value in module.state_dict().items())
    assert ks.explain(module, x[:2], background=x).features.shape == (2, 3)


def test_missing_numbers_go_to_a_function_that_takes_them(rng):
    x = rng.normal(size=(500, 2))
    x[::5, 0] = np.nan
    imp = ks.measure(lambda x: np.nan_to_num(x[:, 0]) + x[:, 1], x)
    np.testing.assert_allclose(imp.features, [50, 50], atol=4)
    with pytest.raises(ValueError, match="NaN"):
        ks.measure(lambda x: x.sum(axis=1), x)


def test_calls_are_few_large_and_counted(pair, rng, capsys):
    sizes = []

    def function(x):
        sizes.append(len(x))
        return pair[1](x)

    x = rng.normal(size=(1000, 3))
    ks.measure(function, x, definition=ks.Definition(change="derivative"), verbose=0)
    assert (sum(sizes), len(sizes)) == (2 * 256 + 1000 * 7, 3)
    sizes.clear()
    ks.measure(function, x, batch_size=50, verbose=1)
    assert max(sizes) == 50
    printed = capsys.readouterr().out
    assert f"{len(sizes)} calls of the function, with {sum(sizes):,} rows in all" in printed
    assert "20/20" in printed


def test_a_table_of_results_compares_a_function_with_a_model(pair, rng):
    x = rng.normal(size=(300, 3))
    looks = {"model": ks.measure(pair[0], x), "function": ks.measure(pair[1], x, definition=FINE)}
    assert ks.compare(looks).distances.loc["model", "function"] < 1


def _fails_at(row, x, how):
    """A function that fails at one row."""

    def function(rows):
        is_bad = (rows == x[row]).all(axis=1)
        return how(rows, is_bad)

    return function


def _raises(rows, is_bad):
    if is_bad.any():
        raise ZeroDivisionError("no rate for this customer")
    return rows[:, 0]


@pytest.mark.parametrize("change", ["derivative", "swap"])
@pytest.mark.parametrize("num_samples", [None, 400])
def test_the_row_at_which_a_function_fails_is_named(rng, change, num_samples):
    x = rng.normal(size=(500, 2))
    positions = subset(500, num_samples)
    for row in positions[[0, 123, -1]]:
        with pytest.raises(RuntimeError, match=rf"row {row} of x(.|\n)*no rate for this customer") as caught:
            ks.measure(
                _fails_at(row, x, _raises),
                x,
                definition=ks.Definition(change=change),
                batch_size=70,
                num_samples=num_samples,
            )
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(RuntimeError, match=r"row 123 of x(.|\n)*nan"):
        ks.explain(_fails_at(123, x, lambda rows, is_bad: np.where(is_bad, np.nan, rows[:, 0])), x)


def test_the_row_is_named_where_another_value_makes_it_fail(rng):
    x = np.column_stack([rng.normal(size=300), rng.integers(0, 2, 300)])
    flipped = np.array([x[7, 0], 1 - x[7, 1]])

    def function(rows):
        if (rows == flipped).all(axis=1).any():
            raise ZeroDivisionError("no such customer")
        return rows[:, 0]

    with pytest.raises(RuntimeError, match=r"row 7 of x(.|\n)*no such customer"):
        ks.explain(function, x)


def _fails_with_many(rows):
    if len(rows) > 100:
        raise OSError("too large a request")
    return rows[:, 0]


@pytest.mark.parametrize(
    ("function", "kind", "words"),
    [
        (lambda x: ["a"] * len(x), TypeError, "something else than numbers"),
        (lambda x: 1.0, ValueError, "other rows"),
        (lambda x: x[:5, 0], ValueError, "other rows"),
        (lambda x: x[:, :1] if len(x) == 256 else x, ValueError, "another number of columns"),
        (_fails_with_many, RuntimeError, "smaller batch_size"),
        (lambda x: np.random.default_rng().normal(size=len(x)), ValueError, "not deterministic"),
    ],
    ids=["words", "one number", "fewer rows", "other columns", "too many", "chance"],
)
def test_what_a_function_must_not_do(function, kind, words, rng):
    with pytest.raises(kind, match=words) as caught:
        ks.measure(function, rng.normal(size=(500, 2)))
    assert all(part in str(caught.value) for part in ("Expected:", "Received:", "To fix it:"))


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({"logits": True}, "logits"),
        ({"mode": "many-to-many"}, "mode"),
        ({"output": "head"}, "index"),
        ({"output": 1}, "no output 1"),
        ({"scale": "std"}, "words or categories"),
        ({"change": "derivative"}, "words or categories"),
    ],
    ids=["logits", "many-to-many", "a head", "no such output", "scale of words", "differences of words"],
)
def test_what_a_function_cannot_be_asked(definition, words, rng):
    x = pd.DataFrame({"a": rng.normal(size=50), "b": rng.choice(["u", "v"], 50)})
    with pytest.raises(ValueError, match=words):
        ks.measure(lambda x: x["a"], x, definition=ks.Definition(**definition))


@pytest.mark.parametrize("step", [0, -1, np.inf, "large", None, True], ids=str)
def test_a_step_moves_something(step):
    with pytest.raises((TypeError, ValueError), match="`step` moves nothing"):
        ks.Definition(step=step)


def test_the_row_of_which_a_function_is_not_sure_is_named(rng):
    x = rng.normal(size=(500, 2))
    row = subset(500, 300)[77]
    source = np.random.default_rng(1)

    def function(rows):
        return rows[:, 0] + (rows == x[row]).all(axis=1) * source.normal(size=len(rows))

    with pytest.raises(ValueError, match=f"row {row} of x"):
        ks.measure(function, x, num_samples=300)


def test_an_estimator_is_no_function_of_rows(rng):
    with pytest.raises(TypeError, match=r"measure\(model.predict_proba, x\)"):
        ks.measure(LogisticRegression(), rng.normal(size=(10, 2)))
