"""How every error and every warning is worded."""

from __future__ import annotations

import difflib
import itertools
import sys
import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence, Sized
from typing import Any, NoReturn

# Of an iterator, which may have no end.
MOST_ITEMS = 100_000


def fail(happened: str, *, expected: str, received: str, fix: str, error: type[Exception] = ValueError) -> NoReturn:
    """Raise ``error`` with the four parts of a message, one a line."""
    raise error(f"{happened}\n  Expected: {expected}\n  Received: {received}\n  To fix it: {fix}")


def warn(happened: str) -> None:
    """Warn the user, pointing at the line outside of this package that led here."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("keras_sensitivity."):
        level, frame = level + 1, frame.f_back
    warnings.warn(happened, UserWarning, stacklevel=level)


def listed(names: Iterable[object], most: int = 6) -> str:
    """The first ``most`` of ``names``, quoted, and how many are left.

    >>> listed(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    return some(map(repr, names), most)


def some(words: Iterable[str], most: int = 6) -> str:
    """The first ``most`` of ``words``, and how many are left.

    >>> some(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    every = list(words)
    return ", ".join(every[:most]) + (f" and {len(every) - most} more" if len(every) > most else "")


def shown(value: object, most: int = 200) -> str:
    """What was received, in one line, however long it is and whatever its ``repr`` does.

    >>> shown("ab" * 200, most=9)
    "'abababab..."
    """
    try:
        text = " ".join(repr(value).split())
    except Exception:  # noqa: BLE001
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= most else f"{text[:most]}..."


def items(value: object) -> list[Any] | None:
    """The items of a list, an array, a set and the like; None of what has no single ones, such as a text or a dict.

    >>> items(("a", "b")), items("ab"), items({"a": 1})
    (['a', 'b'], None, None)
    """
    is_one = isinstance(value, (str, bytes, bytearray, Mapping)) or getattr(value, "ndim", 1) != 1
    if is_one or not isinstance(value, Iterable):
        return None
    try:
        most = len(value) if isinstance(value, Sized) else MOST_ITEMS  # an endless data set has no length
        return list(itertools.islice(value, most))
    except Exception:  # noqa: BLE001  (an array without axes, a symbolic tensor, whatever its iterator does)
        return None


def reason(error: Exception) -> str:
    r"""What was raised, in one line.

    >>> reason(ValueError("no such file\nor folder")), reason(KeyError())
    ('ValueError: no such file', 'KeyError:')
    """
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}".strip()


def similar(name: object, names: Collection[object]) -> str:
    """A hint at the name that was probably meant."""
    close = difflib.get_close_matches(str(name), [str(each) for each in names], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def axes(shape: Sequence[int | None]) -> str:
    """A batch shape in words.

    >>> axes((None, 3))
    '(num_samples, 3)'
    """
    return f"(num_samples, {', '.join('any' if size is None else str(size) for size in shape[1:])})"
