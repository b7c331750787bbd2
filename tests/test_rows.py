"""What x may be: arrays and frames of every kind, streams of batches; and the errors of each."""

import datetime
import decimal
import itertools
import math
import pickle
import threading
import tracemalloc
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf
import zoo
from keras import layers

import keras_sensitivity as ks
from keras_sensitivity.rows.pickling import check_picklable
from keras_sensitivity.rows.sparse import SparseRows

STD = ks.Definition(scale="std")

X = zoo.rows(60)
WEIGHTS = np.random.default_rng(5).random(60) + 0.1


def same(one, other):
    pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-5, atol=1e-7)
    assert one.num_samples == other.num_samples


class Batches(keras.utils.PyDataset):
    def __init__(self, x=X, size=7, y=True):
        super().__init__()
        self.x, self.size, self.y = x, size, y

    def __len__(self):
        return math.ceil(len(self.x) / self.size)

    def __getitem__(self, index):
        part = self.x[index * self.size : (index + 1) * self.size]
        return (part, part[:, 0]) if self.y else (part,)


def dataset(*parts):
    return tf.data.Dataset.from_tensor_slices(parts if len(parts) > 1 else parts[0])


STREAMS = {
    "batched dataset": lambda: dataset(X).batch(7),
    "dataset of single rows": lambda: dataset(X),
    "dataset with a fixed batch": lambda: dataset(X).batch(6, drop_remainder=True),
    "with targets": lambda: dataset(X, X[:, 0]).batch(7),
    "with targets and equal weights": lambda: dataset(X, X[:, 0], np.ones(60)).batch(7),
    "PyDataset": Batches,
    "PyDataset of x alone": lambda: Batches(y=False),
    "from a generator": lambda: tf.data.Dataset.from_generator(
        lambda: iter(np.split(X, 10)), output_signature=tf.TensorSpec((None, 5), tf.float32)
    ),
}


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.sample(2)
def test_streams_have_the_numbers_of_the_array(name):
    model = zoo.build("relu, 3 units")
    whole = ks.measure(model, X, definition=STD)
    same(ks.measure(model, STREAMS[name](), definition=STD), whole)
    same(ks.measure(model, STREAMS[name](), batch_size=11, definition=STD), whole)
    same(ks.measure(model, STREAMS[name](), num_samples=1000, definition=STD), whole)
    explained = ks.explain(model, STREAMS[name]())
    np.testing.assert_allclose(explained.features, ks.explain(model, X).features, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", STREAMS)
def test_a_number_of_samples_takes_the_rows_that_it_takes_of_the_array(name):
    model = zoo.build("linear")
    drawn = ks.measure(model, X, num_samples=20, definition=STD)
    same(ks.measure(model, STREAMS[name](), num_samples=20, definition=STD), drawn)
    assert not np.allclose(drawn.features, ks.measure(model, X[:20], definition=STD).features, rtol=1e-3)


def test_generators_are_read_once_and_kept():
    model = zoo.build("linear")
    generator = (part for part in np.split(X, 10))
    with pytest.warns(UserWarning, match="its first 45 rows are measured"):
        same(ks.measure(model, generator, num_samples=45, definition=STD), ks.measure(model, X[:45], definition=STD))
    explained = ks.explain(model, (part for part in np.split(X, 10)))
    np.testing.assert_allclose(explained.features, ks.explain(model, X).features, rtol=1e-4)
    same(ks.measure(model, (part for part in np.split(X, 10)), definition=STD), ks.measure(model, X, definition=STD))


def test_endless_streams_need_a_number_of_samples():
    model = zoo.build("linear")
    endless = dataset(X).batch(20).repeat()
    with pytest.warns(UserWarning, match="x does not say where it ends, so its first 60 rows are measured"):
        same(ks.measure(model, endless, num_samples=60, definition=STD), ks.measure(model, X, definition=STD))
    for use in (ks.measure, ks.explain):
        with pytest.raises(ValueError, match="x never ends"):
            use(model, endless)


def test_a_fit_reads_a_dataset():
    model = zoo.build("linear")
    model.compile(keras.optimizers.SGD(0.0), "mse")
    data = dataset(X, X[:, 0]).batch(16)
    watch = ks.SensitivityCallback(data, definition=STD)
    model.fit(data, epochs=2, callbacks=[watch], verbose=0)
    same(watch.importance, ks.measure(model, X, definition=STD))
    # With num_samples=None, each look reads the data anew, from wherever they are.
    every = ks.SensitivityCallback(data, definition=STD, num_samples=None)
    model.fit(data, epochs=2, callbacks=[every], verbose=0)
    same(every.importance, ks.measure(model, X, definition=STD))


# --- sample weights -------------------------------------------------------------------------------------------------


def test_sample_weights_weigh_the_rows():
    counts = np.random.default_rng(3).integers(0, 4, 60)
    model = zoo.build("relu, 3 units")
    weighted = ks.measure(model, dataset(X, X[:, 0], counts.astype("float32")).batch(7), definition=STD)
    repeated = ks.measure(model, np.repeat(X, counts, axis=0), definition=STD)
    pd.testing.assert_series_equal(weighted.features, repeated.features, rtol=1e-5)
    pd.testing.assert_frame_equal(
        weighted.table[["importance", "rms", "mean", "std"]],
        repeated.table[["importance", "rms", "mean", "std"]],
        rtol=1e-5,
    )
    assert weighted.num_samples == (counts > 0).sum()


def test_sample_weights_in_a_fit():
    model = zoo.build("relu, 3 units")
    model.compile(keras.optimizers.SGD(0.0), "mse")
    data = dataset(X, np.zeros((60, 3)), WEIGHTS).batch(16)
    watch = ks.SensitivityCallback(data, definition=STD)
    model.fit(data, epochs=1, callbacks=[watch], verbose=0)
    g = ks.explain(model, X, definition=ks.PAPER).gradients.astype("float64")
    mean = np.average(X.astype("float64"), axis=0, weights=WEIGHTS)
    std = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=WEIGHTS))
    rms = np.sqrt(np.average((g**2).sum(axis=1), axis=0, weights=WEIGHTS)) * std
    np.testing.assert_allclose(watch.importance.features, 100 * rms / rms.sum(), rtol=1e-4)


