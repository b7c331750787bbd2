"""Streams whose batches are of several lengths: lag k counts back from the newest step, over the rows that have it."""

import keras
import numpy as np
import oracle
import pytest
import sequences
import tensorflow as tf

import keras_sensitivity as ks
from keras_sensitivity import plan

L = keras.layers
STD = ks.Definition(scale="std")
LENGTHS = (3, 5, 4)


def measure(model, x, **options):
    return ks.measure(model, x, **{"jit_compile": False, "definition": STD} | options)


def batches(sizes=(5, 4, 6)):
    """Batches of sequences of 3, 5 and 4 steps, and the same in one array with a mask, filled up before."""
    rng = np.random.default_rng(0)
    every = [
        (rng.normal(size=(size, steps, 2)) * [1, 3] + 1).astype("float32")
        for size, steps in zip(sizes, LENGTHS, strict=True)
    ]
    whole = np.concatenate([np.pad(batch, [(0, 0), (5 - batch.shape[1], 0), (0, 0)]) for batch in every])
    mask = np.arange(5) >= 5 - np.repeat(LENGTHS, sizes)[:, None]
    return every, whole, mask


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return len(LENGTHS)

    def __getitem__(self, index):
        return batches()[0][index], np.zeros(len(batches()[0][index]))


def dataset():
    every = batches()[0]
    return tf.data.Dataset.from_generator(
        lambda: iter(every), output_signature=tf.TensorSpec((None, None, 2), "float32")
    )


STREAMS = {"generator": lambda: iter(batches()[0]), "PyDataset": Sequence, "tf.data": dataset}


def many_to_one():
    """A model without a loop, which is quickly traced."""
    hidden = L.Conv1D(3, 2, padding="causal", activation="tanh")
    return keras.Sequential([keras.Input((None, 2)), hidden, L.GlobalMaxPooling1D(), L.Dense(2)])


def many_to_many():
    return keras.Sequential([keras.Input((None, 2)), L.Conv1D(3, 2, padding="causal", activation="tanh"), L.Dense(1)])


def recurrent():
    return keras.Sequential([keras.Input((None, 2)), L.GRU(3, return_sequences=True), L.Dense(1)])


def differences(model):
    """Brute force of each batch by itself, in the place of its steps among those of the longest."""
    found = []
    for batch in batches()[0]:
        g = oracle.differences(model, batch)
        before = 5 - batch.shape[1]
        steps = [axis for axis, size in enumerate(g.shape[1:], 1) if size == batch.shape[1]]
        found.append(np.pad(g, [(before if axis in steps else 0, 0) for axis in range(g.ndim)]))
    return np.concatenate(found)


@pytest.mark.parametrize(
    ("build", "stream", "num_samples"),
    [
        (many_to_one, "generator", None),
        (many_to_one, "tf.data", 100),
        (many_to_many, "PyDataset", None),
        pytest.param(recurrent, "PyDataset", 100, marks=pytest.mark.slow),
    ],
)
def test_all_lengths_are_measured(build, stream, num_samples):
    model = sequences.build(build)
    exact = sequences.build(build, policy="float64", like=model)
    _, whole, mask = batches()
    same_step = build is not many_to_one
    every, _, gamma, rms = oracle.sequence_importances(differences(exact), whole, mask, same_step=same_step)
    found = measure(model, STREAMS[stream](), num_samples=num_samples)
    assert found.num_samples == len(whole)
    np.testing.assert_allclose(found.features, every, rtol=1e-4)
    np.testing.assert_allclose(found.lags, gamma, rtol=1e-4)
    np.testing.assert_allclose(found.by_lag, rms, rtol=1e-4)
    assert found.table["standard_error"].min() > 0


@pytest.mark.slow
def test_behind_a_mask_they_are_what_they_are_in_one_array():
    """Batches padded each to its longest: the same rows, padded to one length, have the same numbers."""
    x, mask = sequences.rows(12, padding="post")
    model = keras.Sequential([keras.Input((None, 3)), L.Masking(), L.SimpleRNN(3), L.Dense(1)])
    data = tf.data.Dataset.from_generator(
        lambda: (row[valid] for row, valid in zip(x, mask, strict=True)),
        output_signature=tf.TensorSpec((None, 3), "float32"),
    )
    stream = data.padded_batch(2)
    assert len({batch.shape[1] for batch in stream}) > 1
    padded, whole = (measure(model, each) for each in (stream, x))
    np.testing.assert_allclose(padded.features, whole.features, rtol=1e-4)
    np.testing.assert_allclose(padded.by_lag, whole.by_lag, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(padded.table["standard_error"], whole.table["standard_error"], rtol=1e-3)
    backed = measure(model, stream, background=stream)
    np.testing.assert_allclose(backed.features, whole.features, rtol=1e-4)


def test_a_callback_measures_them_in_a_second_fit_too():
    model = many_to_one()
    model.compile("sgd", "mse")
    watch = ks.SensitivityCallback(dataset(), jit_compile=False)
    data = dataset().map(lambda x: (x, tf.zeros((tf.shape(x)[0], 2))))
    for _ in range(2):
        model.fit(data, epochs=1, callbacks=[watch], verbose=0)
        expected = measure(model, Sequence(), num_samples=100, definition=ks.Definition())
        np.testing.assert_allclose(watch.importance.features, expected.features, rtol=1e-4)
        assert len(watch.importance.lags) == 5


def test_what_they_are_refused_for():
    model = many_to_one()
    with pytest.raises(ValueError, match="sequences of several lengths, whose explanations"):
        ks.explain(model, Sequence())
    with pytest.raises(ValueError, match="cannot be swapped between sequences of several lengths"):
        measure(model, Sequence(), definition=ks.Definition(change="swap"))
    fixed = keras.Sequential([keras.Input((3, 2)), L.GRU(3)])
    with pytest.raises(ValueError, match="shape"):
        measure(fixed, Sequence())


def test_rows_that_are_masked_entirely_are_counted():
    model = keras.Sequential([keras.Input((None, 2)), L.Masking(), L.GlobalAveragePooling1D(), L.Dense(1)])
    every = batches()[0]
    every[1][2] = 0
    with pytest.raises(ValueError, match="no valid step in 1 rows\n"):
        measure(model, iter(every))


def test_many_lengths_are_told(monkeypatch):
    monkeypatch.setattr(plan, "MANY_LENGTHS", 2)
    with pytest.warns(UserWarning, match=r"more than 2 lengths, .*bucket_by_sequence_length"):
        measure(many_to_one(), Sequence())
