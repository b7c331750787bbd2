"""Makes the description of the package: the README, whose links lead to the repository, not to the files beside it.

All other metadata stand in setup.cfg, the repository's address among its ``project_urls``, as Source.
"""

from __future__ import annotations

import configparser
import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).parent

# A picture, or a link, to a file.
TO_A_FILE = re.compile(r"(!?)\[([^\]]+)\]\((?!https://)([^)]+)\)")


def description(readme: str, source: str | None, version: str) -> str:
    """The README as one reads it away from the repository, each link to a file leading to that of this version.

    Without an address of the repository a link is its words alone, and a picture says what it would show.

    >>> description("See [limits](docs/limits.md).", "https://host/group/name", "1.2.0")
    'See [limits](https://host/group/name/blob/v1.2.0/docs/limits.md).'
    >>> description("![Bars](docs/bars.png)", "https://host/group/name", "1.2.0")
    '![Bars](https://host/group/name/raw/v1.2.0/docs/bars.png)'
    >>> description("See [limits](docs/limits.md). ![Bars](docs/bars.png)", None, "1.2.0")
    'See limits. (Picture: Bars)'
    """

    def led(match: re.Match[str]) -> str:
        mark, words, path = match.groups()
        if source is None:
            return f"(Picture: {words})" if mark else words
        return f"{mark}[{words}]({source}/{'raw' if mark else 'blob'}/v{version}/{path})"

    return TO_A_FILE.sub(led, readme)


def source() -> str | None:
    """The address of the repository, None where setup.cfg has none."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    addresses = dict(re.findall(r"(\w+) = (\S+)", settings["metadata"]["project_urls"]))
    return addresses.get("Source")


def version() -> str:
    """That of the package, read without importing it."""
    return re.findall(r'^__version__ = "(.+)"', (ROOT / "keras_sensitivity" / "__init__.py").read_text(), re.M)[0]


if __name__ == "__main__":
    setuptools.setup(long_description=description((ROOT / "README.md").read_text(), source(), version()))
