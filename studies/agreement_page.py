"""Puts the results of the study into the page on agreement: `python studies/agreement_page.py`.

Whatever stands between the two marks of the page is replaced by tables made of docs/results/agreement.csv.
"""

import pathlib

import pandas as pd
from death_rates_page import table

DOCS = pathlib.Path(__file__).resolve().parents[1] / "docs"
PAGE, RESULTS = DOCS / "agreement.md", DOCS / "results" / "agreement.csv"
BEGIN, END = "<!-- made by `make study-agreement` -->\n", "<!-- end -->"
REAL, LOSS = "real changes", "permutation"
MEASURES = [REAL, "again", "default", "path", "std", "paper", LOSS, "SHAP"]
FIT, EXACT = ["dataset", "network", "seed"], "exact"


def shares_of(found: pd.DataFrame) -> pd.DataFrame:
    """One column a measure, the rows in the order of the study."""
    index = [*FIT, "feature"]
    order = pd.MultiIndex.from_frame(found[index].drop_duplicates())
    return found.pivot_table("share", index, "measure").loc[order, MEASURES]


def correlations(shares: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Spearman's rank correlation of the other measures with this one, a row a fit."""
    found = shares.groupby(FIT, sort=False).apply(lambda fit: fit.corr(method="spearman")[measure])
    return found.drop(columns=measure)


def distances(shares: pd.DataFrame) -> pd.DataFrame:
    """The points that would have to move to turn each measure's shares into those of real changes, a row a fit."""
    gaps = shares.sub(shares[REAL], axis="index").abs() / 2
    return gaps.drop(columns=REAL).groupby(FIT, sort=False).sum(min_count=1)


def over_seeds(fits: pd.DataFrame, how: str, digits: int) -> pd.DataFrame:
    """The mean or the maximum over the seeds of a network, as text; nothing where nothing was measured."""
    values = fits.groupby(FIT[:2], sort=False).agg(how)
    return values.map(lambda value: "" if pd.isna(value) else f"{value:.{digits}f}")


def rows(cells: pd.DataFrame, *levels: str) -> dict[str, dict[str, str]]:
    """The rows of a table, each named by these levels of its index."""
    names = cells.index.to_frame()[list(levels)].agg(", ".join, axis="columns")
    return dict(zip(names, cells.to_dict("records"), strict=True))


def section(found: pd.DataFrame) -> str:
    """The results in words and tables."""
    shares = shares_of(found)
    is_exact = shares.index.get_level_values("network") == EXACT
    networks, functions = shares[~is_exact], shares[is_exact]
    seeds = found["seed"].nunique()
    with_loss, with_real = (over_seeds(correlations(networks, measure), "mean", 2) for measure in (LOSS, REAL))
    mean, worst = (over_seeds(distances(networks), how, 1) for how in ("mean", "max"))
    both = (mean + " (" + worst + ")").replace(" ()", "")
    first = functions.groupby(FIT, sort=False).head(1).map("{:.1f}".format)
    return f"""
### Ranks: agreement with permutation importance

Spearman's rank correlation over the features, the mean of {seeds} seeds. 1: the same order.

{table(rows(with_loss, *FIT[:2]), "network")}
### Ranks: agreement with real changes

The same, with real changes.

{table(rows(with_real, *FIT[:2]), "network")}
### Shares: distance to those of real changes

Half the sum of the absolute differences, percentage points: the mean of {seeds} seeds, and in brackets the worst.
0: the same shares.

{table(rows(both, *FIT[:2]), "network")}
### Functions that are known

The same distance. Nothing is trained here: a model computes the formula, and the rows are drawn.

{table(rows(over_seeds(distances(functions), "mean", 1), "dataset"), "function")}
And the share of the first column in each, percent:

{table(rows(first, "dataset", "feature"), "function, column")}"""


def results() -> pd.DataFrame:
    """A row for each fit, measure and feature."""
    return pd.read_csv(RESULTS, comment="#")


def page(text: str, found: pd.DataFrame) -> str:
    """The page with these results."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + section(found) + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(), results()))
    print(PAGE)
