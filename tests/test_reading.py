"""A look reads its data once; the rows to measure stand for all, or a warning says that they do not."""

import itertools
import re
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tensorflow as tf
import zoo

import keras_sensitivity as ks
from keras_sensitivity.rows.reservoir import subset

STD, PAPER = ks.Definition(scale="std"), ks.PAPER

SIZE, COUNT = 5, 6
X = zoo.rows(SIZE * COUNT)
Y = X[:, :1]
PLAIN = {"jit_compile": False}


class Counted(keras.utils.PyDataset):
    def __init__(self, read):
        super().__init__()
        self.read = read

    def __len__(self):
        return COUNT

    def __getitem__(self, index):
        self.read.append(index)
        part = slice(index * SIZE, (index + 1) * SIZE)
        return X[part], Y[part]


def generator(read):
    """A generator of batches that notes each that is taken."""
    batches = Counted(read)
    return (batches[index] for index in range(COUNT))


def from_generator(read):
    spec = (tf.TensorSpec((None, 5), tf.float32), tf.TensorSpec((None, 1), tf.float32))
    return tf.data.Dataset.from_generator(lambda: generator(read), output_signature=spec)


# Streams of 6 batches of 5 rows: a function of the list in which each batch that is read is noted.
AGAIN = {"PyDataset": Counted, "from_generator": from_generator}
ENDLESS = {"generator": generator, "repeated": lambda read: from_generator(read).repeat()}
STREAMS = AGAIN | {"generator": generator}


def rows_of(kind, num_samples):
    """The rows of X that stand for a stream."""
    return X[:num_samples] if kind in ENDLESS else X[subset(len(X), num_samples)]


@pytest.fixture
def model():
    model = zoo.build("relu, 3 units")
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    return model


def fit(model, *callbacks, epochs=1, **how):
    model.fit(**({"x": X, "y": np.repeat(Y, 3, axis=1)} | how), epochs=epochs, callbacks=[*callbacks], verbose=0)


def same(one, other):
    pd.testing.assert_frame_equal(one.table, other.table, rtol=1e-5, atol=1e-7)
    assert one.num_samples == other.num_samples


# --- measure and explain --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize("kind", STREAMS)
def test_measure_reads_each_batch_once(kind, batch_size, model):
    read = []
    importance = ks.measure(model, STREAMS[kind](read), batch_size=batch_size, definition=STD, **PLAIN)
    assert read == [*range(COUNT)]
    same(importance, ks.measure(model, X, definition=STD, **PLAIN))


@pytest.mark.parametrize("num_samples", [2, 12, 30, 100])
@pytest.mark.parametrize("kind", AGAIN)
def test_a_number_of_samples_is_drawn_from_all_rows(kind, num_samples, model):
    read = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importance = ks.measure(model, AGAIN[kind](read), num_samples=num_samples, definition=PAPER, **PLAIN)
    assert read == [*range(COUNT)]
    same(importance, ks.measure(model, rows_of(kind, num_samples), definition=PAPER, **PLAIN))


