"""`explain` against central differences in float64, and its words, warnings and errors."""

import copy
import gc
import pickle
import weakref

import functions
import keras
import numpy as np
import pandas as pd
import pytest
import sequences
import shapes
import zoo
from keras import layers
from oracle import differences
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import keras_sensitivity as ks

STD = ks.Definition(scale="std")

RAW = ks.Definition(scale=None)


def shares(values):
    return 100 * values / values.sum(axis=-1, keepdims=True)


def cnn(units=2):
    model = keras.Sequential(
        [
            keras.Input((6, 5, 2)),
            layers.Conv2D(4, 3, activation="tanh", padding="same"),
            layers.Flatten(),
            layers.Dense(units, activation="softmax"),
        ]
    )
    rng = np.random.default_rng(3)
    model.set_weights([0.3 * rng.normal(size=weight.shape) for weight in model.get_weights()])
    return model


def images(n=12, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 6, 5, 2)).astype("float32")


# --- the numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(zoo.ZOO))
def test_shares_are_squared_central_differences(name):
    model, x = zoo.build(name), zoo.rows(12)
    g = differences(zoo.build(name, policy="float64", like=model), x).reshape(12, -1, zoo.NUM_FEATURES)
    explanation = ks.explain(model, x)
    expected = shares((g**2).sum(axis=1) * x.astype("float64").std(axis=0) ** 2)
    np.testing.assert_allclose(explanation.features, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(explanation.features.sum(axis=1), 100)
    np.testing.assert_allclose(explanation.gradients, g, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(explanation.predictions, model.predict(x, verbose=0).reshape(12, -1), rtol=1e-4)


def test_a_cnn_has_a_share_for_each_pixel_and_channel():
    model, x = cnn(), images()
    g = differences(zoo.under("float64", cnn), x).reshape(12, 2, 6, 5, 2)
    twin = zoo.under("float64", cnn)
    twin.set_weights(model.get_weights())
    g = differences(twin, x).reshape(12, 2, 6, 5, 2)
    explanation = ks.explain(model, x, definition=RAW)
    expected = shares((g**2).sum(axis=1).reshape(12, -1)).reshape(12, 6, 5, 2)
    np.testing.assert_allclose(explanation.map, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(explanation.features, expected.reshape(12, -1), rtol=1e-3, atol=1e-4)
    assert explanation.gradients.shape == (12, 2, 6, 5, 2)
    assert explanation.features.columns[3] == "0,1,1"
    assert explanation.lags is None


@pytest.mark.parametrize("masked", [False, True], ids=["full", "masked"])
@pytest.mark.parametrize("many", [False, True], ids=["one", "many"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.sample(3)
def test_shares_and_lags_of_sequences(kind, many, masked):
    def builder():
        return sequences.recurrent(kind, units=2, many=many, masked=masked)

    model = sequences.build(builder)
    exact = sequences.build(builder, policy="float64", like=model)
    for padding in ("pre", "post") if masked else (None,):
        x, mask = sequences.rows(10, padding=padding)
        g = differences(exact, x)
        last = [max(np.flatnonzero(row)) for row in mask]
        if many:
            g = np.stack([g[i, step] for i, step in enumerate(last)])
        scale = np.array([x[..., j][mask].astype("float64").std() for j in range(3)])
        by_lag = np.zeros((10, 4, 3))
        for i, step in enumerate(last):
            for k in range(4):
                if step - k >= 0 and mask[i, step - k]:
                    by_lag[i, k] = np.sqrt(((g[i, :, step - k] * scale) ** 2).sum(axis=0))
        for lags in ("all", "current"):
            explanation = ks.explain(model, x, definition=ks.Definition(scale="std", lags=lags))
            q = by_lag.sum(axis=1) / mask.sum(axis=1, keepdims=True) if lags == "all" else by_lag[:, 0]
            np.testing.assert_allclose(explanation.features, shares(q**2), rtol=1e-3, atol=1e-3)
            np.testing.assert_allclose(explanation.lags, shares(by_lag.sum(axis=2)), rtol=1e-3, atol=1e-3)
            # A difference at a masked step would unmask it.
            np.testing.assert_allclose(explanation.gradients, g * mask[:, None, :, None], rtol=1e-3, atol=1e-4)
            np.testing.assert_allclose(explanation.by_lag(3), by_lag[3], rtol=1e-3, atol=1e-4)


def test_averaged_squared_gradients_are_the_global_importance():
    model, x = zoo.build("softmax classifier"), zoo.rows(200)
    rms = np.sqrt((ks.explain(model, x).gradients.astype("float64") ** 2).mean(axis=0).sum(axis=0)) * x.std(axis=0)
    np.testing.assert_allclose(ks.measure(model, x, definition=STD).features, shares(rms), rtol=1e-4)


@pytest.mark.parametrize("model", ["tanh regression", "softmax classifier"])
def test_the_expansion_is_exact_at_the_row_and_errs_with_the_square_of_the_distance(model):
    model = zoo.under("float64", zoo.ZOO[model])
    x = zoo.rows(8).astype("float64")
    explanation = ks.explain(model, x, definition=RAW)
    np.testing.assert_allclose(explanation.approximate(x), np.asarray(model(x)), rtol=1e-6)
    direction = np.random.default_rng(1).normal(size=x.shape)
    distances = np.array([1e-1, 1e-2, 1e-3])
    errors = [
        np.abs(explanation.approximate(x + step * direction) - np.asarray(model(x + step * direction))).max()
        for step in distances
    ]
    slope = np.polyfit(np.log(distances), np.log(errors), 1)[0]
    assert slope == pytest.approx(2, abs=0.1)


def test_one_row_is_compared_with_many_near_ones():
    model, x = zoo.build("linear"), zoo.rows(20)
    explanation = ks.explain(model, x[:1], definition=RAW)
    np.testing.assert_allclose(explanation.approximate(x), model.predict(x, verbose=0), rtol=1e-4)


def test_groups_add_squares_each_with_its_own_scale():
    model, x = zoo.build("linear"), zoo.rows(50)
    squares = (model.get_weights()[0][:, 0] * x.astype("float64").std(axis=0)) ** 2
    explanation = ks.explain(model, x, groups={"both": ["x1", "x4"]})
    expected = shares(np.array([squares[0], squares[1] + squares[4], squares[2], squares[3]]))
    np.testing.assert_allclose(explanation.features.iloc[0], expected, rtol=1e-4)
    assert list(explanation.features) == ["x0", "both", "x2", "x3"]
    assert explanation.signs["both"].isna().all()
    assert explanation.signs["x0"].isin([-1, 1]).all()


def test_the_background_gives_the_scale():
    model, x, train = zoo.build("tanh regression"), zoo.rows(3), zoo.rows(500, seed=1)
    by_background = ks.explain(model, x, background=train).features
    by_hand = ks.explain(model, x, definition=ks.Definition(scale=train.astype("float64").std(axis=0))).features
    pd.testing.assert_frame_equal(by_background, by_hand, rtol=1e-5)


def test_the_background_of_masked_sequences_is_read_without_its_padding():
    model = sequences.build(lambda: sequences.recurrent("GRU", masked=True))
    x, _ = sequences.rows(4)
    train, mask = sequences.rows(60, padding="post")
    scale = train[mask].astype("float64").std(axis=0)
    by_hand = ks.explain(model, x, definition=ks.Definition(scale=scale)).features
    pd.testing.assert_frame_equal(ks.explain(model, x, background=train).features, by_hand, rtol=1e-4)


def test_batches_change_nothing():
    model, x = zoo.build("20 units"), zoo.rows(37)
    whole = ks.explain(model, x)
    for batch_size in (1, 10, 64):
        parts = ks.explain(model, x, batch_size=batch_size)
        np.testing.assert_allclose(parts.gradients, whole.gradients, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(parts.features, whole.features, rtol=1e-3, atol=1e-6)
    alone = ks.explain(model, x[5:6], background=x)
    np.testing.assert_allclose(alone.features.iloc[0], whole.features.iloc[5], rtol=1e-3, atol=1e-6)


def test_xla_changes_nothing():
    model, x = zoo.build("softmax classifier"), zoo.rows(20)
    plain, compiled = (ks.explain(model, x, jit_compile=jit).features for jit in (False, True))
    pd.testing.assert_frame_equal(plain, compiled, rtol=1e-4)


def test_half_precision():
    model, x = zoo.build("tanh regression"), zoo.rows(20)
    halves = zoo.build("tanh regression", policy="mixed_float16", like=model)
    small = [1e-3 * weight for weight in model.get_weights()]
    model.set_weights(small)
    halves.set_weights(small)
    np.testing.assert_allclose(ks.explain(halves, x).features, ks.explain(model, x).features, rtol=0.02, atol=0.05)


def test_a_stateful_model():
    model = keras.Sequential([keras.Input(batch_shape=(4, 5, 2)), layers.LSTM(3, stateful=True), layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(6, 5, 2)).astype("float32")
    before = model.get_weights()
    explanation = ks.explain(model, x)
    assert explanation.features.shape == (6, 2)
    for weight, after in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, after)


def test_sequences_of_images():
    model = keras.Sequential(
        [
            keras.Input((3, 4, 4, 1)),
            layers.TimeDistributed(layers.Conv2D(2, 2, activation="tanh")),
            layers.TimeDistributed(layers.Flatten()),
            layers.GRU(3),
            layers.Dense(1),
        ]
    )
    x = np.random.default_rng(0).normal(size=(5, 3, 4, 4, 1)).astype("float32")
    explanation = ks.explain(model, x)
    np.testing.assert_allclose(explanation.map.reshape(5, -1), explanation.features)
    assert explanation.map.shape == (5, 4, 4, 1)
    np.testing.assert_array_equal(explanation.newest_image(2), x[2, -1])


# --- one unit, signs ------------------------------------------------------------------------------------------------


def test_a_unit_alone_has_signs():
    model, x = zoo.build("softmax classifier"), zoo.rows(9)
    together = ks.explain(model, x)
    assert together.signs.isna().all().all()
    for unit in (1, "1"):
        alone = together.of_unit(unit)
        direct = ks.explain(model, x, definition=ks.Definition(scale="std", output=1))
        pd.testing.assert_frame_equal(alone.features, direct.features, rtol=1e-4)
        np.testing.assert_array_equal(alone.signs, np.sign(together.gradients[:, 1]))
        np.testing.assert_array_equal(alone.predictions, together.predictions[:, 1:2])


@pytest.mark.parametrize("unit", [3, -1, "7", 1.0, True])
def test_there_is_no_such_unit(unit):
    with pytest.raises(ValueError, match="There is no unit"):
        ks.explain(zoo.build("softmax classifier"), zoo.rows(4)).of_unit(unit)


# --- words and warnings ---------------------------------------------------------------------------------------------


def test_a_frame_keeps_its_index_and_names():
    x = pd.DataFrame(zoo.rows(3), columns=list("abcde"), index=["anna", "ben", "cem"])
    explanation = ks.explain(zoo.build("linear"), x)
    assert list(explanation.features.index) == ["anna", "ben", "cem"]
    assert list(explanation.features.columns) == list("abcde")
    assert explanation.values(1)["b"] == pytest.approx(x.loc["ben", "b"])
    assert len(explanation) == 3


def test_a_row_without_gradients_has_zeros_and_one_warning():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, "relu")])
    model.set_weights([np.ones((2, 1)), np.zeros(1)])
    with pytest.warns(UserWarning, match="At 1 of 3 rows every derivative is exactly 0.*rows 1") as caught:
        explanation = ks.explain(model, np.array([[1.0, 2.0], [-1.0, -2.0], [3.0, 0.5]]))
    assert len(caught) == 1
    np.testing.assert_array_equal(explanation.features.iloc[1], 0)
    np.testing.assert_allclose(explanation.features.sum(axis=1), [100, 0, 100])


def test_a_single_row_has_no_scale_and_one_warning():
    model, x = zoo.build("linear"), zoo.rows(1)
    with pytest.warns(UserWarning, match="A single row has no standard deviation") as caught:
        explanation = ks.explain(model, x)
    assert len(caught) == 1
    assert explanation.definition.scale is None
    np.testing.assert_allclose(explanation.features.iloc[0], shares(model.get_weights()[0][:, 0] ** 2), rtol=1e-4)


@pytest.mark.filterwarnings("error")
def test_a_single_row_with_a_background_or_a_scale_warns_of_nothing():
    model, x = zoo.build("linear"), zoo.rows(10)
    ks.explain(model, x[:1], background=x)
    ks.explain(model, x[:1], definition=ks.PAPER)


def test_equal_rows_say_that_they_do_not_vary():
    with pytest.warns(UserWarning, match="Every column of x is constant"):
        ks.explain(zoo.build("linear"), np.ones((3, 5)))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"background": np.ones((4, 3))}, "different number of columns"),
        ({"background": pd.DataFrame(zoo.rows(4), columns=list("edcba"))}, "`background` has other columns"),
        ({"background": np.full((4, 5), np.nan)}, "NaN or infinite"),
        ({"feature_names": ["a"]}, "`feature_names` does not match"),
        ({"batch_size": 0}, "`batch_size` is not a whole number"),
        ({"definition": "std"}, "`definition` has the wrong type"),
    ],
)
def test_wrong_arguments(options, error):
    x = pd.DataFrame(zoo.rows(4), columns=list("abcde"))
    with pytest.raises((ValueError, TypeError), match=error):
        ks.explain(zoo.build("linear"), x, **options)


