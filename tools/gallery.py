"""Draws the pictures of a page: runs its code, and saves what each block drew as the picture that stands below it.

    python tools/gallery.py [PAGE] [--out FOLDER]

The page stays as it is; the pictures go where its links lead, or into a folder, by their names.
"""

import argparse
import pathlib
import re

import matplotlib.pyplot as plt

ROOT = pathlib.Path(__file__).parent.parent

# A block of code, and the picture below it, if there is one before the next block.
BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```$(?:(?!^```).)*?(?:^!\[.*?\]\((?P<picture>[^)]+)\)|(?=^```)|\Z)", re.M | re.S
)

# Dots an inch: sharp enough where a page shows a picture at half of its width.
DOTS = 110


def blocks(text: str) -> list[tuple[str, str | None]]:
    r"""The code of each block of a page, and the path of the picture below.

    >>> blocks("```python\nx = 1\n```\n\nSo:\n\n```python\ndraw(x)\n```\n\n![It](a.png)\n")
    [('x = 1\n', None), ('draw(x)\n', 'a.png')]
    """
    return [(match["code"], match["picture"]) for match in BLOCK.finditer(text)]


def draw(page: pathlib.Path, out: pathlib.Path | None = None) -> list[pathlib.Path]:
    """Run the page, and save its pictures."""
    scope: dict[str, object] = {}
    saved = []
    for code, picture in blocks(page.read_text()):
        exec(compile(code, str(page), "exec"), scope)
        if picture is not None:
            path = page.parent / picture if out is None else out / pathlib.Path(picture).name
            path.parent.mkdir(parents=True, exist_ok=True)
            plt.gcf().savefig(path, dpi=DOTS)
            saved.append(path)
        plt.close("all")
    return saved


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("page", type=pathlib.Path, nargs="?", default=ROOT / "docs" / "gallery.md")
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    for path in draw(arguments.page, arguments.out):
        print(f"Picture: {path}")
