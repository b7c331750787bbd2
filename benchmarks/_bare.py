"""What looks are compared with: functions that make derivatives and do nothing else, by each compiler."""

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

COMPILERS = {"XLA": True, "plain graph": None}


def bare(derivatives: Callable[..., list[tf.Tensor]], *arrays: np.ndarray) -> dict[str, Callable[[], object]]:
    """For each compiler a call of this function of tensors, with these values, until its results can be read."""
    tensors = [tf.constant(array) for array in arrays]

    def call(jit_compile: bool | None) -> Callable[[], object]:
        compiled = tf.function(derivatives, jit_compile=jit_compile)
        return lambda: [each.numpy() for each in compiled(*tensors)]

    return {name: call(jit_compile) for name, jit_compile in COMPILERS.items()}


def faster(times: Mapping[str, np.ndarray]) -> str:
    """The compiler whose calls took less time."""
    return min(COMPILERS, key=lambda name: np.median(times[name]))
