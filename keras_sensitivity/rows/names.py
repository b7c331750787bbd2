"""What the columns of inputs are called."""

from __future__ import annotations

import itertools
import math

__all__ = ["column_names", "default_names"]


def default_names(source: str, row_shape: tuple[int, ...]) -> list[str]:
    """Names of the columns of an input, and of the entries of an image.

    >>> default_names("", (3,))
    ['x0', 'x1', 'x2']
    >>> default_names("price", (1,)), default_names("prices", (2,))
    (['price'], ['prices/0', 'prices/1'])
    >>> default_names("", (1, 2, 1))
    ['0,0,0', '0,1,0']
    """
    if len(row_shape) > 1:
        entries = itertools.product(*map(range, row_shape[-3:]))
        names = [",".join(map(str, entry)) for entry in entries]
    else:
        names = [str(index) for index in range(math.prod(row_shape))]
        if not source:
            return [f"x{name}" for name in names]
    if not source:
        return names
    return [source] if len(names) == 1 else [f"{source}/{name}" for name in names]


def column_names(source: str, own: list[str] | None, shape: tuple[int, ...]) -> list[str]:
    """What messages call the columns of an input of this shape, rows first: of images one name for all."""
    names = default_names(source, shape[-1:]) if len(shape) in (2, 3) else [source or "x"]
    return own if own and len(own) == len(names) else names
