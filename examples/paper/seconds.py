"""The paper's headline: how long does it take to rank the features at 25,000 rows, by five ways?

    python examples/paper/seconds.py [--quick] [--out FOLDER]

All ways explain the same trained network, one after the other in one process; nothing else should run on the machine.
LIME and SHAP explain one row at a time, so fewer rows are timed and the time is extrapolated, as the table says.

Look at the column `times ours`. The seconds depend on the machine, their ratios hardly; the ways also differ in
what they tell: LIME and SHAP explain each row, permutation importance needs the labels.
"""

import functools
import time
import warnings
from collections.abc import Callable

import _common
import keras
import numpy as np
import pandas as pd
import sklearn.base
import sklearn.inspection
from lime.lime_tabular import LimeTabularExplainer
from shap import GradientExplainer

import keras_sensitivity as ks

ROWS = 25_000
OURS = "sensitivities, following calls"


class Classifier(sklearn.base.ClassifierMixin, sklearn.base.BaseEstimator):
    """A trained Keras network as scikit-learn takes it."""

    def __init__(self, model: keras.Model):
        self.model = model

    def fit(self, x: np.ndarray, y: np.ndarray) -> "Classifier":
        """Nothing is left to do; scikit-learn asks for it."""
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The more probable class of each row."""
        return self.model.predict_on_batch(x).argmax(axis=1)


def seconds(task: Callable[[], object]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def lime(model: keras.Model, x: np.ndarray, num_samples: int) -> Callable[[np.ndarray], object]:
    """What explains rows by LIME, with its defaults."""
    explainer = LimeTabularExplainer(x, random_state=0)
    return lambda rows: [
        explainer.explain_instance(row, model.predict_on_batch, num_samples=num_samples) for row in rows
    ]


def shap(model: keras.Model, x: np.ndarray, num_samples: int) -> Callable[[np.ndarray], object]:
    """What explains rows by SHAP's GradientExplainer, with its defaults, against a hundred rows."""
    # SHAP hands a list to models of one input too, and Keras remarks on it.
    warnings.filterwarnings("ignore", "The structure of `inputs`")
    explainer = GradientExplainer(model, x[:100])
    return lambda rows: explainer.shap_values(rows, nsamples=num_samples)


def row(elapsed: float, rows: int, total: int) -> dict[str, float | str]:
    """One way: rows that were timed, seconds, and what that is for all rows."""
    extrapolated = "yes" if rows < total else ""
    return {"rows": rows, "seconds": elapsed, "for all rows": elapsed * total / rows, "extrapolated": extrapolated}


def timed(job: _common.Job, model: keras.Model, data: _common.Credit) -> pd.DataFrame:
    """Seconds of all ways."""
    x, y = data.x.to_numpy(), data.y
    first = seconds(lambda: ks.measure(model, x, definition=ks.PAPER))
    following = [seconds(lambda: ks.measure(model, x, definition=ks.PAPER)) for _ in range(job.some(20, 2))]
    found = {
        "sensitivities, first call": row(first, len(x), len(x)),
        OURS: row(float(np.median(following)), len(x), len(x)),
    }
    permuted = seconds(
        lambda: sklearn.inspection.permutation_importance(
            Classifier(model).fit(x, y), x, y, n_repeats=job.some(5, 1), random_state=0
        )
    )
    found["permutation importance"] = row(permuted, len(x), len(x))
    ways = {
        "SHAP, GradientExplainer": (shap(model, x, job.some(200, 10)), job.some(500, 2)),
        "LIME": (lime(model, x, job.some(5000, 100)), job.some(100, 2)),
    }
    for name, (explain, rows) in ways.items():
        explain(x[:2])  # what is compiled at the first call is not counted
        found[name] = row(seconds(functools.partial(explain, x[2 : 2 + rows])), rows, len(x))
    table = pd.DataFrame.from_dict(found, orient="index").rename_axis("way")
    return table.assign(**{"times ours": table["for all rows"] / table["for all rows"][OURS]})


def papers(table: pd.DataFrame) -> pd.DataFrame:
    """The paper's seconds beside ours, and how many times faster than LIME the sensitivities are in each."""
    columns = {
        "ours": [table["for all rows"][OURS], table["for all rows"]["LIME"]],
        "paper": [_common.paper_number("seconds of the sensitivities"), _common.paper_number("seconds of LIME")],
    }
    beside = pd.DataFrame(columns, ["sensitivities", "LIME"])
    beside.loc["LIME / sensitivities"] = beside.loc["LIME"] / beside.loc["sensitivities"]
    all_rows = table["for all rows"]
    beside.loc["LIME / first call", "ours"] = all_rows["LIME"] / all_rows["sensitivities, first call"]
    return beside.rename_axis("what")


def main(arguments: list[str] | None = None) -> None:
    job = _common.job(__file__, __doc__, arguments)
    data = _common.credit(job)
    model = _common.trained(job, data, seed=0)
    table = timed(job, model, data)
    beside = papers(table)
    print(*(shown.to_string(float_format="{:.4g}".format) for shown in (table, beside)), sep="\n\n")
    job.save("seconds", table)
    job.save("seconds_paper", beside)


if __name__ == "__main__":
    main()
