"""Puts the results of the study into the page on dead features: `python studies/death_rates_page.py`.

Whatever stands between the two marks of the page is replaced by tables made of docs/results/dead_features.csv.
"""

import pathlib

import pandas as pd

DOCS = pathlib.Path(__file__).resolve().parents[1] / "docs"
PAGE, RESULTS = DOCS / "dead_features.md", DOCS / "results" / "dead_features.csv"
BEGIN, END = "<!-- made by `make study-dead-features` -->\n", "<!-- end -->"
RULES = {
    "probes": "noise probes",
    "probes from the first look": "noise probes, judged from the first look on",
    "rule of thumb": "a tenth of the uniform share",
    "1 %": "1 %",
}
# A network generalises if its last test loss is at most this many times its lowest.
GENERALISES = 1.1
LEVELS = ["below 0.1", "0.1 to 0.2", "0.2 to 0.3", "0.3 to 0.5", "above 0.5"]


def scores(fits: pd.DataFrame, rule: str) -> dict[str, str]:
    """What a rule said of these fits."""
    looks = [int(look) for cell in fits[f"{rule}: looks"].fillna("").astype(str) for look in cell.split()]
    useful = fits["useful"].sum()
    at_end, for_a_while = (fits[f"{rule}: false {when}"].sum() for when in ("at the end", "for a while"))
    return {
        "irrelevant, reported at the end": f"{100 * len(looks) / fits['irrelevant'].sum():.1f} %",
        "looks until then (median)": f"{pd.Series(looks, dtype=float).median():.0f}",
        "useful, dead at the end": f"{100 * at_end / useful:.1f} % ({at_end} of {useful})",
        "dead for a while": f"{100 * for_a_while / useful:.1f} %",
    }


def table(rows: dict[str, dict[str, str]], corner: str) -> str:
    """A Markdown table."""
    cells = pd.DataFrame.from_dict(rows, orient="index").rename_axis(corner)
    return cells.to_markdown(disable_numparse=True, colalign=["left", *["right"] * cells.shape[1]]) + "\n"


def section(fits: pd.DataFrame) -> str:
    """The results in words and tables."""
    good = fits[fits["loss_over_best"] <= GENERALISES]
    bad = fits.drop(good.index)
    by_rows = {f"{rows:,} rows ({len(part)} fits)": scores(part, "probes") for rows, part in good.groupby("num_rows")}
    by_name = {f"{name} ({len(part)})": scores(part, "probes") for name, part in good.groupby("simulation")}
    levels = pd.cut(fits["noise_over_uniform"], [0, 0.1, 0.2, 0.3, 0.5, 10], labels=LEVELS)
    by_level = {f"{level} ({len(part)})": scores(part, "probes") for level, part in fits.groupby(levels, observed=True)}
    return f"""
{len(good)} of the {len(fits)} networks generalise (their last test loss is within 10 % of their lowest). Of these:

{table({RULES[rule]: scores(good, rule) for rule in RULES}, "rule")}
Noise probes there, by the number of rows:

{table(by_rows, "")}
and by simulation:

{table(by_name, "")}
The other {len(bad)} networks, whose test loss has risen again:

{table({RULES[rule]: scores(bad, rule) for rule in RULES}, "rule")}
Whether a network generalises is not known while it trains. Its noise level is, and it tells how far to trust a death.
All {len(fits)} networks with noise probes, by their noise level at the end, relative to the uniform share (100 %
divided by the number of features):

{table(by_level, "noise level / uniform share")}"""


def results() -> pd.DataFrame:
    """A row a fit."""
    return pd.read_csv(RESULTS, comment="#")


def page(text: str, fits: pd.DataFrame) -> str:
    """The page with these results."""
    return replaced(text, BEGIN, section(fits))


def replaced(text: str, begin: str, section: str) -> str:
    """The page with another section behind this mark."""
    before, rest = text.split(begin)
    return before + begin + section + END + rest.split(END, 1)[1]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(), results()))
    print(PAGE)
