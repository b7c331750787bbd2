"""Arguments that no data and no model could make right are refused at once."""

import numpy as np
import pytest
import zoo

import keras_sensitivity as ks

GOOD = zoo.rows(20)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"every_n_epochs": 0}, ValueError, "`every_n_epochs` is not a whole number from 1"),
        ({"dead_feature_monitor": 3}, TypeError, "`dead_feature_monitor` has the wrong type"),
        ({"definition": {"scale": None}}, TypeError, "`definition` has the wrong type"),
        ({"name": ""}, ValueError, "`name` cannot name a run"),
        ({"name": " "}, ValueError, "`name` cannot name a run"),
        ({"name": "a/b"}, ValueError, "`name` cannot name a run"),
        ({"name": "a\\b"}, ValueError, "`name` cannot name a run"),
        ({"name": ".."}, ValueError, "`name` cannot name a run"),
        ({"name": 3}, TypeError, "`name` cannot name a run"),
        ({"log_importances": "x0"}, TypeError, "`log_importances` does not say"),
        ({"log_importances": 3}, TypeError, "`log_importances` does not say"),
        ({"log_importances": None}, TypeError, "`log_importances` does not say"),
        ({"log_importances": [1, 2]}, TypeError, "`log_importances` does not say"),
    ],
    ids=str,
)
def test_the_constructor_refuses_what_no_model_could_make_right(options, error, words):
    with pytest.raises(error, match=words):
        ks.SensitivityCallback(GOOD, **options)


def test_a_model_that_is_none():
    with pytest.raises(TypeError, match="`model` has the wrong type"):
        ks.measure(GOOD, zoo.linear())


@pytest.mark.parametrize("coverage", [0, 101, "90", None])
def test_top_takes_percent(coverage):
    with pytest.raises(ValueError, match="`coverage` is not a percentage"):
        ks.measure(zoo.build("linear"), GOOD).top(coverage=coverage)


def test_load_refuses_other_files(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.ones(2))
    with pytest.raises(ValueError, match="holds no Importance"):
        ks.Importance.load(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError):
        ks.Importance.load(tmp_path / "missing.npz")
