"""Puts the results of the study into the page on dead features: `python studies/death_rates_page.py`.

Whatever stands between the two marks of the page is replaced by tables made of docs/results/dead_features.csv.
"""

import pathlib
from collections.abc import Callable, Iterable

import pandas as pd
from simulations import SIMULATIONS

DOCS = pathlib.Path(__file__).resolve().parents[1] / "docs"
PAGE, RESULTS = DOCS / "dead_features.md", DOCS / "results" / "dead_features.csv"
BEGIN, END = "<!-- made by `make study-dead-features` -->\n", "<!-- end -->"
PROBES, LABELS = "probes", "probes and labels"
RULES = {
    PROBES: "noise probes",
    LABELS: "noise probes, with labels",
    "a tenth of the uniform share": "a tenth of the uniform share",
    "1 %": "1 %",
}
LEVELS = ["below 0.1", "0.1 to 0.2", "0.2 to 0.3", "0.3 to 0.5", "above 0.5"]
NUM_FEATURES = {"paper": 8, "jmlr": 8, "friedman": 10, "aico": 19, "shell": 15, "sequence": 6, "twins": 15, "kinds": 14}


def results() -> pd.DataFrame:
    """A row a fit and rule, with what is counted."""
    table = pd.read_csv(RESULTS, comment="#", keep_default_na=False)
    return pd.concat([table, pd.DataFrame(map(counted, table.to_dict("records")))], axis=1)


def counted(row: dict) -> dict:
    """How many of the features of a fit were rightly or falsely dead."""
    simulation = SIMULATIONS[row["simulation"]]
    irrelevant, ignored = set(simulation.irrelevant), set(simulation.ignored)
    dead = {name: int(look) for name, look in (each.split(":") for each in row["dead"].split())}
    false = set(dead) - irrelevant - ignored
    return {
        "irrelevant": len(irrelevant),
        "useful": NUM_FEATURES[row["simulation"]] - len(irrelevant) - len(ignored),
        "looks": {name: look for name, look in dead.items() if name in irrelevant},
        "false": false,
        "falsely redundant": false & set(row["redundant"].split()),
        "while": set(row["for_a_while"].split()) - irrelevant - ignored,
    }


def scores(fits: pd.DataFrame) -> dict[str, str]:
    """What was said of these fits."""
    looks = pd.Series([look for each in fits["looks"] for look in each.values()], dtype=float)
    useful, false = fits["useful"].sum(), fits["false"].map(len).sum()
    return {
        "irrelevant, reported at the end": percent(len(looks), fits["irrelevant"].sum()),
        "looks until then: median, 80 %": f"{looks.median():.0f}, {looks.quantile(0.8):.0f}" if len(looks) else "",
        "useful, dead at the end": f"{percent(false, useful)} ({false} of {useful})",
        "useful, dead for a while": percent(fits["while"].map(len).sum(), useful),
    }


def percent(part: int, whole: int) -> str:
    """A share, or nothing of nothing."""
    return f"{100 * part / whole:.1f} %" if whole else ""


def by(fits: pd.DataFrame, columns: list[str], name: Callable[[tuple], str]) -> dict[str, dict[str, str]]:
    """Scores of groups of fits, by their names."""
    return {f"{name(key)} ({len(part)})": scores(part) for key, part in fits.groupby(columns, sort=False)}


def arm(key: Iterable) -> str:
    """Rows and penalty in words."""
    num_rows, l2 = key
    return f"{num_rows:,} rows, {f'L2 {l2}' if l2 else 'no penalty'}"


def by_kind(fits: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Of each kind of irrelevant column how many were reported, by arm."""
    rows: dict[str, dict[str, str]] = {}
    for key, part in fits.groupby(["num_rows", "l2"]):
        counts: dict[str, list[bool]] = {}
        for fit in part.to_dict("records"):
            for name, kind in SIMULATIONS[fit["simulation"]].irrelevant.items():
                counts.setdefault(kind, []).append(name in fit["looks"])
        for kind, found in counts.items():
            rows.setdefault(kind, {})[arm(key)] = percent(sum(found), len(found))
    return rows


def falsely_dead(fits: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Which useful features were dead at the end, by arm, where any was in two networks."""
    rows: dict[str, dict[str, str]] = {}
    for key, part in fits.groupby(["num_rows", "l2"]):
        for simulation, some in part.groupby("simulation", sort=False):
            for name in sorted(set().union(*some["false"]), key=lambda each: (len(each), each)):
                dead = sum(name in each for each in some["false"])
                rows.setdefault(f"{simulation}, {name}", {})[arm(key)] = f"{dead} of {len(some)}"
    frame = pd.DataFrame.from_dict(rows, orient="index").fillna("")
    often = frame.map(lambda cell: int(cell.split()[0]) if cell else 0).max(axis=1) > 1
    return frame[often].sort_index(axis=1).to_dict("index")


def table(rows: dict[str, dict[str, str]], corner: str) -> str:
    """A Markdown table."""
    cells = pd.DataFrame.from_dict(rows, orient="index").rename_axis(corner)
    return cells.to_markdown(disable_numparse=True, colalign=["left", *["right"] * cells.shape[1]]) + "\n"


def section(fits: pd.DataFrame) -> str:
    """The results in words and tables."""
    probes, labels = (fits[fits["rule"] == rule] for rule in (PROBES, LABELS))
    plain = probes[probes["l2"] == 0]
    levels = pd.cut(probes["noise_over_uniform"], [0, 0.1, 0.2, 0.3, 0.5, 100], labels=LEVELS)
    by_level = {f"{level} ({len(part)})": scores(part) for level, part in probes.groupby(levels, observed=True)}
    redundant, false = (int(probes[name].map(len).sum()) for name in ("falsely redundant", "false"))
    return f"""
All {len(probes)} networks, by each rule:

{table({RULES[rule]: scores(fits[fits["rule"] == rule]) for rule in RULES}, "rule")}
Noise probes, by rows and penalty (in brackets how many networks):

{table(by(probes.sort_values(["num_rows", "l2"]), ["num_rows", "l2"], arm), "")}
and with labels:

{table(by(labels.sort_values(["num_rows", "l2"]), ["num_rows", "l2"], arm), "")}
Irrelevant columns that were reported at the end, by their kind, without labels:

{table(by_kind(probes), "kind")}
By simulation, without a penalty and labels:

{table(by(plain.sort_values(["num_rows"]), ["num_rows", "simulation"], lambda key: f"{key[0]:,} rows, {key[1]}"), "")}
Useful features that were dead at the end in more than one network of an arm; of all {false}, {redundant} were called
redundant:

{table(falsely_dead(probes), "feature")}
By the noise level at the end, relative to the uniform share (100 % divided by the number of features):

{table(by_level, "noise level / uniform share")}"""


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
