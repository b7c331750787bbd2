"""Thousands of malformed inputs to the public functions: refused in words, or right."""

import re

import pytest
from scripts import output_of

# `make test` tries every so manieth of some twenty thousand.
PART = 40


@pytest.mark.parametrize(
    "parts", [PART, pytest.param(4, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.endurance)]
)
def test_each_is_refused_in_words_or_right(parts, capsys):
    printed = output_of("fuzz.py", "0", str(parts))
    (count,) = re.findall(r"([\d,]+) malformed inputs", printed)
    assert int(count.replace(",", "")) > 18_000 / parts
    with capsys.disabled():
        print("", printed.splitlines()[-2])
