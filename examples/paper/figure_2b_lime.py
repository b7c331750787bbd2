"""Figure 2b: does LIME, which explains one customer at a time, rank the features as the sensitivities do?

    python examples/paper/figure_2b_lime.py [--seconds S] [--quick] [--out FOLDER]

LIME (the package `lime`, with its own defaults) draws 5,000 rows around a customer and fits a linear model to what the
network says of them; ten features are selected. Counting over customers how often a feature is selected makes a global
ranking. Customers are taken at random until the time is up.

Look at the rank agreement, at the overlap of the first five, and at the time a customer takes: 25,000 times that would
be the time for all of the rows that the sensitivities are measured on in a moment.
"""

import time

import _common
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.stats
from lime.lime_tabular import LimeTabularExplainer

import keras_sensitivity as ks

ROWS = 25_000


def lime_weights(model: keras.Model, x: pd.DataFrame, seconds: float, num_samples: int) -> pd.DataFrame:
    """The weights of the selected features, 0 for the others, one row a customer, until the time is up."""
    lime = LimeTabularExplainer(x.to_numpy(), feature_names=list(x.columns), random_state=0)
    start = time.perf_counter()
    weights = []
    for row in np.random.default_rng(0).permutation(len(x)):
        told = lime.explain_instance(x.to_numpy()[row], model.predict_on_batch, num_samples=num_samples)
        weights.append({x.columns[feature]: weight for feature, weight in told.as_map()[1]})
        if time.perf_counter() - start > seconds:
            break
    return pd.DataFrame(weights, columns=x.columns).fillna(0.0)


def ranking(weights: pd.DataFrame, importance: ks.Importance) -> pd.DataFrame:
    """How often each feature is selected or among the first five, percent, its mean weight, points; beside ours."""
    sizes = weights.abs()
    table = pd.DataFrame(
        {
            "sensitivity": importance.features,
            "selected": 100 * (sizes > 0).mean(),
            "in first five": 100 * (sizes.rank(axis=1, ascending=False) <= 5).mean(),
            "mean weight": 100 * sizes.mean(),
        }
    )
    table["paper"] = _common.paper_ranks("lime").astype("Int64")
    return table.sort_values("in first five", ascending=False).rename_axis("feature")


def agreement(table: pd.DataFrame) -> pd.DataFrame:
    """Each of LIME's rankings beside the sensitivities': Spearman's rank correlation, and features among both fives."""
    ours = set(table["sensitivity"].nlargest(5).index)
    papers = set(table["paper"].dropna().index)
    rows = {}
    for name in ["selected", "in first five", "mean weight"]:
        first = set(table[name].nlargest(5).index)
        rows[name] = {
            "spearman": scipy.stats.spearmanr(table["sensitivity"], table[name]).statistic,
            "shared with ours": len(first & ours),
            "shared with the paper's LIME": len(first & papers),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("ranking by LIME")


def draw(table: pd.DataFrame, rows: int) -> plt.Figure:
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5.4), layout="constrained")
    ours = table["sensitivity"].sort_values(ascending=False)
    _common.bars(left, ours, label="importance, %", marked=ours.index[:5])
    left.set_title("Sensitivities")
    label = f"customers with the feature among the first five, % of {rows:,}"
    _common.bars(right, table["in first five"], label=label, marked=ours.index[:5])
    right.set_title("LIME (orange: the first five by sensitivity)")
    return figure


def main(arguments: list[str] | None = None) -> None:
    job = _common.job(__file__, __doc__, arguments, seconds={"type": float, "default": 300.0, "help": "for LIME"})
    data = _common.credit(job)
    model = _common.trained(job, data, seed=0)
    importance = ks.measure(model, data.x, definition=ks.PAPER)
    start = time.perf_counter()
    seconds = job.some(job.options.seconds, 1)
    weights = lime_weights(model, data.x, seconds, num_samples=job.some(5000, 100))
    seconds_a_row = (time.perf_counter() - start) / len(weights)

    table = ranking(weights, importance)
    agreed = agreement(table)
    times = pd.DataFrame(
        {
            "value": {
                "rows": len(weights),
                "seconds a row": seconds_a_row,
                "hours for 25,000 rows, extrapolated": ROWS * seconds_a_row / 3600,
            },
            "paper": {"hours for 25,000 rows, extrapolated": _common.paper_number("hours of LIME")},
        }
    ).rename_axis("what")
    print(table.round(2).to_string(), agreed.round(2).to_string(), times.round(3).to_string(), sep="\n\n")
    job.save("figure_2b", table)
    job.save("figure_2b_agreement", agreed)
    job.save("figure_2b_seconds", times)
    job.save_figure("figure_2b", draw(table, len(weights)))


if __name__ == "__main__":
    main()
