"""Words and names, one after the other, within a sentence."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["listed", "quoted"]


def listed(words: Sequence[str], most: int = 8) -> str:
    """The first ``most`` of ``words``, and how many are left.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    more = f" and {len(words) - most:,} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def quoted(names: Sequence[object], most: int = 8) -> str:
    """Names of features, as `listed`.

    >>> quoted(["age", "debt"])
    '“age”, “debt”'
    """
    return listed([f"“{name}”" for name in names], most)
