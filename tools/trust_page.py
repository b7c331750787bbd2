"""Puts what the slow checks said into the page on what can be relied on: `make trust-page`.

They print a line each, which `make endurance` keeps in docs/results/endurance.txt; `make test-matrix` keeps a table.
"""

import pathlib

import pandas as pd
from death_rates_page import replaced
from endurance import KINDS, RESULTS

DOCS = pathlib.Path(__file__).resolve().parents[1] / "docs"
PAGE, VERSIONS = DOCS / "trust.md", DOCS / "results" / "versions.csv"
NAMES = ["Python", "TensorFlow", "Keras", "NumPy", "pandas", "SciPy", "Matplotlib", "TensorBoard", "passed", "failed"]
BEGIN = "<!-- made by `make trust-page` -->\n"


def said() -> dict[str, list[str]]:
    """The lines of each kind."""
    lines = RESULTS.read_text(encoding="utf-8").splitlines()
    return {name: [line.strip() for line in lines if mark in line] for mark, name in KINDS.items()}


def section() -> str:
    """What was found."""
    rows = [f"| {name} | {line.split(': {')[0]} |" for name, found in said().items() for line in found]
    checks = "\n".join(["| check | what it said |", "|---|---|", *rows])
    versions = pd.read_csv(VERSIONS, comment="#", dtype=str).drop(columns="case")
    names = [
        "Python",
        "TensorFlow",
        "Keras",
        "NumPy",
        "pandas",
        "SciPy",
        "Matplotlib",
        "TensorBoard",
        "passed",
        "failed",
    ]
    cells = [names, ["---"] * len(names), *versions.itertuples(index=False)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in cells)
    return f"\n`make endurance`:\n\n{checks}\n\n`make test-matrix`:\n\n{table}\n\n"


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), BEGIN, section()), encoding="utf-8")
    print(f"Written: {PAGE}")
