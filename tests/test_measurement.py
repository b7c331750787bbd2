"""`measure` against theory: closed forms, linear models, brute-force Jacobians in float64."""

import gc
import weakref

import keras
import numpy as np
import oracle
import pandas as pd
import pytest
import zoo

import keras_sensitivity as ks

STD = ks.Definition(scale="std")

WEIGHTS = np.array([[3.0, 0.1], [-2.0, 1.0], [0.5, -4.0], [0.0, 0.2], [1.0, 1.0]])


def linear_model(weights):
    weights = np.asarray(weights, dtype="float32")
    model = keras.Sequential([keras.Input(weights.shape[:1]), keras.layers.Dense(weights.shape[1])])
    model.set_weights([weights, np.zeros(weights.shape[1])])
    return model


# --- a linear model's importance is |w| times std -------------------------------------------------------------------


@pytest.mark.parametrize("units", [1, 2])
@pytest.mark.parametrize("definition", [ks.Definition(scale="std"), ks.PAPER], ids=["std", "paper"])
def test_linear_model(units, definition):
    weights, x = WEIGHTS[:, :units], zoo.rows(2000)
    importance = ks.measure(linear_model(weights), x, definition=definition)
    scale = x.astype("float64").std(axis=0) if definition.scale else np.ones(5)
    expected = np.sqrt((weights**2).sum(axis=1)) * scale
    assert np.ptp(scale) > 1 or not definition.scale  # not the trivial case of equal columns
    np.testing.assert_allclose(importance.features, 100 * expected / expected.sum(), rtol=1e-5)
    each = np.abs(weights.T) * scale
    np.testing.assert_allclose(importance.by_output, 100 * each / each.sum(axis=1, keepdims=True), rtol=1e-5)
    assert list(importance.by_output.index) == [str(unit) for unit in range(units)]


@pytest.mark.parametrize("definition", [ks.Definition(scale="std"), ks.PAPER], ids=["std", "paper"])
def test_300_000_rows_near_1e4(rng, definition):
    x = (1e4 + rng.normal(size=(300_000, 5)) * [1, 2, 3, 4, 5]).astype("float32")
    naive = np.sqrt(np.maximum((x**2).mean(0) - x.mean(0) ** 2, 0))
    assert (abs(naive / x.astype("float64").std(0) - 1) > 0.1).any()  # sums in float32 fail here
    importance = ks.measure(linear_model(WEIGHTS[:, :1]), x, definition=definition)
    expected = np.abs(WEIGHTS[:, 0]) * (x.astype("float64").std(axis=0) if definition.scale else 1)
    np.testing.assert_allclose(importance.features, 100 * expected / expected.sum(), rtol=1e-5)


def test_scale_by_hand():
    factors = np.array([1.0, 0.0, 2.0, 5.0, 0.5])
    importance = ks.measure(linear_model(WEIGHTS[:, :1]), zoo.rows(), definition=ks.Definition(scale=factors))
    expected = np.abs(WEIGHTS[:, 0]) * factors
    np.testing.assert_allclose(importance.features, 100 * expected / expected.sum(), rtol=1e-5)


def test_groups_are_roots_of_sums_of_squares():
    x = zoo.rows()
    importance = ks.measure(linear_model(WEIGHTS[:, :1]), x, groups={"pair": ["x1", "x3"]}, definition=STD)
    single = np.abs(WEIGHTS[:, 0]) * x.astype("float64").std(axis=0)
    expected = np.array([single[0], np.hypot(single[1], single[3]), single[2], single[4]])
    assert list(importance.features.index) == ["x0", "pair", "x2", "x4"]
    np.testing.assert_allclose(importance.features, 100 * expected / expected.sum(), rtol=1e-5)
    table = importance.table
    assert table.loc["pair", ["mean", "std"]].isna().all()
    assert table.drop("pair")[["mean", "std"]].notna().all(axis=None)


# --- any network equals the brute-force Jacobian --------------------------------------------------------------------


