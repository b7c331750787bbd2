"""Derivatives in the graph that is being traced: what every other file of this folder asks for them.

They are symbolic: `tf.gradients` reads the graph backwards when it is asked, where a tape would record all that is run,
and make of every loop one that can be run backwards, and of that one again. Tracing a recurrent network takes a third.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

__all__ = ["backward", "depends_on"]


def backward(targets: Any, sources: Sequence[Any], directions: Any = None) -> list[Any]:
    """Derivatives of ``sum(direction * target)`` with respect to each source, of its shape; None of none.

    Args:
        targets: A tensor, or nested ones, of which those of floating point are taken.
        sources: Tensors or variables.
        directions: Of the shape of the target, if it is one tensor; None: 1.
    """
    floating = [part for part in tf.nest.flatten(targets) if getattr(part, "dtype", tf.bool).is_floating]
    return list(tf.gradients(floating, list(sources), directions)) if floating else [None] * len(sources)


def depends_on(targets: Any, sources: Sequence[Any]) -> bool:
    """Whether any target has derivatives in any source."""
    return any(derivative is not None for derivative in backward(targets, sources))