def test_a_log_dir_that_cannot_be_written_is_refused_first(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="`log_dir` cannot be written"):
        ks.explain(zoo.build("linear"), zoo.rows(2), log_dir=tmp_path / "file")


@pytest.mark.parametrize("near", [np.ones((2, 5)), np.ones((3, 4)), np.ones(5)])
def test_rows_that_are_not_near(near):
    with pytest.raises(ValueError, match="`x_near` does not fit the explained rows"):
        ks.explain(zoo.build("linear"), zoo.rows(3)).approximate(near)


def test_near_rows_with_other_columns_are_refused():
    x = pd.DataFrame(zoo.rows(3), columns=list("abcde"))
    with pytest.raises(ValueError, match="`x_near` has other columns"):
        ks.explain(zoo.build("linear"), x).approximate(x[list("edcba")])


@pytest.mark.parametrize("sample", [3, -4, 0.5])
def test_there_is_no_such_sample(sample):
    with pytest.raises(ValueError, match="There is no sample"):
        ks.explain(zoo.build("linear"), zoo.rows(3)).plot(sample)


def test_copies_and_pickles_are_equal():
    explanation = ks.explain(zoo.build("linear"), zoo.rows(3))
    for other in (copy.deepcopy(explanation), pickle.loads(pickle.dumps(explanation))):
        pd.testing.assert_frame_equal(other.features, explanation.features)


