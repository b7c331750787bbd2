"""Laws that hold for every model of the zoo."""

import numpy as np
import pandas as pd
import pytest
import zoo
from scripts import output_of

import keras_sensitivity as ks


def same(one, other, rtol=1e-5):
    """Equal up to rounding, in every number that a user can read."""
    pd.testing.assert_frame_equal(one.table, other.table, rtol=rtol, atol=1e-7, check_dtype=False)
    pd.testing.assert_frame_equal(one.by_output, other.by_output, rtol=rtol)


@pytest.mark.parametrize("name", zoo.ZOO)
@pytest.mark.sample(2)
def test_batch_size_order_and_padding_change_nothing(name):
    model, x = zoo.build(name), zoo.rows(230)
    whole = ks.measure(model, x)
    for batch_size in (1 if name == "linear" else 17, 100, 230, 1000):  # 100: the last batch is padded with 70 rows
        same(whole, ks.measure(model, x, batch_size=batch_size))
    shuffled = np.random.default_rng(0).permutation(x)
    assert not np.array_equal(shuffled, x)
    same(whole, ks.measure(model, shuffled, batch_size=100))


@pytest.mark.parametrize("name", zoo.ZOO)
@pytest.mark.sample(5)
def test_xla_or_not_changes_nothing(name):
    model, x = zoo.build(name), zoo.rows()
    same(ks.measure(model, x, jit_compile=True), ks.measure(model, x, jit_compile=False), rtol=1e-4)


# Rows of determinism.py: networks with every kind of state and with noise in their cells, and data with a state.
FEW = ["noise, batch normalization, dropout", "recurrent dropout", "tf.Variable that counts",
       "shuffle without a seed, cache", "PyDataset that draws from random"]  # fmt: skip


def unchanged(script, rows):
    """Run a script of trainings in a process of its own, with op determinism on."""
    assert "identical" in output_of(script, *rows)


@pytest.mark.parametrize("rows", [FEW, pytest.param([], marks=pytest.mark.slow)], ids=["a few", "all"])
def test_looking_never_changes_training(rows):
    """Bit-identical weights, optimizer, seeds and statistics, whatever has a state and whatever the data are."""
    unchanged("determinism.py", rows)


# Rows of conformance.py.
KINDS = ["quantised", "mixed_float16"]


@pytest.mark.parametrize("rows", [KINDS, pytest.param([], marks=pytest.mark.slow)], ids=["two", "all"])
def test_looking_never_changes_training_of_any_network(rows):
    """The same for networks of every kind, for every kind of change, with and without a log."""
    unchanged("conformance.py", rows)
