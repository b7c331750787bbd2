"""Puts the results of the study into the page on public models: `python studies/public_models_page.py`.

Whatever stands between the two marks of the page is replaced by tables made of docs/results/public_models.csv.
"""

import re

import pandas as pd
from death_rates_page import DOCS, replaced, table

PAGE, RESULTS = DOCS / "models.md", DOCS / "results" / "public_models.csv"
BEGIN = "<!-- made by `make study-public-models` -->\n"
APART = ["shares", "derivatives"]
NUMBERS = ["features", "units", "seconds", "ratio", *APART, "tolerance"]


def is_equal(found: pd.DataFrame) -> pd.Series:
    """Whether the shares are those by brute force."""
    return found[APART].max(axis="columns", skipna=False) < found["tolerance"]


def remark(row: pd.Series) -> str:
    """Why a model was refused, or else what was warned of, in short."""
    if row["refused"]:
        return "refused: " + row["refused"].partition(": ")[2].partition(" Expected:")[0]
    short = [re.split(r"[:(]|\. ", text)[0].strip() for text in row["warnings"].split(" | ")]
    return "; ".join(dict.fromkeys(filter(None, short)))


def cells(row: pd.Series) -> dict[str, str]:
    """A line of a table."""
    found = dict.fromkeys(["features", "units", "same bits", *APART, "time"], "")
    if not row["refused"]:
        found = {
            "features": f"{row['features']:.0f}",
            "units": f"{row['units']:.0f}",
            "same bits": row["bit-identical"].replace("no", "**no**"),
            **{name: in_words(row[name], row["tolerance"]) for name in APART},
            "time": f"{row['ratio']:.1f}",
        }
    return {"described by": row["source"], **found, "remark": remark(row).replace("|", "\\|")}


def in_words(difference: float, tolerance: float) -> str:
    """How large it is; bold, where it is too large."""
    return f"{difference:.0e}" if difference < tolerance else f"**{difference:.0e}**"


def section(found: pd.DataFrame) -> str:
    """The results in words and tables."""
    measured = found[found["refused"] == ""]
    same, equal = (measured["bit-identical"] == "yes").sum(), is_equal(measured).sum()
    tables = [
        f"### {kind}\n\n{table({row['model']: cells(row) for _, row in part.iterrows()}, 'model')}"
        for kind, part in found.groupby("kind", sort=False)
    ]
    return f"""
{len(found)} models: {len(measured)} are measured, and {len(found) - len(measured)} refused. Of those that are measured,
{same} are trained to the same bits with the callback as without, and {equal} have the numbers of brute force.

{chr(10).join(tables)}"""


def results() -> pd.DataFrame:
    """A row a model."""
    return pd.read_csv(RESULTS, comment="#", keep_default_na=False, na_values=dict.fromkeys(NUMBERS, ""))


def page(text: str, found: pd.DataFrame) -> str:
    """The page with these results."""
    return replaced(text, BEGIN, section(found))


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(), results()))
    print(PAGE)
