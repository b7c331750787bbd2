"""The global generators of random numbers, which training goes on to draw from."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np

__all__ = ["untouched_randomness"]


@contextlib.contextmanager
def untouched_randomness() -> Iterator[None]:
    """Whoever draws from Python's and NumPy's global generators in the block, they go on as if nobody had.

    A data set that shuffles or augments with them would give the training other rows, had we read it in between.
    """
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  (the one that users' data draw from)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