def test_the_rows_are_kept_apart_from_the_users():
    x = zoo.rows(3)
    explanation = ks.explain(zoo.build("linear"), x)
    before = explanation.approximate(np.zeros_like(x))
    x += 100
    np.testing.assert_array_equal(explanation.approximate(np.zeros_like(x)), before)


def test_explaining_changes_nothing_in_the_model():
    model = zoo.build("noise, batch normalization, dropout")
    variables = [variable.numpy() for variable in model.variables]
    ks.explain(model, zoo.rows(4))
    for before, after in zip(variables, model.variables, strict=True):
        np.testing.assert_array_equal(before, after.numpy())


def test_rows_of_many_counts_share_few_traces(traces):
    model = zoo.build("linear")
    for count in (5, 6, 7, 8):
        ks.explain(model, zoo.rows(count), definition=RAW)
    assert len(traces) == 1


def test_a_second_explanation_does_not_trace_again(traces):
    """Not even where the first was the first call of a layer, which notes that."""
    model, (x, _) = sequences.build(lambda: sequences.recurrent("LSTM")), sequences.rows(8)
    for _ in range(2):
        ks.explain(model, x[:1], background=x)
        assert len(traces) == 2  # the rows, and their background


def test_an_explained_model_with_codes_can_be_freed():
    case = shapes.SHAPES["words one hot beside numbers"]()
    explanation = ks.explain(case.model, case.x)
    reference = weakref.ref(case.model)
    del case
    keras.utils.clear_session()
    gc.collect()
    assert reference() is None
    assert explanation.features.shape == (shapes.N, 3)


