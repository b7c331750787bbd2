"""The page on what can be relied on names tests that exist, and says what the slow checks said."""

import pathlib
import re

import pytest
import trust_page

ROOT = pathlib.Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(tests/[\w/.:]+)`", PAGE))))
def test_named_tests_exist(named):
    path, _, function = named.partition("::")
    text = (ROOT / path).read_text(encoding="utf-8")
    assert not function or f"def {function}(" in text


def test_every_promise_has_a_test():
    rows = [line for line in PAGE.split(trust_page.BEGIN)[0].splitlines() if line.startswith("| ")]
    promises = [row for row in rows if not row.startswith(("| what |", "| what goes wrong |"))]
    assert len(promises) >= 25
    assert [row for row in promises if "tests/test_" not in row and "make mutants" not in row] == []


def test_it_says_what_was_found():
    assert trust_page.section() in PAGE


def test_nothing_has_failed():
    words = PAGE.split(trust_page.BEGIN)[1]
    assert "nothing lost, torn or doubled" in words
    (caught, every), (wrong,) = (
        re.findall(r"(\d+) of (\d+) mutants", words)[0],
        re.findall(r"result, (\d+) neither", words),
    )
    assert int(caught) == int(every) >= 25
    assert wrong == "0"
    (examples,) = re.findall(r"([\d,]+) examples", words)
    assert int(examples.replace(",", "")) >= 10_000