@pytest.mark.parametrize("weights", [-WEIGHTS, np.full(60, np.nan), np.ones((60, 2))])
def test_weights_that_cannot_weigh(weights):
    with pytest.raises(ValueError, match="sample weights that cannot weigh rows"):
        ks.measure(zoo.build("linear"), dataset(X, X[:, 0], weights).batch(60), definition=STD)


def test_weights_that_are_all_zero():
    with pytest.raises(ValueError, match="The sample weights of x are all 0"):
        ks.measure(zoo.build("linear"), dataset(X, X[:, 0], np.zeros(60)).batch(7), definition=STD)


# --- broken streams -------------------------------------------------------------------------------------------------


class Broken(keras.utils.PyDataset):
    """Breaks at its second batch."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def __len__(self):
        return 3

    def __getitem__(self, index):
        part = X[20 * index : 20 * index + 20]
        if index == 1:
            if self.how == "raises":
                raise OSError("the disk is gone")
            part = {"more columns": np.ones((4, 6)), "empty": X[:0], "NaN": np.full((4, 5), np.nan)}[self.how]
        return part, part[:, :1]


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        (
            "raises",
            RuntimeError,
            r"x could not be read to its end: batch 1 .from 0. failed(.|\n)*the disk is gone",
        ),
        ("more columns", ValueError, "5 columns"),
        ("empty", ValueError, r"Batch 1 of x \(from 0\) has no rows"),
        ("NaN", ValueError, "x has values that are NaN or infinite"),
    ],
)
def test_a_stream_that_breaks_half_way_gives_one_error_and_no_number(how, error, message):
    model = zoo.build("linear")
    with pytest.raises(error, match=message):
        ks.measure(model, Broken(how), definition=STD)
    model.compile("sgd", "mse")
    with pytest.raises(error, match=message):  # before the first step
        model.fit(X, X[:, :1], callbacks=[ks.SensitivityCallback(Broken(how))], verbose=0)
    assert model.optimizer.iterations == 0


def test_a_subclassed_model_says_when_columns_change():
    class Any(keras.Model):
        def __init__(self):
            super().__init__()
            self.out = layers.Dense(1)

        def call(self, x):
            return self.out(keras.ops.mean(x, axis=1, keepdims=True) * x[:, :2])

    model = Any()
    model(X)
    with pytest.raises(ValueError, match=r"Batch 1 of x \(from 0\) differs from the first"):
        ks.measure(model, iter([X[:5], X[:5, :4]]), num_samples=10, definition=STD)


def test_an_empty_stream():
    for empty in (dataset(X).batch(7).take(0), iter([])):
        with pytest.raises(ValueError, match="x has no rows"):
            ks.measure(zoo.build("linear"), empty, num_samples=5, definition=STD)


def test_tuples_that_are_no_batches():
    with pytest.raises(ValueError, match="x yields tuples that are no batches"):
        ks.measure(zoo.build("linear"), dataset(X, X, X, X).batch(5), definition=STD)


# --- frames and types -----------------------------------------------------------------------------------------------


def test_nullable_and_categorical_columns():
    model = zoo.build("linear")
    values = np.round(X, 1)
    values[:, 0] = np.arange(60) % 7
    plain = pd.DataFrame(values, columns=list("abcde"))
    nullable = plain.astype({"a": "Int64", "b": "Float32", "c": "category"})
    pd.testing.assert_series_equal(
        ks.measure(model, nullable, definition=STD).features,
        ks.measure(model, plain, definition=STD).features,
        rtol=1e-5,
    )
    with pytest.raises(ValueError, match=r"NaN or infinite(.|\n)*'a' in 1 rows"):
        ks.measure(model, nullable.assign(a=nullable["a"].where(nullable.index > 0)), definition=STD)
    with pytest.raises(TypeError, match="columns that are not numbers: 'e'"):
        ks.measure(model, nullable.assign(e=pd.Categorical(["red", "blue"] * 30)), definition=STD)


@pytest.mark.parametrize("kind", ["object", "string", "category"])
def test_words_in_a_series(kind):
    lookup = layers.StringLookup(vocabulary=["red", "green", "blue"], output_mode="one_hot")
    inputs = keras.Input((1,), dtype="string", name="colour")
    model = keras.Model({"colour": inputs}, layers.Dense(1)(lookup(inputs)))
    words = pd.Series(["red", "green", "blue", "red"] * 5)
    importance = ks.measure(model, {"colour": words.astype(kind)}, definition=STD)
    assert importance.features.to_dict() == {"colour": pytest.approx(100)}
    assert ks.explain(model, {"colour": words.astype(kind)}).values(1) == {"colour": "green"}
    with pytest.raises(ValueError, match="The input 'colour' has values that are no strings"):
        ks.measure(model, {"colour": words.where(words != "red").astype(kind)}, definition=STD)


# --- several inputs -------------------------------------------------------------------------------------------------


def two(**names):
    a, b = keras.Input((2,), name="a"), keras.Input((1,), name="b")
    return keras.Model({"a": a, "b": b}, layers.Dense(1)(layers.Concatenate()([a, b])))


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ({"a": X[:, :2]}, ValueError, "x has not all inputs of the model: 'b' missing"),
        (X[:, :3], TypeError, "x has not all inputs of the model: 'a', 'b' missing"),
        ({"a": X[:, :2], "b": X[:9, :1]}, ValueError, "The inputs have different numbers of rows"),
        ({"a": X[:, :3], "b": X[:, :1]}, ValueError, "The input 'a' has a different number of columns"),
        ({"a": X[:, :2], "b": np.full((60, 1), np.nan)}, ValueError, r"NaN or infinite(.|\n)*'b' in 60 rows"),
        ({"a": X[:, :2], "b": np.array([["red"]] * 60)}, TypeError, "not numbers: 'b'"),
    ],
)
def test_inputs_that_do_not_fit(x, error, message):
    with pytest.raises(error, match=message):
        ks.measure(two(), x, definition=STD)


def test_a_list_of_one_input_takes_the_array_and_a_list_of_it():
    inputs = keras.Input((5,))
    model = keras.Model([inputs], layers.Dense(1)(inputs))
    whole = ks.measure(model, X, definition=STD)
    same(ks.measure(model, [X], definition=STD), whole)
    same(ks.measure(model, pd.DataFrame(X, columns=[f"x{index}" for index in range(5)]), definition=STD), whole)


def test_a_list_of_another_length():
    a, b = keras.Input((2,)), keras.Input((1,))
    model = keras.Model([a, b], layers.Dense(1)(layers.Concatenate()([a, b])))
    with pytest.raises(ValueError, match="x does not hold the inputs of the model"):
        ks.measure(model, [X[:, :2]], definition=STD)


def test_gradients_and_rows_have_the_structure_of_x():
    x = {"b": X[:, :1], "a": X[:, 1:3]}
    explanation = ks.explain(two(), x)
    assert explanation.gradients["a"].shape == (60, 1, 2)
    assert explanation.gradients["b"].shape == (60, 1, 1)
    np.testing.assert_array_equal(explanation.x["a"], x["a"])
    near = {"a": x["a"] + 0.5, "b": x["b"] - 0.25}
    predicted = explanation.approximate(near)
    moves = explanation.gradients["a"].sum(axis=2) * 0.5 - explanation.gradients["b"][:, :, 0] * 0.25
    np.testing.assert_allclose(predicted - explanation.predictions, moves, rtol=1e-4, atol=1e-5)


def test_there_is_no_expansion_between_codes():
    inputs = keras.Input((1,), dtype="int32", name="city")
    model = keras.Model(inputs, layers.Dense(1)(layers.Flatten()(layers.Embedding(5, 2)(inputs))))
    codes = np.arange(20)[:, None] % 5
    explanation = ks.explain(model, codes)
    with pytest.raises(ValueError, match="There is no first-order expansion of a model with codes"):
        explanation.approximate(codes)


# --- inputs without a path ------------------------------------------------------------------------------------------


def compared():
    """A code that is only compared, beside numbers."""
    code, numbers = keras.Input((1,), dtype="int32", name="code"), keras.Input((2,), name="numbers")
    flag = keras.ops.cast(code > 2, "float32")
    return keras.Model({"code": code, "numbers": numbers}, layers.Dense(1)(layers.Concatenate()([flag, numbers])))


def test_an_input_without_a_path_is_named_and_can_be_left_out():
    model, x = compared(), {"code": np.arange(60) % 5, "numbers": X[:, :2]}
    with pytest.raises(
        ValueError, match=r"does not depend on 'code' through derivatives, but it does on 'numbers'"
    ) as raised:
        ks.measure(model, x, definition=STD)
    assert "exclude=['code']" in str(raised.value)
    importance = ks.measure(model, x, exclude=["code"], definition=STD)
    assert list(importance.features.index) == ["numbers/0", "numbers/1"]
    assert ks.explain(model, x, exclude=["code"]).features.shape == (60, 2)
    watch = ks.SensitivityCallback(x, exclude=["code"])
    model.compile("sgd", "mse")
    model.fit(x, X[:, 0], epochs=1, callbacks=[watch], verbose=0)
    assert list(watch.trajectory.columns) == ["numbers/0", "numbers/1"]


def test_a_code_that_is_mixed_with_numbers_before_it_can_be_followed():
    class Mixed(keras.Model):
        """Its one-hot code is made and joined to the numbers outside of any layer."""

        def __init__(self):
            super().__init__()
            self.lookup, self.out = layers.Embedding(5, 2), layers.Dense(1)

        def call(self, x):
            code = keras.ops.one_hot(keras.ops.squeeze(x["code"], 1), 5)
            city = keras.ops.squeeze(self.lookup(x["city"]), 1)
            return self.out(keras.ops.concatenate([code, x["numbers"], city], axis=1))

    model = Mixed()
    x = {"code": np.arange(60)[:, None] % 5, "city": np.arange(60)[:, None] % 4, "numbers": X[:, :2]}
    model(x)
    with pytest.raises(ValueError, match="does not depend on 'code' through derivatives"):
        ks.measure(model, x, definition=STD)
    kernel = model.out.kernel.numpy()[:, 0]
    city = model.lookup(x["city"]).numpy()[:, 0]
    q = [np.sqrt(((kernel[7:] * city.std(axis=0)) ** 2).sum()), *np.abs(kernel[5:7] * X[:, :2].std(axis=0))]
    features = ks.measure(model, x, exclude=["code"], definition=STD).features
    np.testing.assert_allclose(features, 100 * np.array(q) / np.sum(q), rtol=1e-4)
    assert list(features.index) == ["city", "numbers/0", "numbers/1"]


@pytest.mark.parametrize("exclude", [["x"], ["code", "numbers"], "code", 3])
def test_exclude_names_inputs(exclude):
    with pytest.raises(ValueError, match="`exclude` does not name some of the model's inputs"):
        ks.measure(compared(), {"code": np.arange(60) % 5, "numbers": X[:, :2]}, exclude=exclude, definition=STD)


def test_an_unused_input_is_named():
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    model = keras.Model([a, b], [layers.Dense(1, name="one")(a), layers.Dense(1, name="two")(b)])
    x = [X[:, :2], X[:, 2:4]]
    assert len(ks.measure(model, x, definition=STD).features) == 4
    with pytest.raises(ValueError, match="does not depend on 'b' through derivatives, but it does on 'a'"):
        ks.measure(model, x, definition=ks.Definition(scale="std", output="one"))
    assert list(
        ks.measure(model, x, definition=ks.Definition(scale="std", output="one"), exclude=["b"]).features.index
    ) == [
        "a/0",
        "a/1",
    ]


# --- heads ----------------------------------------------------------------------------------------------------------


def test_heads_have_shares_of_their_own_and_logits_each():
    inputs = keras.Input((5,))
    kind, risk = layers.Dense(3, "softmax", name="kind"), layers.Dense(1, "sigmoid", name="risk")
    model = keras.Model(inputs, {"kind": kind(inputs), "risk": risk(inputs)})
    logits = ks.measure(model, X, definition=ks.Definition(scale="std", logits=True))
    assert list(logits.by_output.index) == ["kind/0", "kind/1", "kind/2", "risk"]
    weights = np.concatenate([kind.kernel.numpy(), risk.kernel.numpy()], axis=1) * X.std(axis=0)[:, None]
    np.testing.assert_allclose(logits.by_output.T, 100 * np.abs(weights) / np.abs(weights).sum(axis=0), rtol=1e-3)
    one = ks.measure(model, X, definition=ks.Definition(scale="std", output="risk", logits=True))
    np.testing.assert_allclose(one.features, logits.by_output.loc["risk"], rtol=1e-4)


# --- wide data ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_wide_data_stay_usable(tmp_path):
    columns = 10_000
    x = np.random.default_rng(0).normal(size=(300, columns)).astype("float32")
    model = keras.Sequential([keras.Input((columns,)), layers.Dense(4), layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1e-6), "mse")
    watch = ks.SensitivityCallback(x, definition=STD, log_dir=tmp_path)
    model.fit(x, x[:, 0], epochs=2, callbacks=[watch], verbose=0)
    assert watch.trajectory.shape == (2, columns)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) < 2e6
    assert len(pickle.dumps(watch.importance)) < 20e6
    assert watch.importance.table.shape == (columns, 8)
    assert len(watch.importance._repr_html_()) < 1e6
    explanation = ks.explain(model, x[:3], log_dir=tmp_path)
    assert explanation.features.shape == (3, columns)


def test_a_stream_is_never_held_as_a_whole():
    """Of 200 MB of rows, a tenth at the most is alive at a time."""
    import tracemalloc

    block = np.random.default_rng(0).normal(size=(1000, 500)).astype("float32")
    model = keras.Sequential([keras.Input((500,)), layers.Dense(1)])

    class Blocks(keras.utils.PyDataset):
        def __len__(self):
            return 100

        def __getitem__(self, index):
            return block + index, np.zeros(1000)

    ks.measure(model, Blocks(), batch_size=1000, num_samples=2000, definition=STD)
    tracemalloc.start()
    importance = ks.measure(model, Blocks(), batch_size=1000, definition=STD)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert importance.num_samples == 100_000
    assert peak < 20e6


def test_the_order_of_the_columns_is_the_models(tmp_path):
    x = {"b": X[:, :1], "a": X[:, 1:3]}
    importance = ks.measure(two(), dict(itertools.islice(x.items(), 2)), definition=STD)
    assert list(importance.features.index) == ["a/0", "a/1", "b"]
    importance.save(tmp_path / "importance.npz")
    pd.testing.assert_frame_equal(ks.Importance.load(tmp_path / "importance.npz").table, importance.table)


@pytest.mark.slow
def test_a_sequence_of_tokens_to_a_sequence_in_one_pass():
    """Both ways to the same-step derivatives agree behind an embedding with a mask."""
    model = keras.Sequential(
        [
            keras.Input((5,), dtype="int32", name="word"),
            layers.Embedding(6, 3, mask_zero=True),
            layers.GRU(4, return_sequences=True),
            layers.Dense(2),
        ]
    )
    mixed = keras.Model(
        model.inputs, keras.ops.multiply(1.0, model(model.inputs[0]))
    )  # an operation that may mix steps
    words = np.random.default_rng(0).integers(0, 6, (40, 5))
    words[:, 0] = np.maximum(words[:, 0], 1)
    definition = ks.Definition(scale="std", mode="many-to-many")
    one, exact = (ks.measure(each, words, definition=definition) for each in (model, mixed))
    pd.testing.assert_frame_equal(one.table, exact.table, rtol=1e-4)
    pd.testing.assert_series_equal(one.lags, exact.lags, rtol=1e-4)
    assert one.lags.iloc[0] > one.lags.iloc[4]


def test_a_table_and_another_clock_beside_a_sequence_to_a_sequence():
    """Inputs without the steps of the output keep the derivatives of its newest step."""
    shapes = {"past": (5, 2), "days": (3, 1), "fixed": (1,)}
    past, days, fixed = (keras.Input(shape, name=name) for name, shape in shapes.items())
    of_past, of_days, of_fixed = layers.Dense(1), layers.Dense(1), layers.Dense(1)
    level = layers.Add()([of_days(layers.Flatten()(days)), of_fixed(fixed)])
    steps = of_past(past)
    model = keras.Model([past, days, fixed], layers.Add()([steps, layers.RepeatVector(5)(level)]))
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(40, *shape)).astype("float32") for shape in shapes.values()]
    importance = ks.measure(model, x, definition=ks.Definition(scale=None))
    past_w, days_w, fixed_w = (np.abs(layer.kernel.numpy()[:, 0]) for layer in (of_past, of_days, of_fixed))
    q = np.array([*past_w, days_w.mean(), fixed_w[0]])
    np.testing.assert_allclose(importance.features, 100 * q / q.sum(), rtol=1e-4)
    gamma = np.zeros(5)
    gamma[0] = past_w.sum()
    gamma[:3] += days_w[::-1]
    np.testing.assert_allclose(importance.lags, 100 * gamma / gamma.sum(), rtol=1e-4)
    assert importance.by_lag["fixed"].isna().all()
    np.testing.assert_allclose(importance.lags, 100 * importance.by_lag.sum(axis=1) / importance.by_lag.sum().sum())


@pytest.mark.parametrize("many", [False, True], ids=["many-to-one", "many-to-many"])
@pytest.mark.sample(2)
def test_masked_tokens_have_the_numbers_of_masked_embeddings(many):
    """Behind ``mask_zero`` as behind `Masking`: the same network, fed with what the tokens are looked up as."""
    lookup, rnn, out = layers.Embedding(6, 3, mask_zero=True), layers.GRU(4, return_sequences=many), layers.Dense(1)
    words = np.random.default_rng(0).integers(1, 6, (40, 5))
    words[np.arange(5) >= np.random.default_rng(1).integers(1, 6, (40, 1))] = 0
    model = keras.Sequential([keras.Input((5,), dtype="int32", name="word"), lookup, rnn, out])
    twin = keras.Sequential([keras.Input((5, 3)), layers.Masking(0.0), rnn, out])
    embedded = lookup(words).numpy() * (words > 0)[:, :, None]
    mode = "many-to-many" if many else "many-to-one"
    tokens = ks.measure(model, words, definition=ks.Definition(scale="std", mode=mode))
    groups = {"word": ["x0", "x1", "x2"]}
    vectors = ks.measure(twin, embedded, groups=groups, definition=STD)
    pd.testing.assert_series_equal(tokens.lags, vectors.lags, rtol=1e-4)
    pd.testing.assert_frame_equal(tokens.by_lag, vectors.by_lag, rtol=1e-4)
    local = ks.explain(model, words, definition=ks.Definition(scale="std", mode=mode)).lags
    pd.testing.assert_frame_equal(local, ks.explain(twin, embedded, groups=groups).lags, rtol=1e-3, atol=1e-4)


# --- columns of all kinds -------------------------------------------------------------------------------------------

DAYS = ["2020-01-01", "2020-01-02", "2020-01-03T12", "2019-12-31"] * 15
IN_DAYS = np.array([18262, 18263, 18264.5, 18261] * 15)
HOURS, FLAGS = np.array([12, 36, 0, 6] * 15), np.array([True, False, False, True] * 15)


def as_objects(values):
    return pd.Series(list(values), dtype=object)


# A column as people have it, and the numbers that it stands for.
COLUMNS = {
    "objects that are numbers": (as_objects(X[:, 0]), X[:, 0]),
    "decimals": (
        as_objects(decimal.Decimal(int(100 * value)) / 100 for value in X[:, 0]),
        np.trunc(100 * X[:, 0]) / 100,
    ),
    "digits": (pd.Series([str(value) for value in X[:, 0]]), X[:, 0]),
    "Python's booleans": (as_objects(FLAGS.tolist()), FLAGS),
    "nullable booleans": (pd.Series(FLAGS, dtype="boolean"), FLAGS),
    "categories of booleans": (pd.Series(FLAGS, dtype="category"), FLAGS),
    "dates and times": (pd.Series(np.array(DAYS, "datetime64[s]")), IN_DAYS),
    "times with a zone": (pd.Series(np.array(DAYS, "datetime64[s]")).dt.tz_localize("Etc/GMT-1"), IN_DAYS - 1 / 24),
    "Python's dates": (as_objects(pd.Timestamp(day).date() for day in DAYS), np.floor(IN_DAYS)),
    "Python's times": (as_objects(pd.Timestamp(day).to_pydatetime() for day in DAYS), IN_DAYS),
    "periods": (pd.Series(pd.PeriodIndex(DAYS, freq="D")), np.floor(IN_DAYS)),
    "categories of dates": (pd.Series(np.array(DAYS, "datetime64[s]")).astype("category"), IN_DAYS),
    "durations": (pd.Series(pd.to_timedelta(HOURS, "h")), HOURS / 24),
    "Python's durations": (as_objects(datetime.timedelta(hours=int(hours)) for hours in HOURS), HOURS / 24),
    "sparse numbers": (pd.Series(pd.arrays.SparseArray(np.where(FLAGS, X[:, 0], 0), fill_value=0)), FLAGS * X[:, 0]),
    "sparse booleans": (pd.Series(pd.arrays.SparseArray(FLAGS, fill_value=False)), FLAGS),
}


@pytest.fixture(scope="module")
def of_two():
    """A model of two numbers, whose derivatives tell of each row."""
    model = keras.Sequential([keras.Input((2,)), layers.Dense(4, "tanh"), layers.Dense(1)])
    model.layers[0].kernel.assign([[0.5, -1, 0.1, 2], [1, 1, -2, 0.3]])
    return model


@pytest.fixture(scope="module")
def of_five():
    return zoo.build("relu, 3 units")


def measured(model, x):
    return ks.measure(model, x, definition=ks.Definition(scale=[1.0, 1.0]), jit_compile=False)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_is_the_numbers_that_it_stands_for(name, of_two):
    column, numbers = COLUMNS[name]
    around = np.floor(np.mean(numbers))  # dates are far from 0, where tanh is flat
    centred = keras.Sequential([keras.Input((2,)), layers.Rescaling(1.0, offset=[-around, 0.0]), of_two])
    expected = np.column_stack([numbers, X[:, 1]]).astype("float64")
    found = measured(centred, pd.DataFrame({"it": column, "beside": X[:, 1]}))
    assert list(found.features.index) == ["it", "beside"]
    assert not np.allclose(found.features, measured(centred, expected + np.array([0.5, 0.0])).features, rtol=1e-3)
    np.testing.assert_allclose(found.features, measured(centred, expected).features, rtol=1e-5)


@pytest.mark.parametrize(("name", "missing"), [*zip(COLUMNS, 4 * [None, np.nan, pd.NA, pd.NaT], strict=True)])
def test_what_is_missing_is_named(name, missing, of_two):
    column = COLUMNS[name][0].astype(object)
    column[[3, 5]] = missing
    with pytest.raises(ValueError, match=r"NaN or infinite(.|\n)*'it' in 2 rows"):
        measured(of_two, pd.DataFrame({"it": column, "beside": X[:, 1]}))


@pytest.mark.parametrize(
    "column",
    [["red", "blue"] * 30, [1j] * 60, [pd.Interval(0, 1)] * 60, [{"a": 1}] * 60, [1.0, "red"] * 30],
    ids=["words", "complex", "intervals", "dicts", "mixed"],
)
def test_what_is_no_number_is_refused_by_name(column, of_two):
    with pytest.raises(TypeError, match=r"columns that are not numbers: 'it'(.|\n)*dates or durations"):
        measured(of_two, pd.DataFrame({"it": column, "beside": X[:, 1]}))


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.astype(object),
        lambda x: np.ma.masked_array(x, np.zeros(x.shape, bool)),
        lambda x: x.astype(str),
        lambda x: [list(map(decimal.Decimal, row)) for row in x.tolist()],
        lambda x: tuple(map(tuple, x.tolist())),
        lambda x: [tf.constant(row) for row in x],
    ],
    ids=["objects", "masked", "digits", "decimals", "tuples", "rows"],
)
def test_arrays_of_all_kinds(convert, of_two):
    same(measured(of_two, convert(X[:, :2])), measured(of_two, X[:, :2]))


def test_masked_numbers_are_missing(of_two):
    with pytest.raises(ValueError, match=r"NaN or infinite(.|\n)*'x1' in 3 rows"):
        measured(of_two, np.ma.masked_array(X[:, :2], np.arange(120).reshape(60, 2) % 40 == 1))


class Table:
    """A table of another library."""

    def __init__(self, frame):
        self._frame = frame


class Convertible(Table):
    def to_pandas(self):
        return self._frame


class Interchangeable(Table):
    def __dataframe__(self, nan_as_null=False, allow_copy=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._frame.__dataframe__()


class Arrowless(Interchangeable):
    columns = property(lambda self: list(self._frame.columns))

    def to_pandas(self):
        raise ImportError("pyarrow is required")

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self._frame, dtype=dtype)


class Labelled(Table):
    """An array that can have labels, such as one of xarray, and has none."""

    ndim = 2

    def to_pandas(self):
        return self._frame.set_axis(pd.RangeIndex(2), axis=1)


def polars(frame):
    return pytest.importorskip("polars").DataFrame({name: frame[name].to_numpy() for name in frame})


def arrow(frame):
    return pytest.importorskip("pyarrow").table({name: frame[name].to_numpy() for name in frame})


@pytest.mark.parametrize("convert", [Convertible, Interchangeable, Arrowless, Labelled, polars, arrow])
def test_tables_of_other_libraries(convert, of_two):
    frame = pd.DataFrame(X[:, :2], columns=["age", "income"])
    names = ["x0", "x1"] if convert is Labelled else ["age", "income"]
    expected = measured(of_two, frame.set_axis(names, axis=1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(measured(of_two, convert(frame)), expected)
        same(measured(of_two, iter([convert(frame[:30]), convert(frame[30:])])), expected)
        explained = ks.explain(of_two, convert(frame[:2]), background=convert(frame), jit_compile=False)
    assert list(explained.features) == names


def test_a_table_of_another_library_for_a_dict_of_inputs():
    a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b")
    model = keras.Model({"a": a, "b": b}, layers.Dense(1)(layers.Concatenate()([a, b])))
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"])
    expected = ks.measure(model, frame, definition=STD)
    same(ks.measure(model, Convertible(frame), definition=STD), expected)
    parts = {name: Interchangeable(frame[[name]]) for name in frame}
    same(ks.measure(model, parts, definition=STD), expected)


# --- sparse rows ----------------------------------------------------------------------------------------------------

SPARSE = np.where(np.random.default_rng(4).random((60, 5)) < 0.4, X, 0).astype("float32")

SPARSE_KINDS = {
    "csr": scipy.sparse.csr_matrix,
    "csc": scipy.sparse.csc_array,
    "coo": scipy.sparse.coo_matrix,
    "lil": scipy.sparse.lil_array,
    "dok": scipy.sparse.dok_matrix,
    "tensor": tf.sparse.from_dense,
    "frame": lambda x: pd.DataFrame.sparse.from_spmatrix(scipy.sparse.csr_array(x)),
    "some columns": lambda x: pd.DataFrame(x).astype(
        {1: pd.SparseDtype("float32", 0), 3: pd.SparseDtype("float32", 0)}
    ),
}


@pytest.mark.parametrize("kind", SPARSE_KINDS)
def test_sparse_rows_have_the_numbers_of_the_array(kind, of_five):
    x, names = SPARSE_KINDS[kind](SPARSE), {"feature_names": list("abcde")}
    same(ks.measure(of_five, x, **names), ks.measure(of_five, SPARSE, **names))


def test_a_part_of_sparse_rows_and_their_explanation(of_five):
    x = scipy.sparse.csr_array(SPARSE)
    same(ks.measure(of_five, x, num_samples=20), ks.measure(of_five, SPARSE, num_samples=20))
    explained = ks.explain(of_five, x)
    np.testing.assert_allclose(explained.features, ks.explain(of_five, SPARSE).features, rtol=1e-5)
    np.testing.assert_array_equal(explained.x, SPARSE)


def test_sparse_rows_have_zeros_a_batch_at_a_time(monkeypatch):
    taken, take = [], SparseRows.__getitem__

    def counted(self, where):
        rows = take(self, where)
        taken.append(len(rows))
        return rows

    monkeypatch.setattr(SparseRows, "__getitem__", counted)
    definition = ks.Definition(scale="std", change="derivative")
    ks.measure(zoo.build("linear"), scipy.sparse.csr_array(SPARSE), batch_size=7, definition=definition)
    assert max(taken) == 7
    assert sum(taken) == 67  # all rows, and a first batch to try


def test_streams_of_sparse_rows():
    model = zoo.build("linear")
    tensors = tf.data.Dataset.from_tensor_slices((tf.sparse.from_dense(SPARSE), SPARSE[:, 0])).batch(16)
    frames = SPARSE_KINDS["frame"](SPARSE).set_axis(list("abcde"), axis=1)
    expected = ks.measure(model, SPARSE, definition=STD).features
    for num_samples, stream in [(None, tensors), (1000, tensors), (1000, iter([frames[:40], frames[40:]]))]:
        found = ks.measure(model, stream, num_samples=num_samples, definition=STD).features
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    watch = ks.SensitivityCallback(iter([frames[:40], frames[40:]]), definition=STD)
    for _ in range(2):  # the second fit has the rows that the first has kept
        model.fit(SPARSE, SPARSE[:, 0], callbacks=[watch], verbose=0)
    assert list(watch.trajectory) == list("abcde")


def test_sparse_numbers_that_are_not_finite_are_named():
    x = SPARSE.copy()
    x[:3, 2] = np.inf
    with pytest.raises(ValueError, match=r"NaN or infinite(.|\n)*'x2' in 3 rows"):
        ks.measure(zoo.build("linear"), scipy.sparse.csr_array(x))


# --- weights, and targets, beside arrays ----------------------------------------------------------------------------

WEIGHTS_AS = {
    "array": lambda w: w,
    "list": list,
    "column": lambda w: w[:, None],
    "tensor": tf.constant,
    "Series": pd.Series,
    "Series of another order": lambda w: pd.Series(w, index=np.arange(len(w))[::-1]),
    "objects": as_objects,
    "table of one column": lambda w: Convertible(pd.DataFrame({"weight": w})),
}


@pytest.mark.parametrize(
    ("kind", "num_samples"), [*((kind, None) for kind in WEIGHTS_AS), ("array", 20), ("Series", 20)]
)
def test_sample_weights_of_arrays_are_those_of_a_stream(kind, num_samples, of_five):
    model = of_five
    frame = pd.DataFrame(X, index=np.random.default_rng(0).permutation(60))
    options = {"definition": STD, "num_samples": num_samples, "feature_names": list("abcde")}
    found = ks.measure(model, frame, sample_weight=WEIGHTS_AS[kind](WEIGHTS), **options)
    same(found, ks.measure(model, dataset(X, X[:, 0], WEIGHTS).batch(7), **options))
    assert not np.allclose(found.features, ks.measure(model, frame, **options).features, rtol=1e-3)


@pytest.mark.parametrize(
    ("weights", "received"),
    [
        (WEIGHTS[:-1], r"weights of shape \(59,\)"),
        (np.ones((60, 2)), r"weights of shape \(60, 2\)"),
        (1.0, r"weights of shape \(\)"),
        (np.where(np.arange(60) < 2, -1, 1), "2 weights that are negative"),
        (np.where(np.arange(60) < 3, np.nan, 1), "3 weights that are negative, NaN or infinite"),
        ({0: 1.0, 1: 2.0}, "an object of type dict"),
        (["red"] * 60, "an object of type list"),
        ("balanced", "an object of type str"),
    ],
)
def test_sample_weights_that_are_none(weights, received):
    model = zoo.build("linear")
    with pytest.raises(ValueError, match=rf"`sample_weight` cannot weigh(.|\n)*\(60,\)(.|\n)*Received: {received}"):
        ks.measure(model, X, sample_weight=weights)


def test_sample_weights_that_are_all_zero_are_refused_at_once(traces):
    with pytest.raises(ValueError, match="The sample weights of x are all 0"):
        ks.measure(zoo.build("linear"), X, sample_weight=np.zeros(60))
    assert not traces


def test_sample_weights_beside_a_stream():
    for stream in (dataset(X).batch(7), Batches(), iter([X])):
        with pytest.raises(
            ValueError, match=r"`sample_weight` was passed beside a stream(.|\n)*yield \(x, y, sample_w"
        ):
            ks.measure(zoo.build("linear"), stream, sample_weight=WEIGHTS)


def of_three():
    inputs = [keras.Input((5,), name=name) for name in "abc"]
    return keras.Model(inputs, layers.Dense(1)(layers.Concatenate()(inputs)))


@pytest.mark.parametrize(
    ("build", "x", "words"),
    [
        (zoo.linear, (X, X[:, 0]), r"a tuple of 2 arrays, which looks like \(x, y\)"),
        (zoo.linear, (X, X[:, :1], WEIGHTS), r"a tuple of 3 arrays, which looks like \(x, y, sample_weight\)"),
        (zoo.linear, (X, X), r"a tuple of 2 arrays"),
        (zoo.linear, [X, X[:, 0]], r"a list of 2 arrays"),
        (zoo.linear, (pd.DataFrame(X), pd.Series(X[:, 0])), r"a tuple of 2 arrays"),
        (zoo.linear, (tf.constant(X), tf.constant(X)), r"a tuple of 2 arrays"),
        (zoo.linear, (scipy.sparse.csr_array(X), X[:, 0]), r"a tuple of 2 arrays"),
        (zoo.subclassed, (X, X[:, 0]), r"a tuple of 2 arrays"),
        (two, ({"a": X[:, :2], "b": X[:, :1]}, X[:, 0]), r"a tuple of 2 arrays"),
        (of_three, ([X, X, X], X[:, 0], WEIGHTS), r"a tuple of 3 arrays"),
        (of_three, ({"a": X, "b": X, "c": X}, X[:, 0]), r"a tuple of 2 arrays"),
    ],
)
def test_x_together_with_its_targets(build, x, words):
    with pytest.raises(TypeError, match=rf"x is {words}(.|\n)*x alone(.|\n)*pass x\[0\]") as raised:
        ks.measure(build(), x)
    assert ("sample_weight=x[2]" in str(raised.value)) == (len(x) == 3)


def test_as_many_arrays_as_the_model_has_inputs_are_its_inputs():
    model = of_three()
    same(ks.measure(model, (X, X, X), definition=STD), ks.measure(model, [X, X, X], definition=STD))


# --- what can be pickled --------------------------------------------------------------------------------------------


class Locked(Batches):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    "x",
    [X, pd.DataFrame(X), {"a": X}, tf.constant(X), scipy.sparse.csr_array(X), Batches(), None],
    ids=["array", "frame", "dict", "tensor", "sparse", "PyDataset", "nothing"],
)
def test_rows_that_can_be_pickled(x):
    check_picklable(x)


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (dataset(X).batch(7), "_BatchDataset"),
        (dataset(X).repeat(), "_RepeatDataset"),
        ((part for part in X), "generator"),
        (Locked(), "Locked"),
        ({"a": dataset(X)}, "dict"),
    ],
    ids=["dataset", "endless", "generator", "PyDataset", "dict"],
)
def test_rows_that_cannot_be_pickled(x, kind):
    with pytest.raises(TypeError, match=rf"cannot be pickled with its x(.|\n)*type {kind} \(.*\)\n.*set x to None"):
        check_picklable(x)


def test_arrays_are_not_copied_to_see_whether_they_can_be_pickled():
    x = np.zeros((1000, 1000))
    both = {"a": x, "b": pd.DataFrame(x)}
    tracemalloc.start()
    check_picklable(both)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < x.nbytes / 10


# --- what is missing, in a model that handles it ----------------------------------------------------------------------

LACKING = np.where(np.random.default_rng(6).random((60, 5)) < 0.3, np.nan, X)
BESIDE = np.random.default_rng(7).normal(size=(60, 4, 2))
BESIDE[np.random.default_rng(8).random((60, 4, 2)) < 0.3] = np.nan


def filling(head=None, shape=(5,)):
    """NaN is 0, so that a derivative tells of the known values alone."""
    inputs = keras.Input(shape)
    return keras.Model(inputs, (head or layers.Dense(1))(keras.ops.nan_to_num(inputs)))


@pytest.mark.parametrize(
    ("as_what", "scale"),
    [
        ("array", "path"),
        ("array", None),
        *itertools.product(["array", "frame", "dataset", "generator", "float64"], ["std"]),
    ],
)
def test_missing_values_that_the_model_handles_are_left_out(as_what, scale):
    model = filling()
    x = {
        "array": LACKING.astype("float32"),
        "float64": LACKING,
        "frame": pd.DataFrame(LACKING, columns=list("abcde")).astype("Float64"),
        "dataset": dataset(LACKING).batch(16),
        "generator": iter(np.split(LACKING, 4)),
    }[as_what]
    definition = ks.Definition(scale=scale, change="derivative")
    found = ks.measure(model, x, num_samples=1000, definition=definition, batch_size=None if scale else 16)
    q = np.abs(model.layers[-1].kernel.numpy()[:, 0]) * (np.nanstd(LACKING, axis=0) if scale else 1)
    np.testing.assert_allclose(found.features, 100 * q / q.sum(), rtol=1e-2 if scale == "path" else 1e-4)
    assert found.num_samples == 60
    assert not found.table.drop(columns="caution").isna().any(axis=None)


def test_derivatives_are_averaged_where_there_is_a_value():
    """Of y = x**2, where what is missing is 0, g = 2 x."""
    model = filling(layers.Lambda(lambda t: keras.ops.sum(keras.ops.square(t), axis=1, keepdims=True)))
    found = ks.measure(model, LACKING, definition=ks.PAPER)
    q = 2 * np.sqrt(np.nanmean(np.square(LACKING), axis=0))
    np.testing.assert_allclose(found.table["rms"], q, rtol=1e-4)
    parts = [ks.measure(model, part, definition=ks.PAPER) for part in np.split(LACKING, 2)]
    same(parts[0].merge(parts[1]), found)


def test_missing_steps_of_a_sequence():
    head = keras.Sequential([layers.Flatten(), layers.Dense(1, use_bias=False)])
    model = filling(head, (4, 2))
    found = ks.measure(model, BESIDE, definition=ks.Definition(scale="std"))
    kernel = np.abs(head.layers[-1].kernel.numpy().reshape(4, 2))[::-1]
    r = kernel * np.nanstd(BESIDE, axis=(0, 1))
    np.testing.assert_allclose(found.by_lag, r, rtol=1e-4)


def test_an_explanation_of_rows_that_lack_something():
    model = filling()
    explanation = ks.explain(model, LACKING, definition=ks.Definition(scale="std", change="derivative"))
    kernel = model.layers[-1].kernel.numpy()[:, 0]
    squares = np.where(np.isnan(LACKING), 0, kernel * np.nanstd(LACKING, axis=0)) ** 2
    expected = 100 * squares / np.maximum(squares.sum(axis=1, keepdims=True), 1e-30)
    np.testing.assert_allclose(explanation.features, expected, rtol=1e-4, atol=1e-6)
    near = LACKING + 0.5
    predicted = model.predict(near.astype("float32"), verbose=0)
    np.testing.assert_allclose(explanation.approximate(near), predicted, rtol=1e-4, atol=1e-5)
    with_background = ks.explain(model, LACKING[:3], background=LACKING, definition=STD)
    np.testing.assert_allclose(with_background.scale, np.nanstd(LACKING, axis=0), rtol=1e-4)
    flags = np.where(np.isnan(LACKING), np.nan, LACKING > 0)
    others = [ks.explain(model, flags).table(row).loc["x0", "other_value"] for row in (0, 1)]
    assert not pd.isna(others).any()


def test_a_column_of_which_nothing_is_known_has_no_importance():
    x = LACKING.copy()
    x[:, 2] = np.nan
    found = ks.measure(filling(), x, definition=ks.Definition(change="derivative"))
    assert found.features["x2"] == 0
    assert found.features.sum() == pytest.approx(100)


def test_missing_values_while_a_model_trains(traces):
    model = filling()
    model.compile("sgd", "mse", jit_compile=False)
    watch = ks.SensitivityCallback(LACKING, definition=STD)
    model.fit(LACKING, np.zeros(60), epochs=2, callbacks=[watch], verbose=0)
    q = np.abs(model.layers[-1].kernel.numpy()[:, 0]) * np.nanstd(LACKING, axis=0)
    np.testing.assert_allclose(watch.importance.features, 100 * q / q.sum(), rtol=1e-4)
    assert traces.count("LookPass") == 1


def test_what_is_traced_for_complete_rows_serves_no_others():
    model = filling()
    complete, lacking = (ks.measure(model, x, definition=STD) for x in (X, LACKING))
    assert not np.allclose(complete.features, lacking.features, rtol=1e-3)
    same(ks.measure(model, X, definition=STD), complete)


def rooted(x):
    return keras.ops.where(keras.ops.isnan(x), 0.0, keras.ops.sqrt(keras.ops.abs(x)))


@pytest.mark.parametrize(
    ("build", "x", "error", "message"),
    [
        (zoo.linear, LACKING, ValueError, r"NaN or infinite(.|\n)*NaN of which the model makes finite(.|\n)*'x0' in"),
        (filling, np.where(np.isnan(LACKING), np.inf, X), ValueError, r"NaN or infinite(.|\n)*'x0' in"),
        (filling, np.where(np.isnan(LACKING), np.nan, 1e39), ValueError, r"NaN or infinite(.|\n)*'x0' in 60 rows"),
        (
            lambda: keras.Sequential([keras.Input((5,)), layers.Lambda(rooted), layers.Dense(1)]),
            LACKING,
            FloatingPointError,
            r"x has NaN, which the model takes out of its predictions, though not out of their deriv(.|\n)*nan_to_num",
        ),
    ],
    ids=["no", "infinity", "overflow", "derivatives"],
)
def test_missing_values_that_are_refused(build, x, error, message):
    with pytest.raises(error, match=message):
        ks.measure(build(), x, definition=STD)


def test_missing_codes_are_refused():
    codes, numbers = keras.Input((1,), dtype="int32", name="code"), keras.Input((2,), name="numbers")
    looked_up = layers.Flatten()(layers.Embedding(5, 2)(codes))
    model = keras.Model([codes, numbers], layers.Dense(1)(layers.Concatenate()([looked_up, numbers])))
    x = [np.where(np.arange(60) < 2, np.nan, np.arange(60) % 5), X[:, :2]]
    with pytest.raises(ValueError, match=r"NaN or infinite(.|\n)*'code' in 2 rows"):
        ks.measure(model, x)


def test_missing_values_of_a_stream_that_is_read_anew_are_refused():
    with pytest.raises(ValueError, match=r"NaN or infinite"):
        ks.measure(filling(), dataset(LACKING).batch(16))