# --- the mixin ------------------------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable(package="tests")
class Plain(ks.ExplainMixin, keras.Model):
    pass


@keras.saving.register_keras_serializable(package="tests")
class Stack(ks.ExplainMixin, keras.Sequential):
    pass


@keras.saving.register_keras_serializable(package="tests")
class Own(ks.ExplainMixin, keras.Model):
    """A user's class with its own `call` and `train_step`."""

    def __init__(self, width=3, **kwargs):
        super().__init__(**kwargs)
        self.width = width
        self.hidden = layers.Dense(width, "tanh")
        self.out = layers.Dense(1)
        self.steps = 0

    def call(self, x):
        return self.out(self.hidden(x))

    def train_step(self, data):
        self.steps += 1
        return super().train_step(data)

    def get_config(self):
        return {**super().get_config(), "width": self.width}


def functional_plain(cls=Plain):
    inputs = keras.Input((5,))
    return cls(inputs, layers.Dense(1)(layers.Dense(3, "tanh")(inputs)))


def stack():
    return Stack([keras.Input((5,)), layers.Dense(3, "tanh"), layers.Dense(1)])


def own():
    model = Own()
    model.compile("adam", "mse", run_eagerly=True)
    model.fit(zoo.rows(32), np.ones(32), verbose=0)
    assert model.steps == 1
    return model


