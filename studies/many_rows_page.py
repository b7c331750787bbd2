"""Puts the results of the study of many rows into its page: `python studies/many_rows_page.py`.

What stands between the marks of docs/distributed.md is replaced by a table made of docs/results/many_rows.csv.
"""

import pathlib

import pandas as pd
from death_rates_page import replaced, table

DOCS = pathlib.Path(__file__).resolve().parents[1] / "docs"
PAGE, RESULTS = DOCS / "distributed.md", DOCS / "results" / "many_rows.csv"
BEGIN = "<!-- made by `make study-many-rows` -->\n"


def section() -> str:
    """The results in words and a table."""
    found = pd.read_csv(RESULTS, comment="#")
    one, two = found["rows_a_second"]
    rows = {
        str(row["workers"]): {
            "seconds": f"{row['seconds']:.0f}",
            "rows a second": f"{row['rows_a_second']:,.0f}",
            "MB of a worker, early and at the end": f"{row['worker_mb_early']:.0f}, {row['worker_mb_late']:.0f}",
            "MB of the process that merges": f"{row['own_mb_early']:.0f}, {row['own_mb_late']:.0f}",
        }
        for row in found.to_dict("records")
    }
    return f"""
{found["rows"][0]:,.0f} rows of 23 columns, made where they are measured, by the paper's network, on one machine with
two processors; the start of the workers counts:

{table(rows, "workers")}
Two workers take {two / one:.2f} times the rows a second of one, and neither takes more memory with more rows. The
shares of both are the same.
"""


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(), BEGIN, section()))
    print(f"Written: {PAGE}")
