"""Puts the results of the study of black boxes into its page: `python studies/black_boxes_page.py`.

What stands between the marks of docs/functions.md is replaced by tables made of docs/results/black_boxes.csv.
"""

import pathlib

import pandas as pd
from death_rates_page import replaced, table

DOCS = pathlib.Path(__file__).resolve().parents[1] / "docs"
PAGE, RESULTS = DOCS / "functions.md", DOCS / "results" / "black_boxes.csv"
BEGIN = "<!-- made by `make study-black-boxes` -->\n"
LEADING = 10


def section() -> str:
    """The results in words and tables."""
    found = pd.read_csv(RESULTS, comment="#")
    tables = {name: part.pivot_table("value", "what", "model") for name, part in found.groupby("table")}
    credit, steps = tables["credit"], tables["steps"]
    credit = credit[["tree", "lasso", "forest", "boosting", "network"]]
    shares = credit.drop(["error", "seconds"])
    shares = shares.loc[shares.mean(axis=1).sort_values(ascending=False).index]
    rows = {
        f"`{name}`": {model: f"{value:.1f}" for model, value in row.items()}
        for name, row in shares[:LEADING].iterrows()
    }
    rest = shares[LEADING:].sum()
    rows[f"the other {len(shares) - LEADING}"] = {model: f"{value:.1f}" for model, value in rest.items()}
    rows["**wrong on new customers, %**"] = {model: f"{value:.1f}" for model, value in credit.loc["error"].items()}
    rows["**seconds to measure**"] = {model: f"{value:.1f}" for model, value in credit.loc["seconds"].items()}
    names = {"smooth": "the paper's simulation", "friedman": "Friedman 1"}
    order = [*sorted((each for each in steps.index if each != "swap"), key=float), "swap"]
    labels = {step: "real changes" if step == "swap" else step for step in order}
    distances = {names[name]: {labels[step]: f"{steps.loc[step, name]:.1f}" for step in order} for name in names}
    return f"""
Importance, percent, of the ten leading features, on 5,000 customers of whom none was trained on:

{table(rows, "feature")}
Boosted trees that learnt from 10,000 rows: percentage points by which their shares are others than those of the
function itself, half of the sum of the absolute differences, by the step in standard deviations:

{table(distances, "")}"""


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(), BEGIN, section()))
    print(f"Written: {PAGE}")
