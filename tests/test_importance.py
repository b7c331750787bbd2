"""What an `Importance` is besides its numbers: a value that ranks, saves and prints."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import zoo

import keras_sensitivity as ks


@pytest.fixture
def importance():
    return ks.measure(zoo.build("softmax classifier"), zoo.rows(), groups={"pair": ["x1", "x3"]})


def test_saved_and_loaded_it_is_the_same(importance, tmp_path):
    for definition in (ks.Definition(), ks.PAPER, ks.Definition(output=1, scale=np.arange(5.0), logits=True)):
        measured = ks.measure(zoo.build("softmax classifier"), zoo.rows(), definition=definition)
        measured.save(tmp_path / "any name")
        loaded = ks.Importance.load(tmp_path / "any name")
        pd.testing.assert_frame_equal(loaded.table, measured.table)
        pd.testing.assert_frame_equal(loaded.by_output, measured.by_output)
        assert loaded.definition == measured.definition
        assert loaded.num_samples == measured.num_samples == 300


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda i: pickle.loads(pickle.dumps(i))],
                         ids=["copy", "deepcopy", "pickle"])  # fmt: skip
def test_copies(importance, copied):
    pd.testing.assert_frame_equal(copied(importance).table, importance.table)


@pytest.mark.parametrize("coverage", [1, 50, 90, 99.9, 100])
def test_top_is_the_fewest_that_cover(importance, coverage):
    top = importance.top(coverage=coverage)
    shares = importance.features
    assert shares[top].sum() >= coverage - 1e-9
    assert shares[top[:-1]].sum() < coverage
    assert top == list(shares.nlargest(len(top)).index)


def test_reading_changes_nothing(importance):
    before = importance.table
    features, table = importance.features, importance.table
    features.iloc[0] = table.iloc[0, 0] = -1.0
    pd.testing.assert_frame_equal(importance.table, before)


def test_repr(importance):
    name, share = importance.features.idxmax(), importance.features.max()
    assert repr(importance).startswith(f"<Importance of 4 features from 300 samples: {name} {share:.1f} %")


def test_a_table_has_no_lags_and_no_map(importance):
    assert importance.lags is None
    assert importance.by_lag is None
    assert importance.map is None
