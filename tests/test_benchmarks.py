"""What the library costs is printed beside goals, kept, and shown as it was kept; the scripts run."""

import csv
import doctest
import pathlib
import subprocess
import sys

import _cost_page
import _results
import numpy as np
import pytest
from _results import Job, Result, Row, at_least, at_most

FOLDER = pathlib.Path(_results.__file__).parent
SCRIPTS = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
ROWS = [
    Row("as fast as could be", "a case, of two", 1.25, "times", at_most(1.3), "5 ms / 4 ms"),
    Row("too slow", "a case", 12345.678, "ms", at_most(150)),
    Row("faster", "a case", 30.0, "times", at_least(25)),
    Row("a peer", "a case", np.nan, "times", at_least(1000), "not installed"),
    Row("no goal", "", 0.0456, "s"),
]


def fit_rows(extra):
    yield Row("the fit without the callback", "a fit, 20 epochs", 1.5, "s")
    for name in ("default", "log_dir"):
        yield Row(f"extra time, {name}", "a fit, 20 epochs", extra, "%", at_most(8), "")
        yield Row(f"time inside the callback, {name}", "a fit, 20 epochs", extra / 2, "%")
    yield Row("extra time, asleep for as long", "a fit, 20 epochs", 3.0, "%")


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """What a script that measures the rows writes."""
    monkeypatch.setattr(sys, "argv", ["look.py", "--turns", "3", "--out", str(tmp_path)])
    _results.run("somewhere/look.py", "A script.\n\nOthers.", lambda job: ROWS, turns=9)
    return tmp_path


def test_the_tables_of_the_page_are_those_of_the_results():
    text = _cost_page.PAGE.read_text()
    assert _cost_page.page(text, _results.results()) == text


def test_every_script_has_its_part_of_the_page():
    assert len(SCRIPTS) > 5
    assert sorted(_cost_page.SECTIONS) == SCRIPTS


def test_numbers_and_verdicts():
    assert doctest.testmod(_results) == (0, 1)
    assert [row.verdict for row in ROWS] == ["met", "missed", "met", "not measured", ""]
    assert Row("", "", 8.0, "%", at_most(8)).verdict == Row("", "", 8.0, "%", at_least(8)).verdict == "met"


def test_rows_are_printed_and_read_back(kept, capsys):
    assert list(kept.iterdir()) == [kept / "benchmark_look.csv"]
    result = Result.read(kept / "benchmark_look.csv")
    assert result.command == "python benchmarks/look.py --turns 3"
    assert "TensorFlow" in result.machine
    assert [row._replace(value=0) for row in result.rows] == [row._replace(value=0) for row in ROWS]
    np.testing.assert_allclose([row.value for row in result.rows], [row.value for row in ROWS], rtol=1e-3)


def test_a_turn_measures_all_and_the_first_is_not_kept():
    order = []
    measures = {name: lambda name=name: order.append(name) or len(order) for name in "ab"}
    found = _results.in_turns(measures, 2)
    assert order == ["a", "b", "b", "a", "a", "b"]
    np.testing.assert_array_equal(found["a"], [4, 5])
    np.testing.assert_array_equal(found["b"], [3, 6])


def test_ratios_are_those_of_the_turns():
    row = _results.ratio("", "", np.array([2.0, 9.0, 4.0]), np.array([1.0, 3.0, 4.0]))
    assert row.value == 2
    assert row.note == "4,000 ms / 3,000 ms"


def test_what_is_missed_is_said(kept):
    section = _cost_page.section(_results.results(kept) | {"fits": Result("fit", "here", list(fit_rows(9.0)))})
    assert "2 of 6 goals are met, and 3 missed. 1 could not be measured." in section
    lines = [[cell.strip() for cell in line.split("|")] for line in section.splitlines()]
    assert ["", "too slow", "a case", "at most 150: **missed**", "12,350 ms", "", ""] in lines
    assert ["", "a peer", "a case", "at least 1,000: not measured", "not measured", "not installed", ""] in lines
    missed = "at most 8: **missed**"
    assert ["", "a fit, 20 epochs", "1.5 s", *["9 %", missed, "4.5 %"] * 2, "3 %", ""] in lines
    assert section.index("Whole fits") < section.index("A look beside its limit")


def test_without_results_the_page_says_so():
    assert "Nothing was measured yet" in _cost_page.section({})


def test_the_picture_says_what_is_missed():
    figure = _cost_page.draw(list(fit_rows(9.0)))
    (ax,) = figure.axes
    assert [text.get_text() for text in ax.texts] == ["9 %, goal 8: missed"] * 2
    assert [bar.get_width() for bar in ax.patches] == [9.0, 9.0]


def test_a_quick_job_is_small():
    assert (Job(5).some(100, 2), Job(1, quick=True).some(100, 2)) == (100, 2)


@pytest.mark.endurance
@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_run(script, tmp_path):
    command = [sys.executable, FOLDER / f"{script}.py", "--quick", "--out", tmp_path]
    subprocess.run(command, check=True)
    with (tmp_path / f"benchmark_{script}.csv").open() as file:
        assert file.readline() == f"# python benchmarks/{script}.py --quick\n"
        file.readline()
        assert len(list(csv.DictReader(file))) > 1
