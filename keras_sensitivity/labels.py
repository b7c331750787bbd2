"""Names as they are shown: printable, short, and different where the names are."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["in_words", "labels", "printable", "unit_labels"]

# Names that have this part in common, at their ends together, are alike: they are told apart by what is between.
ALIKE = 0.5

# Letters around the first that differs that are shown with it, on each side, as far as its word goes.
CONTEXT = 8

# Letters at the beginning and at the end that are always shown, where several words in between have to be.
EDGE = 3


def labels(names: Iterable[object], most: int = 32, *, is_shown: Callable[[str], bool] = str.isprintable) -> list[str]:
    """Names with what they have in common left out, where they are longer than ``most`` letters.

    Different names have different labels.

    Args:
        names: Those that are shown beside each other, shape (num_names,).
        most: Letters of a label; wide ones, as of Chinese, count twice.
        is_shown: Whether a letter can be shown; others are written as escapes.

    Returns:
        Shape (num_names,).

    Example:

    >>> labels(["annual_income_after_taxes_and_transfers", "age"])
    ['annual_income_a…es_and_transfers', 'age']
    >>> labels([f"customer_account_balance_of_{month}_in_euros_normalised" for month in ("may", "june")])
    ['customer_acco…may…ros_normalised', 'customer_acco…june…os_normalised']
    """
    given = [str(name) for name in names]
    written = {name: printable(name, is_shown) for name in given}
    every = list(dict.fromkeys(written.values()))
    short = {text: text if _width(text) <= most else _elided(text, every, most) for text in every}
    found = _numbered({name: short[text] for name, text in written.items()}, most)
    return [found[name] for name in given]


def in_words(shares: pd.Series[float], most: int) -> str:
    """The largest shares, percent, in a line.

    >>> import pandas as pd
    >>> in_words(pd.Series({"age": 20.0, "debt": 79.96, "size": 0.04}), most=2)
    'debt 80.0 %, age 20.0 %, ...'
    """
    leading = shares.nlargest(most)
    words = [f"{name} {share:.1f} %" for name, share in zip(labels(leading.index), leading, strict=True)]
    return ", ".join(words + ["..."] * (len(shares) > most))


def unit_labels(units: Sequence[str], *, is_only: bool) -> tuple[str, ...]:
    """What output units are called in titles: by their names, or by their numbers where they have none.

    Args:
        units: Their names.
        is_only: Whether the model has but this one, so that a number would tell nothing.

    Example:

    >>> unit_labels(["price", "1"], is_only=False), unit_labels(["0"], is_only=True)
    (('price', 'unit 1'), ('prediction',))
    """
    alone = "prediction" if is_only else ""
    return tuple((alone or f"unit {unit}") if unit.isdecimal() else printable(unit) for unit in units)


def printable(name: object, is_shown: Callable[[str], bool] = str.isprintable) -> str:
    r"""A name on one line, without letters that nobody sees.

    >>> printable("first\nsecond"), printable("age "), printable("")
    ('first\\nsecond', "'age '", "''")
    """
    text = "".join(
        letter if is_shown(letter) else letter.encode("unicode_escape").decode()
        for letter in unicodedata.normalize("NFC", str(name))
    )
    return f"'{text}'" if text != text.strip() or not text else text


def _elided(text: str, others: Sequence[str], most: int) -> str:
    """A text of which its ends are kept, and what tells it from the others that are like it."""
    spots = _spots(text, others)
    room = (most - 2 * EDGE - 1 - len(spots)) // max(1, len(spots))
    words = [_word(text, spot, max(1, room)) for spot in spots]
    label = ""
    for letters in range(most):
        longer = _joined(text, [(0, letters // 2), *words, (len(text) - (letters + 1) // 2, len(text))])
        if _width(longer) > most:
            break
        label = longer
    return label or _joined(text, [(0, 1), *words[:1]])


def _spots(text: str, others: Sequence[str]) -> list[int]:
    """Where the text has letters that others have not, who are like it; as few places as tell it from all of them."""
    found = []
    for other in others:
        if other != text:
            start = _num_alike(text, other)
            end = min(_num_alike(text[::-1], other[::-1]), min(len(text), len(other)) - start)
            if start + end >= ALIKE * len(text):
                found.append((start + end, start, len(text) - end))
    spots: list[int] = []
    for _, start, end in sorted(found, reverse=True):
        if not any(start <= spot <= end for spot in spots):
            spots.append(start)
    return spots


def _num_alike(one: str, other: str) -> int:
    """How many letters two texts have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (first, second) in pairs if first != second), min(len(one), len(other)))


def _word(text: str, spot: int, room: int) -> tuple[int, int]:
    """Start and end of the word around a place or just before it, or of as much of it as there is room for."""
    is_behind = spot > 0 and text[spot - 1].isalnum() and not text[spot : spot + 1].isalnum()
    start, end = spot, spot if is_behind else min(spot + 1, len(text))
    while start > 0 and spot - start < CONTEXT and text[start - 1].isalnum():
        start -= 1
    while not is_behind and end < len(text) and end - spot <= CONTEXT and text[end].isalnum():
        end += 1
    return (start, end) if end - start <= room else (spot, min(end, spot + room))


def _joined(text: str, parts: Iterable[tuple[int, int]]) -> str:
    """These parts of a text, with dots for two letters or more between them.

    >>> _joined("abcdefghij", [(7, 10), (0, 2), (3, 4)])
    'abcd…hij'
    """
    label, done = "", 0
    for start, end in sorted(parts):
        if end > done:
            gap = "…" if start > done + 1 else text[done:start]
            label, done = label + gap + text[max(start, done) : end], end
    return label + ("…" if done + 1 < len(text) else text[done:])


def _numbered(found: dict[str, str], most: int) -> dict[str, str]:
    """The same, with a number behind labels that an earlier name has; names that stand whole keep theirs."""
    taken: set[str] = set()
    numbered = {}
    for name in sorted(found, key=lambda name: found[name] != name):
        label, count = found[name], 1
        while label in taken:
            count += 1
            mark = f" ({count})"
            kept = next(end for end in range(len(found[name]), -1, -1) if _width(found[name][:end] + mark) <= most)
            label = found[name][:kept] + mark
        taken.add(label)
        numbered[name] = label
    return numbered


def _width(text: str) -> int:
    """Letters of a text, wide ones twice.

    >>> _width("age"), _width("年齢")
    (3, 4)
    """
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
