"""What goes out with a release says the same in every place."""

import configparser
import doctest
import importlib.util
import pathlib
import re

import pytest
import yaml

import keras_sensitivity as ks

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture
def setup():
    spec = importlib.util.spec_from_file_location("setup", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def requirements():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    return [line for line in settings["options"]["install_requires"].splitlines() if line and line[0] != "#"]


def test_no_build_of_tensorflow_is_required_and_nothing_is_pinned_from_above():
    required = [re.fullmatch(r"(\S+) >= [\d.]+", line) for line in requirements()]
    assert all(required), requirements()
    assert {match[1] for match in required} == {"keras", "matplotlib", "numpy", "pandas", "scipy", "tensorboard"}


def test_the_links_of_the_description_lead_out_of_the_package(setup):
    assert doctest.testmod(setup).failed == 0
    readme = (ROOT / "README.md").read_text()
    assert re.search(r"\]\((?!https://)", readme)
    for source in (None, "https://host/group/name"):
        description = setup.description(readme, source, ks.__version__)
        assert re.findall(r"\]\((?!https://)[^)]*", description) == []
        assert description.count("https://host/group/name/raw/") == (readme.count("![") if source else 0)


def test_versions_are_one(setup):
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert setup.version() == ks.__version__ == citation["version"]
    assert citation["preferred-citation"]["url"] == "https://arxiv.org/abs/1812.01029"
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
