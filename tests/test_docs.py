"""What the documents say is executed."""

import doctest
import inspect
import pathlib
import re
import shlex

import agreement_page
import death_rates_page
import doctest_fences
import gallery
import math_fences
import public_models_page
import pytest
import selection_rates_page

import keras_sensitivity as ks
from keras_sensitivity import plots
from keras_sensitivity.command import main

ROOT = pathlib.Path(__file__).parent.parent
SLOW = ["beside.md", "select.md"]  # the one imports SHAP, the other trains a dozen networks
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


class WithoutFences(doctest.DocTestParser):
    """Takes the fence behind an example for an empty line, not for what the example prints."""

    def parse(self, string, name="<string>"):
        return super().parse(re.sub(r"^```.*$", "", string, flags=re.MULTILINE), name)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in SLOW], ids=lambda page: page.name)
@pytest.mark.sample(2)
def test_doctests_of_pages(page):
    options = {"module_relative": False, "optionflags": doctest.NORMALIZE_WHITESPACE, "parser": WithoutFences()}
    assert doctest.testfile(str(page), **options).failed == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_doctests_of_slow_pages(name):
    test_doctests_of_pages(ROOT / "docs" / name)


def drawing():
    """The functions that draw, by name."""
    return {name: draw for name in plots.__all__ if "ax" in inspect.signature(draw := getattr(plots, name)).parameters}


def test_what_is_public_has_an_example():
    public = [getattr(ks, name) for name in ks.__all__ if name != "PAPER"]
    assert len(drawing()) > 10
    assert [entry.__name__ for entry in [*public, *drawing().values()] if ">>> " not in entry.__doc__] == []


def test_the_site_shows_examples_as_code_and_formulas_as_formulas():
    assert doctest.testmod(doctest_fences) == (0, 2)
    assert doctest.testmod(math_fences) == (0, 1)
    assert doctest.testmod(gallery) == (0, 1)


def test_the_lines_of_the_readme_run(tmp_path, monkeypatch, capsys):
    code = "".join(re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL))
    monkeypatch.chdir(tmp_path)
    scope = {}
    exec(code, scope)
    printed = capsys.readouterr().out
    assert "1 died: shoe_size" in printed
    assert "['income', 'debt'" in printed
    assert list((tmp_path / "runs" / "first" / "sensitivity").iterdir())


def test_the_gallery_has_every_picture():
    page = (ROOT / "docs" / "gallery.md").read_text()
    assert [name for name in drawing() if f"plots.{name}(" not in page] == []
    assert sum(picture is not None for _, picture in gallery.blocks(page)) == page.count("![") == len(drawing())


@pytest.mark.slow
def test_the_gallery_draws_itself(tmp_path):
    shown = {path.name for path in (ROOT / "docs" / "images" / "gallery").iterdir()}
    assert {path.name for path in gallery.draw(ROOT / "docs" / "gallery.md", tmp_path)} == shown
    assert min(path.stat().st_size for path in tmp_path.iterdir()) > 5000


@pytest.mark.slow
def test_the_lines_of_the_page_on_the_command_run(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "command.md").read_text()
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"```python\n(.*?)```", page, flags=re.DOTALL)[1], {})
    lines = re.findall(r"^\$ keras-sensitivity (.*)$", page, flags=re.MULTILINE)
    assert len(lines) > 5
    assert [main(shlex.split(line)) for line in lines] == [0] * len(lines)
    named = re.findall(r"--out (\S+)", page)
    assert {path.name for path in tmp_path.iterdir()} >= {"model.keras", *named}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)\)", page.read_text())
    for link in links:
        assert link.startswith("https://") or (page.parent / link).exists(), link


@pytest.mark.parametrize(
    "study",
    [agreement_page, death_rates_page, public_models_page, selection_rates_page],
    ids=lambda study: study.__name__,
)
def test_the_tables_of_the_studies_are_those_of_their_results(study):
    text = study.PAGE.read_text()
    assert study.page(text, study.results()) == text
