"""Puts the comparison of definitions into the page on dead features: `python studies/death_definitions_page.py`.

Whatever stands between the two marks of the page is replaced by tables made of docs/results/death_definitions.csv.
"""

import pandas as pd
from death_rates_page import DOCS, PAGE, replaced, scores, table

RESULTS = DOCS / "results" / "death_definitions.csv"
BEGIN = "<!-- made by `make study-death-definitions` -->\n"
STD, DEFAULT = "std", "default"
DEFINITIONS = {STD: '`scale="std"`', "path": '`change="derivative"`', DEFAULT: "the default"}


def all_dead(fits: pd.DataFrame, definition: str) -> set[tuple[int, str]]:
    """The columns that are dead at the end of each fit."""
    columns = fits.loc[fits["definition"] == definition, "dead"].fillna("").astype(str)
    return {(fit, column) for fit, cell in enumerate(columns) for column in cell.split()}


def by_definition(fits: pd.DataFrame) -> dict[str, dict[str, str]]:
    """What each definition says of these fits."""
    return {words: scores(fits[fits["definition"] == name], "probes") for name, words in DEFINITIONS.items()}


def section(fits: pd.DataFrame) -> str:
    """The results in words and tables."""
    std, default = all_dead(fits, STD), all_dead(fits, DEFAULT)
    both, only_std, only_default = (len(each) for each in (std & default, std - default, default - std))
    by_simulation = {
        f"{name} ({len(part) // len(DEFINITIONS)}), {words}": row
        for name, part in fits.groupby("simulation")
        for words, row in by_definition(part).items()
        if words != DEFINITIONS["path"]
    }
    return f"""
{len(fits) // len(DEFINITIONS)} networks, each watched by all definitions. Of their features, {both} are dead at the
end by both `scale="std"` and the default, {only_std} by the former alone, {only_default} by the latter alone.

{table(by_definition(fits), "definition")}
By simulation:

{table(by_simulation, "")}"""


def results() -> pd.DataFrame:
    """A row for each fit and definition."""
    return pd.read_csv(RESULTS, comment="#")


def page(text: str, fits: pd.DataFrame) -> str:
    """The page with these results."""
    return replaced(text, BEGIN, section(fits))


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(), results()))
    print(PAGE)
