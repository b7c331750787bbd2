"""`Trail`: which time steps of an input the positions along the axes of a tensor stand for.

An axis is a tuple of factors, the outermost first, because a reshape may put several axes into one and take them apart
again. A factor knows, if anything, which step of the input each of its positions stands for: those of a layer that
treats the steps one by one, or slides along them, as the input's own; those of a sum over the steps, none.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

__all__ = ["NO_STEP", "Axis", "Factor", "Trail", "axis_of", "is_in_order", "reshaped", "size_of", "steps_of"]

# Of a position that stands for no step.
NO_STEP = -1


class Factor(NamedTuple):
    """A part of an axis.

    Attributes:
        size: How many positions it has.
        steps: The step that each stands for; None where none does.
    """

    size: int
    steps: tuple[int, ...] | None = None


Axis = tuple[Factor, ...]


class Trail(NamedTuple):
    """What a tensor that comes from an input has of its time steps.

    Attributes:
        axes: Its axes.
        slots: The single steps that were taken out on the way to it.
        moving: The steps one of which, another in each turn of a loop, was taken out.
        is_lost: Whether there were steps on the way to it that nobody knows the whereabouts of.
    """

    axes: tuple[Axis, ...]
    slots: frozenset[int] = frozenset()
    moving: tuple[int, ...] | None = None
    is_lost: bool = False

    @classmethod
    def beside(cls, trails: Iterable[Trail], shape: Sequence[int]) -> Trail:
        """The trail, without axes yet, of what is computed from tensors with these."""
        every = list(trails)
        return cls(
            tuple(axis_of(size) for size in shape),
            frozenset().union(*(trail.slots for trail in every)),
            next((trail.moving for trail in every if trail.moving is not None), None),
            any(trail.is_lost for trail in every),
        )

    def with_axes(self, axes: Iterable[Axis]) -> Trail:
        """The same with other axes."""
        return self._replace(axes=tuple(axes))

    def at(self, steps: Iterable[int]) -> Trail:
        """The same of a part that stands for single steps."""
        return self._replace(slots=self.slots | (frozenset(steps) - {NO_STEP}))

    @property
    def has_steps(self) -> bool:
        """Whether any axis stands for steps."""
        return any(steps_of(axis) is not None for axis in self.axes)


def axis_of(size: int, steps: Sequence[int] | None = None) -> Axis:
    """An axis of one factor; one position alone is no axis of time."""
    return (Factor(size, None if steps is None or size == 1 else tuple(steps)),)


def steps_of(axis: Axis) -> tuple[int, ...] | None:
    """The step that each position of an axis stands for: that of its outermost factor.

    >>> steps_of((Factor(2, (4, 5)), Factor(3)))
    (4, 4, 4, 5, 5, 5)
    """
    factors = [factor for factor in axis if factor.size > 1]
    if not factors or factors[0].steps is None:
        return None
    inner = math.prod(factor.size for factor in factors[1:])
    return tuple(step for step in factors[0].steps for _ in range(inner))


def size_of(axis: Axis) -> int:
    """How many positions an axis has."""
    return math.prod(factor.size for factor in axis)


def is_in_order(steps: Sequence[int]) -> bool:
    """Whether most positions stand for a step, and these for several, in the order of time or its reverse.

    >>> is_in_order([0, 1, 2]), is_in_order([-1, 0, 0, 1]), is_in_order([2, 2, 2]), is_in_order([1, 0, 2])
    (True, True, False, False)
    """
    known = [step for step in steps if step != NO_STEP]
    pairs = list(itertools.pairwise(known))
    is_monotonic = all(one <= two for one, two in pairs) or all(one >= two for one, two in pairs)
    return 2 * len(known) >= len(steps) and len(set(known)) > 1 and is_monotonic


def reshaped(axes: Iterable[Axis], shape: Sequence[int]) -> tuple[Axis, ...]:
    """The axes of a tensor in another shape.

    >>> merged = reshaped([axis_of(2), axis_of(3, (0, 1, 2))], [6])
    >>> steps_of(merged[0]), steps_of(reshaped(merged, [2, 3, 1])[1])
    (None, (0, 1, 2))
    """
    waiting = [factor for axis in axes for factor in axis if factor.size > 1][::-1]
    found: list[Axis] = []
    for size in shape:
        taken: list[Factor] = []
        rest = size
        while rest > 1 and waiting:
            factor = waiting.pop()
            common = math.gcd(rest, factor.size)
            if common < factor.size and common < rest:
                return tuple(map(axis_of, shape))  # neither a part of the other: nothing is known any more
            if common < factor.size:
                outer, inner = _split(factor, common)
                waiting.append(inner)
                factor = outer
            taken.append(factor)
            rest //= factor.size
        found.append(tuple(taken) or axis_of(size))
    return tuple(found)


def _split(factor: Factor, size: int) -> tuple[Factor, Factor]:
    """An outer factor of this size, and the inner one that is left."""
    inner = factor.size // size
    return Factor(size, factor.steps and factor.steps[::inner]), Factor(inner)
