"""Numbers on their way to the browser: JSON that says what there is, and the bytes of arrays behind it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["bundle"]

Array = np.ndarray[Any, Any]

# Where an array begins in the answer: at a multiple of its items' size, as JavaScript's typed arrays want it.
ALIGNMENT = 8


def bundle(described: Mapping[str, Any], arrays: Mapping[str, Array]) -> bytes:
    """The length of the JSON in four bytes, little-endian; the JSON, padded with spaces; the arrays, one after another.

    Args:
        described: What stands in the JSON beside "arrays"; NaN becomes null.
        arrays: By name; each becomes float32, or stays float64.

    Example:

    >>> found = bundle({"run": "a"}, {"x": np.float32([1, 2])})
    >>> print(found[4:-8].decode(), np.frombuffer(found[-8:], "<f4"))
    {"run":"a","arrays":{"x":{"type":"f4","shape":[2],"offset":0}}}      [1. 2.]
    """
    parts, table, offset = [], {}, 0
    for name, array in arrays.items():
        found = np.ascontiguousarray(array, "<f8" if array.dtype == np.float64 else "<f4")
        table[name] = {"type": found.dtype.str[1:], "shape": list(found.shape), "offset": offset}
        data = found.tobytes()
        data += bytes(-len(data) % ALIGNMENT)
        parts.append(data)
        offset += len(data)
    text = json.dumps(_finite({**described, "arrays": table}), separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-(len(text) + 4) % ALIGNMENT)
    return b"".join([len(text).to_bytes(4, "little"), text, *parts])


def _finite(value: Any) -> Any:
    """The same with null for what JSON has no number for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return value