@pytest.mark.parametrize("num_samples", [1, 12])
@pytest.mark.parametrize("kind", ENDLESS)
def test_of_what_may_have_no_end_no_more_batches_are_read_than_needed(kind, num_samples, model):
    read = []
    with pytest.warns(UserWarning, match=f"x does not say where it ends, so its first {num_samples} rows"):
        importance = ks.measure(model, ENDLESS[kind](read), num_samples=num_samples, definition=PAPER, **PLAIN)
    assert read == [*range(-(-num_samples // SIZE))]
    same(importance, ks.measure(model, X[:num_samples], definition=PAPER, **PLAIN))


def test_a_generator_of_fewer_rows_than_asked_for_is_read_to_its_end(model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        importance = ks.measure(model, generator([]), num_samples=100, definition=STD, **PLAIN)
    same(importance, ks.measure(model, X, definition=STD, **PLAIN))


def test_a_slow_stream_is_read_as_long_as_there_is_time(model, monkeypatch):
    monkeypatch.setattr("keras_sensitivity.rows.rows.READ_SECONDS", 0.0)
    read = []
    with pytest.warns(UserWarning, match=r"the 7 rows to measure were drawn from its first 10\. Where .*, shuffle x"):
        importance = ks.measure(model, Counted(read), num_samples=7, definition=STD, **PLAIN)
    assert read == [0, 1, 2]  # of which the last is not used: it tells that there are more
    same(importance, ks.measure(model, X[:10][subset(10, 7)], definition=STD, **PLAIN))


def test_the_rest_of_a_generator_is_left(model):
    stream = generator([])
    with pytest.warns(UserWarning, match="its first 10 rows are measured"):
        first = ks.measure(model, stream, num_samples=10, definition=STD, **PLAIN)
    same(first, ks.measure(model, X[:10], definition=STD, **PLAIN))
    same(ks.measure(model, stream, definition=STD, **PLAIN), ks.measure(model, X[10:], definition=STD, **PLAIN))


@pytest.mark.parametrize("scale", ["std", None])
@pytest.mark.parametrize("kind", STREAMS)
def test_explain_reads_each_batch_once(kind, scale, model):
    read = []
    definition = ks.Definition(scale=scale)
    explanation = ks.explain(model, STREAMS[kind](read), definition=definition, **PLAIN)
    assert read == [*range(COUNT)]
    expected = ks.explain(model, X, definition=definition, **PLAIN)
    np.testing.assert_allclose(explanation.features, expected.features, rtol=1e-4)


@pytest.mark.parametrize("kind", STREAMS)
def test_explain_reads_its_background_once(kind, model):
    read = []
    explanation = ks.explain(model, X[:2], background=STREAMS[kind](read), **PLAIN)
    assert read == [*range(COUNT)]
    expected = ks.explain(model, X[:2], background=X, **PLAIN)
    np.testing.assert_allclose(explanation.features, expected.features, rtol=1e-4)


# --- in a fit -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", AGAIN)
def test_each_look_of_a_fit_reads_its_stream_once(kind, model):
    read = []
    watch = ks.SensitivityCallback(AGAIN[kind](read), num_samples=None, definition=STD, **PLAIN)
    counts = []
    counter = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: counts.append(len(read)), on_epoch_end=lambda epoch, logs: counts.append(len(read))
    )
    fit(model, watch, counter, epochs=3)
    assert counts[0] == 1  # which the first look gets
    assert np.diff(counts).tolist() == [COUNT - 1, COUNT, COUNT]
    same(watch.importance, ks.measure(model, X, definition=STD, **PLAIN))


@pytest.mark.parametrize("kind", STREAMS)
def test_a_number_of_samples_is_read_once_for_all_fits(kind, model):
    read = []
    watch = ks.SensitivityCallback(STREAMS[kind](read), num_samples=12, definition=STD, **PLAIN)
    for _ in range(2):
        fit(model, watch, epochs=2)
    assert read == ([0, 1, 2] if kind in ENDLESS else [*range(COUNT)])
    same(watch.importance, ks.measure(model, rows_of(kind, 12), definition=STD, **PLAIN))


@pytest.mark.parametrize("num_samples", [12, 4096])
@pytest.mark.parametrize("kind", ["generator", "shuffled"])
def test_a_second_fit_looks_at_the_same_rows(kind, num_samples, model):
    tf.random.set_seed(None)
    shuffled = tf.data.Dataset.from_tensor_slices(X).shuffle(len(X)).batch(SIZE)
    assert not np.array_equal(*(np.concatenate([*shuffled.as_numpy_iterator()]) for _ in range(2)))
    stream = generator([]) if kind == "generator" else shuffled
    watch = ks.SensitivityCallback(stream, num_samples=num_samples, definition=STD, **PLAIN)
    fit(model, watch, epochs=2)
    first, second = watch.history
    same(first, second)
    fit(model, watch)
    assert watch.importance is not second
    same(watch.importance, first)


def test_a_generator_that_would_have_to_be_read_at_every_look_is_refused_unread(model):
    read = []
    with pytest.raises(ValueError, match="x is a generator, which can be read only once"):
        fit(model, ks.SensitivityCallback(generator(read), num_samples=None, definition=STD, **PLAIN))
    assert not read


@pytest.mark.parametrize("as_what", ["x", "validation_data"])
def test_a_generator_for_both_is_refused_unread(as_what):
    """`fit` itself takes its first batches before it calls anybody; nothing more is missing."""
    model = zoo.build("linear")
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    read = []
    stream = generator(read)
    taken = []
    before = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: taken.append(len(read)))
    watch = ks.SensitivityCallback(stream, definition=STD, **PLAIN)
    how = {"x": stream} if as_what == "x" else {"x": X, "y": Y, "validation_data": stream}
    with pytest.raises(ValueError, match="generator") as raised:
        model.fit(**how, epochs=2, steps_per_epoch=2, callbacks=[before, watch], verbose=0)
    assert re.fullmatch(r".*\n  Expected: .*\n  Received: .*\n  To fix it: pass .*", str(raised.value))
    assert "fit" in str(raised.value).splitlines()[0]
    assert taken == [len(read)]
    assert len(read) < COUNT
    left = [X[i : i + 5].tolist() for i in range(5 * len(read), 30, 5)]
    assert [batch[0].tolist() for batch in stream] == left
    assert model.optimizer.iterations == 0


def test_a_generator_for_the_callback_alone_works(model):
    read = []
    watch = ks.SensitivityCallback(generator(read), definition=STD, **PLAIN)
    batches = (batch for batch in itertools.repeat((X[:10], np.repeat(Y[:10], 3, axis=1))))
    fit(model, watch, epochs=2, x=batches, y=None, steps_per_epoch=2)
    assert read == [*range(COUNT)]
    same(watch.importance, ks.measure(model, X, definition=STD, **PLAIN))


def test_columns_that_change_places_are_refused(model):
    frames = [pd.DataFrame(X[:10], columns=list("abcde")), pd.DataFrame(X[:10], columns=list("acbde"))]
    with pytest.raises(ValueError, match=r"Batch 1 of x .from 0. has other columns"):
        ks.measure(model, iter(frames), definition=STD, **PLAIN)


class Unlengthy(keras.utils.PyDataset):
    def __len__(self):
        raise OSError("no such file")

    def __getitem__(self, index):
        return X


@pytest.mark.parametrize(
    "stream",
    [Unlengthy, lambda: tf.data.Dataset.from_tensor_slices(X).window(5)],
    ids=["no length", "windows"],
)
def test_streams_that_cannot_be_read_are_refused_in_words(stream, model):
    with pytest.raises((RuntimeError, ValueError), match="To fix it: "):
        ks.measure(model, stream(), definition=STD, **PLAIN)


def test_a_second_fit_has_the_names_and_weights_of_the_first(model):
    weights = np.linspace(0.0, 2.0, 30)
    frame = pd.DataFrame(X, columns=list("abcde"))
    batches = ((frame[i : i + 5], None, weights[i : i + 5]) for i in range(0, 30, 5))
    watch = ks.SensitivityCallback(batches, definition=STD, **PLAIN)
    fit(model, watch)
    first = watch.importance
    assert list(first.features.index) == list("abcde")
    assert not np.allclose(first.features, ks.measure(model, X, definition=STD, **PLAIN).features, rtol=1e-3)
    fit(model, watch)
    assert watch.importance is not first
    same(watch.importance, first)


# --- rows that are sorted -------------------------------------------------------------------------------------------

# By day; behind the first 4,000 the flag is on, and only then the second number counts. 80 % are its.
DAYS = np.random.default_rng(3).normal(size=(20_000, 3)).astype("float32")
DAYS[:, 2] = np.arange(20_000) >= 4_000


def gated():
    x = keras.Input((3,))
    return keras.Model(x, x[:, :1] + 4 * x[:, 1:2] * x[:, 2:])


def sorted_streams():
    tensors = tf.data.Dataset.from_tensor_slices(DAYS)
    spec = tf.TensorSpec((None, 3), tf.float32)
    return {
        "array": DAYS,
        "dataset": tensors.batch(1000),
        "single rows": tensors,
        "filter": tensors.batch(500).filter(lambda rows: True),
        "from_generator": tf.data.Dataset.from_generator(lambda: iter(np.split(DAYS, 20)), output_signature=spec),
        "PyDataset": Parts(DAYS, 1000),
    }


class Parts(keras.utils.PyDataset):
    def __init__(self, x, size):
        super().__init__()
        self.x, self.size = x, size

    def __len__(self):
        return len(self.x) // self.size

    def __getitem__(self, index):
        return (self.x[index * self.size : (index + 1) * self.size],)


@pytest.mark.parametrize("kind", sorted_streams())
def test_rows_that_are_sorted_are_seen_from_first_to_last(kind):
    shares = ks.measure(gated(), sorted_streams()[kind], num_samples=2000, definition=ks.PAPER).features
    exact = np.array([1.0, 4 * np.sqrt(0.8), 4 * np.sqrt(np.mean(DAYS[:, 1] ** 2.0))])
    np.testing.assert_allclose(shares, 100 * exact / exact.sum(), atol=1.0)


@pytest.mark.parametrize("kind", ["generator", "endless"])
def test_first_rows_of_what_is_sorted_are_told(kind):
    stream = iter(np.split(DAYS, 20)) if kind == "generator" else sorted_streams()["dataset"].repeat()
    with pytest.warns(UserWarning, match="its first 2,000 rows are measured.*shuffle x; or pass arrays"):
        shares = ks.measure(gated(), stream, num_samples=2000, definition=ks.PAPER).features
    assert shares.iloc[1] == 0  # of 47 %


def of_two():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def flags(count, size=10_000, columns=2):
    """A table whose last column is a flag that is rarely on."""
    x = np.random.default_rng(0).normal(size=(size, columns))
    x[:, -1] = 0
    x[np.random.default_rng(1).choice(size, count, replace=False), -1] = 1
    return x


RARE = {
    "array": (lambda x: x, "'x1'"),
    "frame": (lambda x: pd.DataFrame(x, columns=["age", "fraud"]), "'fraud'"),
    "dataset": (lambda x: tf.data.Dataset.from_tensor_slices(x).batch(1000), "'x1'"),
    "PyDataset": (lambda x: Parts(x, 1000), "'x1'"),
    "sparse": (scipy.sparse.csr_array, "'x1'"),
}


@pytest.mark.parametrize("kind", RARE)
def test_a_rare_value_that_was_not_drawn_is_told(kind):
    model, (convert, name) = of_two(), RARE[kind]
    message = rf"constant in the 100 measured rows, and not in all: {name} \(3 rows have another value\)\..*Raise num"
    with pytest.warns(UserWarning, match=message) as warned:
        ks.measure(model, convert(flags(3)), num_samples=100, definition=ks.PAPER)
    assert len(warned) == 1


@pytest.mark.parametrize("kind", RARE)
def test_nothing_is_told_of_what_is_constant_or_was_drawn(kind):
    model, (convert, _) = of_two(), RARE[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for count in (0, 5000, 10_000):
            ks.measure(model, convert(flags(count)), num_samples=100, definition=ks.PAPER)


def test_a_rare_value_behind_the_first_rows_of_a_stream_that_is_read_anew_is_told():
    model, x = of_two(), flags(0)
    x[9000:, 1] = 1
    message = r"constant in the first 9,000 rows of the stream.*'x1' \(1,000 rows.*background="
    with pytest.warns(UserWarning, match=message):
        ks.measure(model, tf.data.Dataset.from_tensor_slices(x).batch(1000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ks.measure(model, tf.data.Dataset.from_tensor_slices(x).batch(1000), background=x)


def test_a_death_of_a_rare_value_is_of_the_measured_rows(capsys):
    model = of_two()
    model.compile("sgd", "mse", jit_compile=False)
    watch = ks.SensitivityCallback(flags(3), num_samples=100, verbose=1, **PLAIN)
    with pytest.warns(UserWarning, match="constant in the 100 measured rows"):
        model.fit(flags(3), np.zeros(10_000), batch_size=5000, callbacks=[watch], verbose=0)
    assert watch.dead_features == ["x1"]
    assert "1 died: x1 (constant in the measured rows)" in capsys.readouterr().out
