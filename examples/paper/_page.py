"""Writes docs/paper.md: the template docs/paper/page.template, with the results of the folder in its braces.

    python examples/paper/_page.py

In the template, `{table_1[test error][small, all]:.2f}` is one number of docs/paper/table_1.csv, its column before its
row; `{table_1:.2f}` is the whole table, and `{figure_2a:.2f 5}` the first five rows of one. So no number is typed.
"""

import pathlib

import pandas as pd

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
PAGE, RESULTS = DOCS / "paper.md", DOCS / "paper"


class Result:
    """A table of results that can stand in a template."""

    def __init__(self, path: pathlib.Path):
        command, _, _ = path.read_text().partition("\n")
        self.command = command.removeprefix("# ")
        # Whole numbers beside missing ones stay whole.
        self.table = pd.read_csv(path, comment="#", index_col=0).convert_dtypes()

    def __getitem__(self, column: str) -> pd.Series:
        return self.table[column]

    def __format__(self, settings: str) -> str:
        number, _, rows = settings.partition(" ")
        shown = self.table.head(int(rows)) if rows else self.table
        lines = [[self.table.index.name, *shown.columns], ["---"] + ["---:"] * shown.shape[1]]
        lines += [[name, *(cell(value, number) for value in row)] for name, *row in shown.itertuples()]
        return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def cell(value: object, number: str) -> str:
    """A value as it stands in a table; nothing where it is missing."""
    if value is None or value is pd.NA:
        return ""
    return format(value, number if isinstance(value, float) else "," if isinstance(value, int) else "")


def page() -> str:
    """The page that belongs to the results."""
    results = {path.stem: Result(path) for path in sorted(RESULTS.glob("*.csv"))}
    return (RESULTS / "page.template").read_text().format(**results)


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"Page: {PAGE}")
