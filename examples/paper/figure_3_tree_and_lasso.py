"""Figures 3a and 3b: do a small tree and a sparse linear model find the same features as the network?

    python examples/paper/figure_3_tree_and_lasso.py [--quick] [--out FOLDER]

A decision tree of depth 4, ranked by the decrease of impurity, and a logistic regression with an l1 penalty that is
chosen by cross-validation, ranked by the size of the coefficients, learn from the same rows as the network.

Look at the ranks side by side: all three put PAY_0 first. The tree needs hardly more than two features, and the linear
model counts the newest bill for more than the network does.
"""

import _common
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.tree import DecisionTreeClassifier

import keras_sensitivity as ks


def tree(data: _common.Credit) -> tuple[pd.Series, float]:
    """Shares of the decrease of impurity, percent, and the test error."""
    model = DecisionTreeClassifier(max_depth=4, random_state=0).fit(data.x, data.y)
    error = 100 - 100 * model.score(data.x_test, data.y_test)
    return pd.Series(100 * model.feature_importances_, data.x.columns), error


def lasso(data: _common.Credit, folds: int) -> tuple[pd.Series, float]:
    """Shares of the sizes of the coefficients, percent, and the test error; the features have equal spreads."""
    # From scikit-learn 1.8 on, the penalty is named by its share of l1.
    renamed = getattr(LogisticRegression(), "penalty", "deprecated") == "deprecated"
    l1 = {"l1_ratios": (1,), "use_legacy_attributes": False} if renamed else {"penalty": "l1"}
    model = LogisticRegressionCV(
        Cs=np.logspace(-3, 0, 7), cv=folds, solver="liblinear", scoring="neg_log_loss", random_state=0, **l1
    ).fit(data.x, data.y)
    error = 100 * np.mean(model.predict(data.x_test) != data.y_test)
    sizes = np.abs(model.coef_[0])
    return pd.Series(100 * sizes / sizes.sum(), data.x.columns), error


def ranks(shares: pd.DataFrame) -> pd.DataFrame:
    """Ranks from 1; a feature that is not used at all has none."""
    return shares.rank(ascending=False).where(shares > 0).add_suffix(" rank")


def draw(shares: pd.DataFrame) -> plt.Figure:
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 5.2), layout="constrained")
    labels = ["importance, %", "decrease of impurity, %", "size of coefficient, %"]
    for ax, (name, values), label in zip(axes, shares.items(), labels, strict=True):
        _common.bars(ax, values.sort_values(ascending=False), label=label, marked=shares.index[:5])
        ax.set_title(name.capitalize())
    figure.suptitle("Orange: the network's first five")
    return figure


def main(arguments: list[str] | None = None) -> None:
    job = _common.job(__file__, __doc__, arguments)
    data = _common.credit(job)
    model = _common.trained(job, data, seed=0)
    network = ks.measure(model, data.x, definition=ks.PAPER).features
    (of_tree, tree_error), (of_lasso, lasso_error) = tree(data), lasso(data, folds=job.some(5, 2))
    shares = pd.DataFrame({"network": network, "tree": of_tree, "lasso": of_lasso})
    shares = shares.sort_values("network", ascending=False).rename_axis("feature")
    table = shares.join(ranks(shares))
    table["paper's tree"] = _common.paper_ranks("tree").astype("Int64")
    agreed = pd.DataFrame(
        {
            "test error": {
                "network": _common.errors(model, data)["test error"],
                "tree": tree_error,
                "lasso": lasso_error,
            },
            "spearman": shares.corr(method="spearman")["network"],
            "features": (shares > 0).sum(),
        }
    ).rename_axis("model")
    print(table.round(2).to_string(), agreed.round(3).to_string(), sep="\n\n")
    job.save("figure_3", table)
    job.save("figure_3_agreement", agreed)
    job.save_figure("figure_3", draw(shares))


if __name__ == "__main__":
    main()
