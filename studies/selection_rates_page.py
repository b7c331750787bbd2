"""Puts the results of the studies of `select` into its page: `python studies/selection_rates_page.py`.

What stands between the marks of docs/select.md is replaced by tables made of docs/results/selection.csv and
docs/results/random_columns.csv.
"""

import pathlib

import pandas as pd
from death_rates_page import replaced, table

DOCS = pathlib.Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "select.md"
RESULTS, RANDOM = DOCS / "results" / "selection.csv", DOCS / "results" / "random_columns.csv"
BEGIN = "<!-- made by `make study-selection` -->\n"
# Published with arXiv 2304.02383, in https://github.com/AntoinePassemiers/Feature-Selection-Benchmark (folder results,
# 1,000 rows, bestK): gradient saliency, the best of the neural methods, the best of all. Not neural are random forests,
# TreeSHAP, mRMR, mutual information and Relief.
PUBLISHED = {
    "ring": {
        8: (50, 100, 100), 16: (42, 83, 100), 32: (33, 42, 100), 64: (25, 33, 100), 128: (0, 8, 100), 256: (0, 0, 100),
    },
    "xor": dict.fromkeys((8, 16, 32, 64), (100, 100, 100)) | {128: (33, 100, 100), 256: (0, 100, 100)},
    "ring+xor": {
        8: (83, 96, 100), 16: (75, 79, 100), 32: (58, 67, 100), 64: (17, 54, 100), 128: (8, 50, 100), 256: (0, 50, 75),
    },
    "ring+xor+sum": {
        8: (86, 89, 100), 16: (72, 78, 100), 32: (64, 75, 97), 64: (61, 69, 100), 128: (36, 56, 97), 256: (33, 67, 67),
    },
}  # fmt: skip


def results() -> pd.DataFrame:
    """A row for each data set and number of features."""
    return pd.read_csv(RESULTS, comment="#")


def benchmark(found: pd.DataFrame) -> str:
    """The benchmark beside what was published."""
    rows = {}
    for row in found.to_dict("records"):
        saliency, neural, every = PUBLISHED[row["data"]][row["num_features"]]
        rows[f"{row['data'].upper()}, {row['num_features']}"] = {
            "`select`, mean": f"{row['mean']:.0f}",
            "lowest to highest": f"{row['lowest']} to {row['highest']}",
            "gradient saliency": str(saliency),
            "best neural method": str(neural),
            "best of all": str(every),
        }
    return table(rows, "data, features")


def random_columns() -> str:
    """What became of random columns."""
    rows = {}
    for name, part in pd.read_csv(RANDOM, comment="#").groupby("data", sort=False):
        difference = part["error_selected"] - part["error_all"]
        error = difference.std(ddof=1) / len(part) ** 0.5
        rows[f"{name} ({len(part)} seeds)"] = {
            "random columns, dead": f"{part['random_dead'].sum()} of {part['random'].sum()}",
            "selected": f"{part['random_selected'].sum()}",
            "real ones, selected": f"{part['real_selected'].mean():.0f} of {part['real'].iloc[0]}",
            "error on new rows, all": f"{part['error_all'].mean():.4f}",
            "selected, less all": f"{difference.mean():+.4f} ± {error:.4f}",
        }
    return table(rows, "data")


def section(found: pd.DataFrame) -> str:
    """The results in tables."""
    return f"""
Percent of the features that matter among those that were kept, over {found["draws"].iloc[0]} draws:

{benchmark(found)}
Random columns beside as many real ones:

{random_columns()}"""


def page(text: str, found: pd.DataFrame) -> str:
    """The page with these results."""
    return replaced(text, BEGIN, section(found))


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(), results()))
    print(PAGE)
