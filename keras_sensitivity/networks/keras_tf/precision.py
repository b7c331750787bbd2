"""The precision in which a look is taken: float32, where the model computes in less.

A network of float16 or bfloat16 rounds each number to three digits, so that its derivatives are right to no more, and
what a small change does is lost in the rounding. What it approximates is the network of its weights in float32, and
that is looked at.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

import keras

from keras_sensitivity.networks.keras_tf.borrowing import Loan
from keras_sensitivity.networks.keras_tf.layers import operations

__all__ = ["is_half", "is_narrow", "widen"]

NARROW = {"float16", "bfloat16"}

# Where Keras keeps in which type a layer computes.
POLICY = "_dtype_policy"


def is_narrow(model: keras.Model) -> bool:
    """Whether any layer computes in less than float32."""
    return any(_type_of(each) in NARROW for each in operations(model))


def is_half(model: keras.Model) -> bool:
    """Whether any layer computes in float16, whose range is small, too."""
    return any(_type_of(each) == "float16" for each in operations(model))


def widen(model: keras.Model, loan: Loan) -> None:
    """Let this thread's calls of the layers compute in float32; those of other threads go on as they are."""
    for each in operations(model):
        if _type_of(each) in NARROW:
            vars(each)[POLICY] = _wide(vars(each)[POLICY], loan.thread)  # past Keras' own tracking of attributes


def _type_of(layer: Any) -> str | None:
    return getattr(vars(layer).get(POLICY), "compute_dtype", None)


def _wide(policy: Any, thread: int) -> Any:
    """The same policy, which for a thread says float32."""
    twin: Any = object.__new__(_wide_kind(policy.__class__))
    vars(twin).update(vars(policy), _before=policy.compute_dtype, _thread=thread)
    return twin


@functools.cache
def _wide_kind(kind: Any) -> Any:
    def compute_dtype(self: Any) -> str:
        return "float32" if threading.get_ident() == self._thread else self._before

    return type(kind.__name__, (kind,), {"compute_dtype": property(compute_dtype)})
