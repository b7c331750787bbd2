"""Labels are short, and different where the names are."""

import random

import pytest

from keras_sensitivity.labels import labels, printable

MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november"]
PAYMENTS = "the_mean_of_all_payments_of_the_last_twelve_months"
CASES = {
    "a word in the middle": [f"customer_account_balance_of_{month}_in_euros_normalised" for month in MONTHS],
    "two places": [
        f"sensor_{hall}_in_the_large_hall_channel_{channel}_of_the_amplifier_at_night"
        for hall in (1, 2, 13)
        for channel in (1, 2, 30)
    ],
    "very long numbers": [f"feature_{number:060d}" for number in (0, 1, 10, 11, 10**30, 10**59)],
    "a number between alike letters": [f"{'9' * 50}{digit}{'9' * 50}" for digit in range(10)],
    "prefixes": [PAYMENTS, PAYMENTS + "_squared", PAYMENTS + "_squared_and_cubed", PAYMENTS[:40], PAYMENTS[:33], "the"],
    "suffixes": [PAYMENTS, "log_" + PAYMENTS, "log_of_" + PAYMENTS, PAYMENTS[9:]],
    "the same letter": ["x" * 32, "x" * 33, "x" * 34, "x" * 400],
    "what labels look like": ["x" * 60, "x" * 61, "x" * 15 + "…" + "x" * 16, "x" * 28 + " (2)"],
    "words of one text": ["paid late " * 8, "paid late " * 8 + "again", "late " + "paid late " * 8],
    "other scripts": ["年" * 20 + end for end in "一二三"] + ["параметр_" * 6 + end for end in "абв"],
    "emoji": ["😀" * 30, "😀" * 31, "😀" * 15 + "😃" + "😀" * 15],
    "line breaks": ["a\nb", "a\\nb", "a\tb", "a\rb", "a b", "long\n" * 20, "long\\n" * 20],
    "letters that nobody sees": ["", "''", " ", "a", "a ", " a", "'a '", "a\u200b", "\u202ea", "\ud800", "\x1b"],
    "composed letters": ["e\u0301", "\u00e9", "\\u00e9"],
    "numbers": [0, 1, 10**50, 10**50 + 1],
}  # fmt: skip


@pytest.mark.parametrize("most", [16, 24, 32])
@pytest.mark.parametrize("names", CASES.values(), ids=CASES)
def test_different_names_have_different_short_labels(names, most):
    found = labels(names, most)
    assert len(set(found)) == len(names) == len(set(names))
    assert all(label.isprintable() and 0 < len(label) <= most for label in found)
    assert all(label == str(name) for label, name in zip(found, names, strict=True) if name in {"a", 0})


@pytest.mark.parametrize("letters", ["ab", "a_", "a1 ", "年a", "a\n$\\", "(2) …"])
def test_any_different_names_have_different_labels(letters):
    draw = random.Random(letters)
    for _ in range(60):
        lengths = draw.choice([5, 40, 80])
        names = list({"".join(draw.choices(letters, k=draw.randint(0, lengths))) for _ in range(draw.choice([2, 20]))})
        found = labels(names, 24)
        assert len(set(found)) == len(names)
        assert max(map(len, found)) <= 24


def test_what_differs_is_kept():
    for month, label in zip(MONTHS, labels(CASES["a word in the middle"]), strict=True):
        assert f"…{month}…" in label
        assert label.startswith("customer")
        assert label.endswith("normalised")
    places = [(hall, channel) for hall in (1, 2, 13) for channel in (1, 2, 30)]
    for (hall, channel), label in zip(places, labels(CASES["two places"]), strict=True):
        assert label.startswith(f"sensor_{hall}_")
        assert f"…{channel}…" in label


def test_short_names_stand_as_they_are():
    names = ["age", "x" * 32, "größe", "$x_1$", "a/b", "%d", "{name}"]
    assert labels(names) == names


def test_equal_names_have_equal_labels():
    assert labels(["a", "a", "b"]) == ["a", "a", "b"]


def test_letters_that_cannot_be_shown_are_escapes():
    assert printable("né年", str.isascii) == "n\\xe9\\u5e74"
    assert labels(["年", "齢"], is_shown=str.isascii) == ["\\u5e74", "\\u9f62"]
