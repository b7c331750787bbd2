"""How every error and every warning is worded."""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Collection, Iterable, Sequence
from typing import NoReturn


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
