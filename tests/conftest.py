"""Fixtures and paths that all tests share."""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "Agg")

ROOT = pathlib.Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "examples", "examples/paper", "studies", "tools")]

import keras
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _same_start():
    """Every test starts from the same seeds and leaves no Keras state behind."""
    keras.utils.set_random_seed(7)
    yield
    keras.utils.clear_session()


@pytest.fixture
def rng():
    return np.random.default_rng(11)
