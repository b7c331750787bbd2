"""Fixtures and paths that all tests share, those in docstrings, too."""

import collections
import gc
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

ROOT = pathlib.Path(__file__).parent
FOLDERS = "tests", "examples", "examples/paper", "studies", "tools", "benchmarks"
sys.path[:0] = [str(ROOT / folder) for folder in FOLDERS]

import keras
import numpy as np
import pytest

gc.freeze()  # what was imported stays, so that nobody looks through it for garbage


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of long tables some rows run with `make test`, the others with `make slow`: see the marker ``sample``."""
    counts = collections.Counter()
    for item in items:
        sampled = item.get_closest_marker("sample")
        if sampled is not None:
            if counts[item.function] % sampled.args[0]:
                item.add_marker("slow")
            counts[item.function] += 1


@pytest.fixture(autouse=True)
def _same_start():
    """Every test starts from the same seeds and leaves neither Keras state nor figures behind."""
    keras.utils.set_random_seed(7)
    yield
    keras.utils.clear_session(free_memory=False)  # collecting garbage takes up to seconds
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def rng():
    return np.random.default_rng(11)


@pytest.fixture
def traces(monkeypatch):
    """A list that grows with each trace of a model."""
    from keras_sensitivity.networks.keras_tf.passes import KerasPass

    made, traced = [], KerasPass._traced

    def counting(self, *arguments):
        made.append(type(self).__name__)
        return traced(self, *arguments)

    monkeypatch.setattr(KerasPass, "_traced", counting)
    return made
