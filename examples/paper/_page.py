"""Writes docs/paper.md: the template docs/paper/page.template, with the results of the folder in its braces.

    python examples/paper/_page.py

In the template, `{table_1[test error][small, all]:.2f}` is one number of docs/paper/table_1.csv, its column before its
row; `{table_1:.2f}` is the whole table, and `{figure_2a:.2f 5}` the first five rows of one. So no number is typed.
"""

import pathlib

import pandas as pd

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
PAGE, RESULTS = DOCS / "paper.md", DOCS / "paper"

# What stands beside the paper's at the top: its name there, and the table, column and row of ours.
SUMMARY = {
    "simulation test MSE": ("figure_1_error", "mean", "test MSE"),
    "train error all features": ("table_1", "train error", "large, all"),
    "test error all features": ("table_1", "test error", "large, all"),
    "features for 90 %": ("table_1_selection", "mean", "features for 90 %"),
    "train error selected features": ("table_1", "train error", "small, selected"),
    "test error selected features": ("table_1", "test error", "small, selected"),
    "seconds of the sensitivities": ("seconds_paper", "ours", "sensitivities"),
    "seconds of LIME": ("seconds_paper", "ours", "LIME"),
}


class Result:
    """A table of results that can stand in a template, and the command that made it."""

    def __init__(self, table: pd.DataFrame, command: str = ""):
        self.table = table.convert_dtypes()  # whole numbers beside missing ones stay whole
        self.command = command

    @classmethod
    def read(cls, path: pathlib.Path) -> "Result":
        command, _, _ = path.read_text().partition("\n")
        return cls(pd.read_csv(path, comment="#", index_col=0), command.removeprefix("# "))

    def __getitem__(self, column: str) -> pd.Series:
        return self.table[column]

    def __format__(self, settings: str) -> str:
        number, _, rows = settings.partition(" ")
        shown = self.table.head(int(rows)) if rows else self.table
        cells = shown.astype(object).map(lambda value: cell(value, number))  # pandas 2 maps whole numbers as floats
        sides = ["right" if pd.api.types.is_numeric_dtype(kind) else "left" for kind in shown.dtypes]
        return cells.to_markdown(disable_numparse=True, colalign=["left", *sides])  # numbers have their format


def cell(value: object, number: str) -> str:
    """A value as it stands in a table; nothing where it is missing."""
    if value is None or value is pd.NA:
        return ""
    if isinstance(value, float) and number.endswith("g") and abs(value) >= 1000:
        return f"{value:,.0f}"  # rather than with an exponent
    return format(value, number if isinstance(value, float) else "," if isinstance(value, int) else "")


def summary(results: dict[str, Result]) -> Result:
    """Our numbers beside the paper's."""
    ours = pd.Series({name: results[table][column][row] for name, (table, column, row) in SUMMARY.items()})
    beside = pd.DataFrame({"here": ours, "paper": results["paper"]["value"][ours.index]}, ours.index)
    return Result(beside.assign(difference=beside["here"] - beside["paper"]).rename_axis("what"))


def page() -> str:
    """The page that belongs to the results."""
    results = {path.stem: Result.read(path) for path in sorted(RESULTS.glob("*.csv"))}
    return (RESULTS / "page.template").read_text().format(**results, summary=summary(results))


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"Page: {PAGE}")