@pytest.mark.parametrize("builder", [functional_plain, stack, own])
def test_the_mixin_makes_methods_that_survive_saving_and_copying(builder, tmp_path):
    model, x = builder(), zoo.rows(6)
    expected = ks.explain(model, x).features
    model.save(tmp_path / "model.keras")
    others = [keras.saving.load_model(tmp_path / "model.keras"), copy.deepcopy(model)]
    if builder is functional_plain:  # Keras clones any Sequential to a plain one, and no subclassed model
        clone = keras.models.clone_model(model)
        clone.set_weights(model.get_weights())
        others.append(clone)
    for other in [model, *others]:
        assert isinstance(other, ks.ExplainMixin)
        assert type(other) is type(model)
        pd.testing.assert_frame_equal(other.explain(x).features, expected, rtol=1e-4)
        pd.testing.assert_series_equal(
            other.measure(x).features, ks.measure(model, x, definition=STD).features, rtol=1e-4
        )


def test_the_mixin_survives_functional_builds_of_a_class_and_its_subclasses():
    class Child(Plain):
        pass

    class Grandchild(Child):
        pass

    for cls in (Plain, Child, Plain, Grandchild, Child, Plain):
        model = functional_plain(cls)
        assert ks.ExplainMixin in type(model).__mro__
        assert model.explain(zoo.rows(3)).features.shape == (3, 5)
    subclassed = own()
    assert subclassed.explain(zoo.rows(3)).features.shape == (3, 5)
    assert ks.ExplainMixin.__bases__ == (object,)


def test_a_loaded_model_of_another_class_takes_the_function(tmp_path):
    zoo.build("linear").save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert ks.explain(loaded, zoo.rows(3)).features.shape == (3, 5)


def test_sample_weights_of_a_stream_weigh_the_scale():
    model, x = zoo.build("tanh regression"), zoo.rows(40)
    weights = np.linspace(0.0, 3.0, 40)
    weights[::3] = 0
    mean = np.average(x, axis=0, weights=weights)
    std = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=weights))
    assert np.abs(std - x.std(axis=0)).max() > 0.05
    weighted = ks.explain(model, iter([(x[:15], None, weights[:15]), (x[15:], None, weights[15:])]))
    np.testing.assert_allclose(
        weighted.features, ks.explain(model, x, definition=ks.Definition(scale=std)).features, rtol=1e-4
    )


# --- features of few values -----------------------------------------------------------------------------------------


@pytest.fixture
def mixed(rng):
    """A column of two values, one of three, one of numbers, a group of two; and a function of them."""
    colour = rng.integers(0, 2, 200)
    columns = [rng.integers(0, 2, 200), rng.choice([1, 1, 1, 5, 5, 9], 200), rng.normal(size=200), colour, 1 - colour]
    x = pd.DataFrame(np.column_stack(columns).astype(float), columns=["yes", "rank", "number", "red", "blue"])
    model = functions.network(lambda yes, rank, z, red, blue: 3 * yes + rank**2 + z * yes + 10 * red, 5)
    return model, x, {"colour": ["red", "blue"]}


