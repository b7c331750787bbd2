"""Thousands of malformed inputs to the public functions: refused in words, or right."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parent / "fuzz.py"

# `make test` tries every so manieth of some twenty thousand.
PART = 40


@pytest.mark.parametrize(
    "parts", [PART, pytest.param(4, marks=pytest.mark.slow), pytest.param(1, marks=pytest.mark.endurance)]
)
def test_each_is_refused_in_words_or_right(parts, capsys):
    environment = os.environ | {"PYTHONPATH": str(SCRIPT.parent.parent), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, SCRIPT, "0", str(parts)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    (count,) = re.findall(r"([\d,]+) malformed inputs", done.stdout)
    assert int(count.replace(",", "")) > 18_000 / parts
    with capsys.disabled():
        print("", done.stdout.splitlines()[-2])
