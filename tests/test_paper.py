"""The scripts that reproduce the paper run, and the page says what their results say."""

import importlib
import pathlib
import re

import _datasets
import _page
import pandas as pd
import pytest

SCRIPTS = sorted(path.stem for path in pathlib.Path(_page.__file__).parent.glob("[!_]*.py"))

# What may have digits in the template: results, code, addresses and names.
NAMES = [
    r"\{[^}]*\}",
    r"`[^`]*`",
    r"\]\([^)]*\)",
    r"(sections?|figures?|table) \d[.\w]*((,| and) \d[.\w]*)*",
    r"arXiv [\d.]+",
    r"\b(2003|2018|l1|X\d|PAY_\d|PAY_AMT\d|BILL_AMT\d)\b",
    "lag 0",
    "90 %",
]


@pytest.mark.slow
@pytest.mark.skipif(_datasets._find(_datasets.CREDIT_FILE) is None, reason="no credit data on this machine")
@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_run(script, tmp_path):
    importlib.import_module(script).main(["--quick", f"--out={tmp_path}"])
    # The same tables and pictures as in the documents, with columns that these have.
    written = {path.name for path in tmp_path.iterdir()}
    assert written
    for name in written:
        assert (_page.RESULTS / name).exists(), name
        if name.endswith(".csv"):
            quick, full = _page.Result.read(tmp_path / name), _page.Result.read(_page.RESULTS / name)
            assert set(quick.table.columns) <= set(full.table.columns)
            assert quick.command == f"{full.command} --quick"


def test_the_page_is_that_of_the_results():
    assert _page.page() == _page.PAGE.read_text()


def test_all_results_are_on_the_page():
    template = (_page.RESULTS / "page.template").read_text()
    for path in _page.RESULTS.iterdir():
        assert path.stem in template


def test_no_result_is_typed():
    template = (_page.RESULTS / "page.template").read_text()
    for name in NAMES:
        template = re.sub(name, "", template, flags=re.IGNORECASE)
    assert re.findall(r".*\d.*", template) == []


def test_tables_of_the_page(tmp_path):
    path = tmp_path / "result.csv"
    path.write_text("# python script.py\nwhat,share,rank,note\na,1.25,1,\nb,2,,x\n")
    result = _page.Result.read(path)
    assert result.command == "python script.py"
    header, line, *rows = ([part.strip() for part in row.split("|")[1:-1]] for row in f"{result:.1f}".splitlines())
    assert header == ["what", "share", "rank", "note"]
    assert [re.sub("-+", "-", part) for part in line] == [":-", "-:", "-:", ":-"]
    assert rows == [["a", "1.2", "1", ""], ["b", "2.0", "", "x"]]
    assert len(f"{result:.1f 1}".splitlines()) == 3
    assert f"{result['share']['b']:.2f}" == "2.00"
    assert isinstance(result["rank"], pd.Series)