def test_a_table_says_what_another_value_would_do(mixed):
    model, x, groups = mixed
    explanation = ks.explain(model, x[:20], background=x, groups=groups)
    for sample in range(20):
        row, table = x.iloc[sample], explanation.table(sample)
        assert list(table["share"]) == sorted(explanation.features.iloc[sample], reverse=True)
        assert table.loc["yes", "other_value"] == 1 - row["yes"]
        np.testing.assert_allclose(table.loc["yes", "flip"], (1 - 2 * row["yes"]) * (3 + row["number"]), rtol=1e-3)
        other = 5 if row["rank"] == 1 else 1
        assert table.loc["rank", "other_value"] == other
        np.testing.assert_allclose(table.loc["rank", "flip"], other**2 - row["rank"] ** 2, rtol=1e-3)
        assert table.loc["colour", "other_value"] is None
        np.testing.assert_allclose(table.loc["colour", "flip"], 10 - 20 * row["red"], rtol=1e-3)
        assert table.loc["number", "value"] == row["number"].astype("float32")
        assert np.isnan(table.loc["number", "flip"])


def test_of_several_units_a_flip_is_of_one(rng):
    x = np.column_stack([rng.integers(0, 2, 50), rng.normal(size=50)])
    explanation = ks.explain(functions.linear([[2.0, -3.0], [1.0, 1.0]]), x)
    assert explanation.table()["flip"].isna().all()
    sign = 1 - 2 * x[0, 0]
    assert explanation.of_unit(1).table().loc["x0", "flip"] == pytest.approx(-3 * sign)


def test_codes_are_flipped_before_they_are_looked_up(rng):
    inputs = keras.Input((1,), dtype="string", name="word")
    looked_up = keras.layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")(inputs)
    layer = keras.layers.Dense(1, use_bias=False)
    model = keras.Model(inputs, layer(looked_up))
    layer.set_weights([np.array([[0.0], [1.0], [4.0]])])
    x = np.array([["a"]] * 9 + [["b"]] * 6, dtype=object)
    table = ks.explain(model, x).table(0)
    assert table.loc["word", ["value", "other_value", "flip"]].tolist() == ["a", "b", 3.0]


def test_codes_that_are_one_feature_are_flipped_together():
    inputs = keras.Input((3,), dtype="int32")
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.CategoryEncoding(4, "multi_hot")(inputs)))
    x = np.array([[0, 1, 2]] * 5 + [[1, 2, 3]] * 4 + [[0, 0, 3]])
    explanation = ks.explain(model, x)
    predictions = np.asarray(model(x)).ravel()
    np.testing.assert_allclose(explanation.table(0)["flip"], predictions[5] - predictions[0], rtol=1e-4)
    np.testing.assert_allclose(explanation.table(9)["flip"], predictions[0] - predictions[9], rtol=1e-4)


def test_sequences_and_numbers_are_not_flipped_whatever_is_swapped(rng):
    sequence = keras.Input((3, 2))
    recurrent = keras.Model(sequence, layers.Dense(1)(layers.SimpleRNN(2)(sequence)))
    for model, x in ((recurrent, rng.normal(size=(50, 3, 2))), (functions.linear([[1.0]]), rng.normal(size=(50, 1)))):
        explanation = ks.explain(model, x, definition=ks.Definition(change="swap"))
        assert explanation.table()["flip"].isna().all()


def test_in_batches_the_flips_are_the_same(mixed):
    model, x, groups = mixed
    one, other = (ks.explain(model, x, groups=groups, batch_size=size) for size in (7, 200))
    for sample in (0, 6, 7, 199):
        pd.testing.assert_frame_equal(one.table(sample), other.table(sample), rtol=1e-4)


@pytest.mark.parametrize("definition", [ks.PAPER, ks.Definition(change="derivative"), ks.Definition(scale="std")])
def test_where_nothing_is_swapped_nothing_is_flipped(definition, mixed):
    model, x, _ = mixed
    assert ks.explain(model, x, definition=definition).table()["flip"].isna().all()


def test_a_flip_stands_in_the_table_of_tensorboard(mixed, tmp_path):
    model, x, groups = mixed
    ks.explain(model, x[:2], background=x, groups=groups, log_dir=tmp_path)
    events = EventAccumulator(str(tmp_path / "explanations"), size_guidance={"tensors": 0}).Reload()
    text = events.Tensors("samples 0 to 1/table 0")[0].tensor_proto.string_val[0].decode()
    assert "| yes |" in text
    assert f"{1 - x['yes'][0]:.0f}: " in text
