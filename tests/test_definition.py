"""A definition is a value."""

import pickle

import numpy as np
import pytest

import keras_sensitivity as ks


def test_paper():
    assert ks.Definition(lags="current", scale=None) == ks.PAPER
    assert ks.Definition() != ks.PAPER
    assert ks.Definition().scale == "path"


@pytest.mark.parametrize(
    "settings", [{}, {"output": 1}, {"output": np.int64(1)}, {"scale": np.array([1.0, 2.0])}], ids=str
)
def test_equal_definitions_have_equal_hashes_and_survive_pickling(settings):
    one, other = ks.Definition(**settings), pickle.loads(pickle.dumps(ks.Definition(**settings)))
    assert one == other
    assert hash(one) == hash(other)
    assert {one: "kept"}[other] == "kept"


def test_is_frozen():
    with pytest.raises(AttributeError):
        ks.Definition().logits = True


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"lags": "newest"}, ValueError, "one of 'all', 'current'"),
        ({"mode": "many"}, ValueError, "one of 'auto', 'static', 'many-to-one', 'many-to-many'"),
        ({"logits": "yes"}, ValueError, "one of False, True"),
        ({"logits": 1}, ValueError, "one of False, True"),
        ({"scale": "variance"}, ValueError, "one of 'path', 'std', None"),
        ({"scale": [1.0, np.nan]}, ValueError, "finite numbers"),
        ({"scale": [1.0, -1.0]}, ValueError, "finite numbers"),
        ({"scale": 2.0}, ValueError, "array"),
        ({"output": -1}, ValueError, "index of a unit"),
        ({"output": 1.5}, TypeError, "index of a unit"),
        ({"output": True}, TypeError, "index of a unit"),
    ],
    ids=str,
)
def test_refuses_unknown_settings_at_once(settings, error, words):
    with pytest.raises(error, match=words):
        ks.Definition(**settings)
