"""Section 4 and figure 2a: what the paper's network uses to tell who will not pay, and what its l1 penalty may mean.

    python examples/paper/figure_2a_importances.py [--quick] [--out FOLDER]

The paper says "l1 0.01" and not what of: which weights, their sum or their mean, each batch or all rows. Each meaning
is trained on three splits of the data; the one that comes nearest to the paper's results is marked.

Look at the columns `shared`, how many of the paper's first five features are among ours, and `features`, how many make
up 90 %. The errors hardly tell the meanings apart: they move more from split to split (`sd`).
"""

import _common
import credit_default
import keras
import matplotlib.pyplot as plt
import pandas as pd

import keras_sensitivity as ks

L1, BATCH, ROWS = 0.01, 256, 25_000
HIDDEN, OUTPUT = 23 * 64, 64 * 2  # numbers of weights
USED = "hidden weights, sum"
# The penalty on one weight of the hidden layer, of the output layer, on one bias, and on one activation of the hidden
# layer. Keras adds the sum over the weights to the mean loss of each batch.
MEANINGS = {
    "none": (0, 0, 0, 0),
    USED: (L1, 0, 0, 0),
    "all weights, sum": (L1, L1, 0, 0),
    "all weights and biases, sum": (L1, L1, L1, 0),
    "hidden weights, mean": (L1 / HIDDEN, 0, 0, 0),
    "all weights, mean": (L1 / (HIDDEN + OUTPUT), L1 / (HIDDEN + OUTPUT), 0, 0),
    "hidden weights, sum / rows of a batch": (L1 / BATCH, 0, 0, 0),
    "hidden weights, sum / all rows": (L1 / ROWS, 0, 0, 0),
    "hidden activations, sum": (0, 0, 0, L1),
}


def network(num_features: int, penalties: tuple[float, ...]) -> keras.Model:
    """The paper's network with one meaning of its penalty, not yet trained."""
    hidden, output, bias, activity = (keras.regularizers.L1(penalty) if penalty else None for penalty in penalties)
    settings = {"bias_regularizer": bias}
    first = keras.layers.Dense(64, "tanh", kernel_regularizer=hidden, activity_regularizer=activity, **settings)
    last = keras.layers.Dense(2, "softmax", kernel_regularizer=output, **settings)
    return credit_default.ready(keras.Sequential([keras.Input((num_features,)), first, last]))


def run(job: _common.Job, meaning: str, split: int) -> pd.Series:
    """Errors, number of features for 90 %, and importances of one network."""
    data = _common.credit(job, split)
    keras.backend.clear_session()
    keras.utils.set_random_seed(split)
    model = network(data.x.shape[1], MEANINGS[meaning])
    _common.fit(job, model, data.x, data.y)
    importance = ks.measure(model, data.x, definition=ks.PAPER)
    found = {**_common.errors(model, data), "features": len(importance.top(coverage=90))}
    return pd.concat([pd.Series(found), importance.features])


def meaning_row(runs: pd.DataFrame) -> dict[str, float | str]:
    """What one meaning gives, over the splits."""
    first = list(runs.iloc[:, 3:].mean().nlargest(5).index)
    papers = list(_common.paper_ranks("sensitivity").index)
    return {
        **runs[["train error", "test error"]].mean(),
        "sd": runs["test error"].std(),
        "features": runs["features"].mean(),
        "shared": len(set(first) & set(papers)),
        "first five": ", ".join(first),
    }


def nearest(table: pd.DataFrame) -> str:
    """The meaning that shares most of the paper's first five, and of these the one with a like number of features."""
    distance = (table["features"] - _common.paper_number("features for 90 %")).abs()
    return (10 * table["shared"] - distance).idxmax()


def draw(ranking: pd.DataFrame) -> plt.Figure:
    figure, ax = plt.subplots(figsize=(6.4, 5.8), layout="constrained")
    papers = ranking.index[ranking["paper"].notna()]
    label = "importance, % (whiskers: ± 1 sd over the splits)"
    _common.bars(ax, ranking["mean"], errors=ranking["std"], label=label, marked=papers)
    ax.set_title("Orange: the paper's first five")
    return figure


def main(arguments: list[str] | None = None) -> None:
    job = _common.job(__file__, __doc__, arguments)
    rows, shares = {}, {}
    for meaning in MEANINGS if not job.quick else ["none", USED]:
        runs = pd.DataFrame([run(job, meaning, split) for split in range(job.some(3, 1))])
        rows[meaning], shares[meaning] = meaning_row(runs), runs.iloc[:, 3:]
        print(f"{meaning}: {rows[meaning]['first five']}", flush=True)
    meanings = pd.DataFrame.from_dict(rows, orient="index").rename_axis("meaning")
    meanings["nearest"] = ["*" if meaning == nearest(meanings) else "" for meaning in meanings.index]
    print("\n" + meanings.round(2).to_string())
    papers = ["train error all features", "test error all features", "features for 90 %"]
    print("The paper: " + ", ".join(f"{name} {_common.paper_number(name):g}" for name in papers))

    ranking = _common.spread(shares[USED]).sort_values("mean", ascending=False).rename_axis("feature")
    ranking["rank"] = range(1, len(ranking) + 1)
    ranking["paper"] = _common.paper_ranks("sensitivity").astype("Int64")
    print(f"\nImportance, percent, with the penalty on {USED}; the paper's ranks\n" + ranking.round(2).to_string())
    job.save("figure_2a_meanings", meanings)
    job.save("figure_2a", ranking)
    job.save_figure("figure_2a", draw(ranking))


if __name__ == "__main__":
    main()