@pytest.mark.parametrize("name", zoo.ZOO)
@pytest.mark.parametrize("definition", [ks.Definition(scale="std"), ks.PAPER], ids=["std", "paper"])
@pytest.mark.sample(2)
def test_equals_brute_force_in_float64(name, definition):
    model, x = zoo.build(name), zoo.rows()
    g = oracle.jacobian(zoo.build(name, policy="float64", like=model), x)
    scale = x.astype("float64").std(axis=0) if definition.scale else 1.0
    importance = ks.measure(model, x, definition=definition)
    expected = oracle.importances(g, scale)
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(importance.features, expected, rtol=1e-4)
    for unit, shares in enumerate(importance.by_output.to_numpy()):
        np.testing.assert_allclose(shares, oracle.importances(g[:, unit : unit + 1], scale), rtol=1e-4)
    assert importance.features.sum() == pytest.approx(100)
    assert importance.num_samples == len(x)


def test_table_equals_brute_force():
    model, x = zoo.build("tanh regression"), zoo.rows()
    g = oracle.jacobian(zoo.build("tanh regression", policy="float64", like=model), x)[:, 0]
    scaled = g * x.astype("float64").std(axis=0)
    table = ks.measure(model, x, definition=STD).table
    np.testing.assert_allclose(table["rms"], np.sqrt((scaled**2).mean(axis=0)), rtol=1e-5)
    np.testing.assert_allclose(table["mean"], scaled.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(table["std"], scaled.std(axis=0), rtol=1e-4)
    np.testing.assert_allclose(table["rms"] ** 2, table["mean"] ** 2 + table["std"] ** 2, rtol=1e-9)
    assert sorted(table["rank"]) == [1, 2, 3, 4, 5]
    assert table["importance"].idxmax() == table["rank"].idxmin()


def test_a_single_unit():
    model, x = zoo.build("softmax classifier"), zoo.rows()
    every = ks.measure(model, x, definition=STD)
    one = ks.measure(model, x, definition=ks.Definition(scale="std", output=2))
    np.testing.assert_allclose(one.features, every.by_output.loc["2"], rtol=1e-6)
    assert list(one.by_output.index) == ["2"]


def test_a_head_by_name():
    inputs = keras.Input((5,))
    heads = {"price": keras.layers.Dense(1)(inputs), "kind": keras.layers.Dense(2, "softmax")(inputs)}
    model, x = keras.Model(inputs, heads), zoo.rows()
    every = ks.measure(model, x, definition=STD)
    assert sorted(every.by_output.index) == ["kind/0", "kind/1", "price"]
    kind = ks.measure(model, x, definition=ks.Definition(scale="std", output="kind"))
    np.testing.assert_allclose(kind.by_output.loc["1"], every.by_output.loc["kind/1"], rtol=1e-6)


def test_sum_of_softmax_units_is_never_differentiated():
    # The probabilities sum to 1: the derivative of their sum is 0, and every feature would look dead.
    model, x = zoo.build("softmax classifier"), zoo.rows()
    table = ks.measure(model, x, definition=STD).table
    assert (table["rms"] > 1e-2).all()


# --- logits ---------------------------------------------------------------------------------------------------------


def ends(kind):
    layers = keras.layers
    inputs = keras.Input((5,))
    hidden = layers.Dense(6, "tanh")(inputs)
    tail = {
        "dense softmax": [layers.Dense(3, "softmax")],
        "dense sigmoid": [layers.Dense(1, activation="sigmoid")],
        "activation layer": [layers.Dense(3), layers.Activation("softmax")],
        "softmax layer": [layers.Dense(3), layers.Softmax()],
        "nested": [keras.Sequential([keras.Input((6,)), layers.Dense(3, "softmax")])],
    }[kind]
    output = hidden
    for layer in tail:
        output = layer(output)
    return keras.Model(inputs, output)


@pytest.mark.parametrize("kind", ["dense softmax", "dense sigmoid", "activation layer", "softmax layer", "nested"])
@pytest.mark.sample(3)
def test_logits_are_what_goes_into_the_last_activation(kind):
    model, x = ends(kind), zoo.rows()
    found = ks.measure(model, x, definition=ks.Definition(scale="std", logits=True))
    weights = model.get_weights()
    bare = keras.Sequential([keras.Input((5,)), keras.layers.Dense(6, "tanh"), keras.layers.Dense(weights[2].shape[1])])
    bare.set_weights(weights)
    np.testing.assert_allclose(found.by_output, ks.measure(bare, x, definition=STD).by_output, rtol=1e-5)
    assert (
        np.abs(found.features - ks.measure(model, x, definition=STD).features).max() > 0.1
    )  # the probabilities' differ
    model_again = [layer for layer in model._flatten_layers() if hasattr(layer, "activation")]
    assert all("recording" not in repr(layer.activation) for layer in model_again)  # given back


def test_no_logits_to_find():
    with pytest.raises(ValueError, match="no final softmax or sigmoid"):
        ks.measure(zoo.build("tanh regression"), zoo.rows(), definition=ks.Definition(scale="std", logits=True))


def test_saturation_is_warned_of_and_logits_see_through_it():
    calm, x = zoo.build("sigmoid classifier"), zoo.rows()
    model = zoo.build("sigmoid classifier", like=calm)
    model.layers[-1].set_weights([200 * w for w in model.layers[-1].get_weights()])
    with pytest.warns(UserWarning, match=r"rows have derivatives that are all exactly 0.*logits=True"):
        ks.measure(model, x, definition=STD)
    saturated = ks.measure(model, x, definition=ks.Definition(scale="std", logits=True))
    unsaturated = ks.measure(calm, x, definition=ks.Definition(scale="std", logits=True))
    np.testing.assert_allclose(saturated.features, unsaturated.features, rtol=1e-5)  # 200 times as large, same shares


def test_all_derivatives_zero_gives_zeros_and_a_warning():
    model = zoo.build("tanh regression")
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    with pytest.warns(UserWarning, match="Every derivative is exactly 0") as warned:
        importance = ks.measure(model, zoo.rows(), definition=STD)
    assert importance.features.tolist() == [0] * 5
    assert warned[0].filename == __file__  # it points at the user's line
    assert importance.table["standard_error"].tolist() == [0] * 5


@pytest.mark.filterwarnings("default")
def test_a_single_row_has_no_standard_deviation():
    model, x = zoo.build("tanh regression"), zoo.rows()[:1]
    with pytest.warns(UserWarning, match="Every column of x is constant in the measured rows"):
        assert ks.measure(model, x, definition=STD).features.tolist() == [0] * 5
    assert ks.measure(model, x, definition=ks.PAPER).features.sum() == pytest.approx(100)


# --- types, sizes, caches -------------------------------------------------------------------------------------------


def test_float16_network_keeps_small_derivatives():
    x = zoo.rows()
    small = [np.full((5, 8), 1e-3) * np.arange(1, 6)[:, None], np.zeros(8), np.full((8, 1), 1e-4), np.zeros(1)]
    found = {}
    for policy in ("float32", "mixed_float16"):
        model = zoo.build("tanh regression", policy=policy)
        model.set_weights(small)
        found[policy] = ks.measure(model, x, definition=ks.PAPER).features
    np.testing.assert_allclose(found["float32"], 100 * np.arange(1, 6) / 15, rtol=1e-4)
    np.testing.assert_allclose(found["mixed_float16"], found["float32"], rtol=2e-3)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float64", "float16"])
def test_other_float_types(policy):
    model = zoo.build("softmax classifier")
    other = zoo.build("softmax classifier", policy=policy, like=model)
    rtol = {"mixed_bfloat16": 0.05, "float64": 1e-5, "float16": 0.02}[policy]
    np.testing.assert_allclose(
        ks.measure(other, zoo.rows(), definition=STD).features,
        ks.measure(model, zoo.rows(), definition=STD).features,
        rtol=rtol,
    )


def test_wide_input_has_standard_errors_too(rng):
    model = keras.Sequential([keras.Input((200,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(1)])
    importance = ks.measure(model, rng.normal(size=(500, 200)), definition=STD)
    assert (importance.table["standard_error"] > 0).all()


def test_a_second_measurement_does_not_trace_again():
    calls = []

    class Counting(keras.Model):
        def __init__(self):
            super().__init__()
            self.out = keras.layers.Dense(1, activation="tanh")

        def call(self, x):
            calls.append(1)
            return self.out(x)

    model, x = Counting(), zoo.rows()
    model(x)
    calls.clear()
    first = ks.measure(model, x, definition=STD)
    assert len(calls) == 1
    model.compile("sgd", "mse")
    model.out.kernel.assign(model.out.kernel * np.array([[9.0], [1], [1], [1], [1]]))
    second = ks.measure(model, x, definition=STD)
    assert len(calls) == 1
    assert np.abs(first.features - second.features).max() > 1e-3  # and yet the new weights are seen
    model.out.activation = keras.activations.linear
    third = ks.measure(model, x, definition=ks.PAPER)
    assert len(calls) == 2  # the old trace would have kept tanh
    weights = np.abs(model.out.kernel.numpy()[:, 0])
    np.testing.assert_allclose(third.features, 100 * weights / weights.sum(), rtol=1e-5)


def test_a_measured_model_can_be_freed():
    model = zoo.build("softmax classifier")
    ks.measure(model, zoo.rows(), definition=STD)
    reference = weakref.ref(model)
    del model
    gc.collect()
    assert reference() is None


def test_names_come_from_the_columns():
    frame = pd.DataFrame(zoo.rows(), columns=["a", "b", "c", "d", 5])
    model = zoo.build("tanh regression")
    assert list(ks.measure(model, frame, definition=STD).features.index) == ["a", "b", "c", "d", "5"]
    assert list(ks.measure(model, frame.to_numpy(), definition=STD).features.index) == ["x0", "x1", "x2", "x3", "x4"]
    assert list(ks.measure(model, frame, feature_names=list("vwxyz"), definition=STD).features.index) == list("vwxyz")


@pytest.mark.parametrize("kind", ["float64", "int64", "bool", "tensor", "list", "nullable", "mixed"])
def test_kinds_of_tables_agree(rng, kind):
    x = rng.integers(0, 2, size=(50, 5))
    table = {
        "float64": x.astype("float64"),
        "int64": x,
        "bool": x.astype(bool),
        "tensor": keras.ops.convert_to_tensor(x.astype("float32")),
        "list": x.tolist(),
        "mixed": pd.DataFrame(x, columns=[f"x{i}" for i in range(5)]).astype(
            {"x1": bool, "x2": "float32", "x3": "Int64"}
        ),
        "nullable": pd.DataFrame(x, columns=[f"x{i}" for i in range(5)]).astype("Int64"),
    }[kind]
    model = zoo.build("tanh regression")
    pd.testing.assert_series_equal(
        ks.measure(model, table, definition=STD).features,
        ks.measure(model, x.astype("float32"), definition=STD).features,
        rtol=1e-6,
    )


def test_num_samples_is_a_fixed_random_subset():
    model, x = zoo.build("relu, 3 units"), zoo.rows(1000)
    first, second = (ks.measure(model, x, num_samples=100, definition=STD) for _ in range(2))
    assert first.num_samples == 100
    pd.testing.assert_series_equal(first.features, second.features)
    head = ks.measure(model, x[:100], definition=STD)
    assert not np.allclose(first.features, head.features, rtol=1e-3)  # random, not the first rows


def test_progress_bar_and_compiler_are_printed(capsys):
    ks.measure(zoo.build("linear"), zoo.rows(), batch_size=100, verbose=1, definition=STD)
    printed = capsys.readouterr().out
    assert "300 rows, 5 features, 1 output unit(s), batches of 100; plain graph: XLA seldom pays on a CPU." in printed
    assert "3/3" in printed
    ks.measure(zoo.build("linear"), zoo.rows(), definition=STD)
    assert capsys.readouterr().out == ""


# --- the delta method -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [None, {"pair": ["x0", "x3"]}], ids=["single", "grouped"])
@pytest.mark.sample(2)
def test_standard_error_is_the_spread_over_samples(groups):
    # 400 samples of 500 rows: the spread of their importances is what the standard error of one of them estimates.
    model, definition = zoo.build("softmax classifier"), ks.Definition(scale=np.ones(5))
    measured = [
        ks.measure(model, zoo.rows(500, seed), definition=definition, groups=groups).table for seed in range(400)
    ]
    spread = np.std([table["importance"] for table in measured], axis=0)
    estimate = np.mean([table["standard_error"] for table in measured], axis=0)
    assert (spread > 0.01).all()
    np.testing.assert_allclose(estimate, spread, rtol=0.12)  # 400 samples know the spread to about 4 %


def test_the_papers_simulation_in_closed_form(rng):
    """A network that is the paper's function itself has the paper's importances."""

    class Paper(keras.Model):
        def call(self, x):
            ops = keras.ops
            return ops.cos(x[:, 0]) + ops.sin(x[:, 1]) + 2 * x[:, 2] + x[:, 3] + x[:, 4] / 100

    model, x = Paper(), rng.normal(size=(400_000, 5)).astype("float32")
    model(x[:1])
    table = ks.measure(model, x, definition=ks.PAPER).table
    exact = np.array([14.873, 17.042, 45.239, 22.620, 0.226])
    np.testing.assert_allclose(table["importance"], exact, atol=0.06)
    assert (abs(table["importance"] - exact) < 4 * table["standard_error"] + 1e-3).all()
