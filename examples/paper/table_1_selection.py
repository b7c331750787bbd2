"""Table 1 and figure 4: is a smaller network on the most important features as good as the large one on all of them?

    python examples/paper/table_1_selection.py [--quick] [--out FOLDER]

Thirty times: split the customers, train the paper's network on all 23 features, keep the features that make up 90 % of
the importance, and train a network of 32 units without a penalty on these. The paper compares the two, which differ in
their features, their size and their penalty. So the small network is also trained on all 23 features, and on as many
features drawn at random: what these differ from the second in is the selection alone.

Look at the last table. The runs share their customers, so a plain paired t-test takes them for more evidence than they
are; the corrected one (Nadeau and Bengio 2003) adds the share of the test rows to the variance.
"""

import _common
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.stats

import keras_sensitivity as ks

LARGE, SELECTED, SMALL, RANDOM = "large, all", "small, selected", "small, all", "small, random"
PAIRS = [(SELECTED, LARGE), (SELECTED, SMALL), (SELECTED, RANDOM), (SMALL, LARGE)]


def run(job: _common.Job, seed: int) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Errors of the four networks on one split, the importances of the large one, and how many features were kept."""
    data = _common.credit(job, split=seed)
    large = _common.trained(job, data, seed)
    importance = ks.measure(large, data.x, definition=ks.PAPER)
    found = {LARGE: _common.errors(large, data)}
    selected = importance.top(coverage=90)
    names = list(data.x.columns)
    drawn = [names[index] for index in np.random.default_rng(seed).permutation(len(names))[: len(selected)]]
    for model, features in {SELECTED: selected, SMALL: names, RANDOM: drawn}.items():
        part = data.only(features)
        found[model] = _common.errors(_common.trained(job, part, seed, units=32, l1=0.0), part)
    print(f"Run {seed}: {len(selected)} features; test error", end="", flush=True)
    print("".join(f"; {model} {errors['test error']:.2f}" for model, errors in found.items()), flush=True)
    errors = pd.concat({model: pd.Series(errors) for model, errors in found.items()})
    return errors, importance.features, pd.Series({"features for 90 %": len(selected)})


def error_table(errors: pd.DataFrame) -> pd.DataFrame:
    """Means and standard deviations over the runs, beside the paper's means, percent."""
    table = pd.DataFrame(index=errors.columns.unique(level=0))
    for part in ("train error", "test error"):
        runs = errors.xs(part, axis=1, level=1)
        papers = {LARGE: f"{part} all features", SELECTED: f"{part} selected features"}
        table[part], table[f"{part} sd"] = runs.mean(), runs.std()
        table[f"paper's {part}"] = pd.Series({model: _common.paper_number(name) for model, name in papers.items()})
    return table.rename_axis("network")


def corrected_p(differences: pd.Series, test_share: float) -> float:
    """Two-sided p of a paired t-test over random splits, whose rows overlap; test_share: test rows over train rows."""
    error = np.sqrt(differences.var() * (1 / len(differences) + test_share))
    return float(2 * scipy.stats.t.sf(abs(differences.mean() / error), len(differences) - 1))


def tests(errors: pd.DataFrame, test_share: float) -> pd.DataFrame:
    """Paired differences of test errors, percentage points, and whether they are more than chance."""
    rows = {}
    for first, second in PAIRS:
        differences = errors[first, "test error"] - errors[second, "test error"]
        p = corrected_p(differences, test_share)
        rows[f"{first} - {second}"] = {
            "difference": differences.mean(),
            "sd": differences.std(),
            "lower in runs": (differences < 0).sum(),
            "p, plain": scipy.stats.ttest_1samp(differences, 0).pvalue,
            "p, corrected": p,
            "differ at 5 %": "yes" if p < 0.05 else "no",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("pair")


def selection(numbers: pd.DataFrame) -> pd.DataFrame:
    """How many features make up 90 % of the importance, over the runs."""
    table = _common.spread(numbers).assign(paper=_common.paper_number("features for 90 %"), runs=len(numbers))
    table["paper, figure 4"] = _common.paper_number("features in figure 4")
    return table.rename_axis("what")


def features(importances: pd.DataFrame) -> pd.DataFrame:
    """Mean importances with their sums from the first on, percent."""
    table = _common.spread(importances).sort_values("mean", ascending=False)
    return table.assign(cumulated=table["mean"].cumsum()).rename_axis("feature")


def draw(table: pd.DataFrame) -> plt.Figure:
    """The cumulated importances; those up to 90 % in orange."""
    figure, ax = plt.subplots(figsize=(6.4, 6), layout="constrained")
    leading = table.index[table["cumulated"].shift(fill_value=0) < 90]
    _common.bars(ax, table["cumulated"], label="importance of this feature and those above, %", marked=leading)
    ax.axvline(90, color=_common.GREY, linestyle=":")
    return figure


def main(arguments: list[str] | None = None) -> None:
    job = _common.job(__file__, __doc__, arguments)
    runs = [run(job, seed) for seed in range(job.some(30, 1))]
    errors, importances, numbers = map(pd.DataFrame, zip(*runs, strict=True))
    results = {
        "table_1": error_table(errors),
        "table_1_tests": tests(errors, test_share=5_000 / 25_000),
        "table_1_selection": selection(numbers),
        "figure_4": features(importances),
    }
    for name, table in results.items():
        print("\n" + table.to_string(float_format="{:.3f}".format))
        job.save(name, table)
    job.save_figure("figure_4", draw(results["figure_4"]))


if __name__ == "__main__":
    main()
