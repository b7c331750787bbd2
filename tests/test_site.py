"""The documentation site, opened as files: its search has what it needs, and what is copied from it runs."""

import html.parser
import json
import pathlib
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


class Copied(html.parser.HTMLParser):
    """The text of each block of code, without that of elements of the classes that are hidden while it is copied."""

    def __init__(self, hidden):
        super().__init__()
        self.hidden, self.blocks, self.open = hidden, [], []

    def handle_starttag(self, tag, attributes):
        if tag == "code" and "pre" in self.open:
            self.blocks.append("")
        if tag in ("pre", "code", "span"):
            self.open.append(tag if dict(attributes).get("class") not in self.hidden else "hidden")

    def handle_endtag(self, tag):
        if tag in ("pre", "code", "span"):
            self.open.pop()

    def handle_data(self, data):
        if "code" in self.open and "pre" in self.open and "hidden" not in self.open:
            self.blocks[-1] += data


def copied(page, hidden):
    parser = Copied(hidden)
    parser.feed(page.read_text())
    return parser.blocks


def test_search_finds_its_index_and_its_worker_beside_the_pages(site):
    index = (site / "search" / "search_index.js").read_text()
    assert json.loads(index.removeprefix("var __index = ")) == json.loads(
        (site / "search" / "search_index.json").read_text()
    )
    pages = [page for page in site.rglob("*.html") if page.name != "404.html"]
    assert len(pages) > 20
    for page in pages:
        loaded = re.findall(r'<(?:script|link rel="stylesheet)[^>]*(?:src|href)="([^"]*)"', page.read_text())
        assert any(path.endswith("iframe-worker.js") for path in loaded)
        assert all((page.parent / path).resolve().is_file() for path in loaded), loaded


def test_what_is_copied_has_neither_prompts_nor_what_was_printed(site):
    rule = re.search(r"\[data-md-copying\] :is\(([^)]*)\) \{ display: none; \}", (site / "site.css").read_text())
    hidden = [name.strip(" .") for name in rule[1].split(",")]
    examples = [
        taken
        for page in site.rglob("*.html")
        for taken, shown in zip(copied(page, hidden), copied(page, []), strict=True)
        if shown.startswith(">>> ")
    ]
    assert len(examples) > 50
    for example in examples:
        compile(example, "example", "exec")
        assert ">>>" not in example
