"""Five kinds of models of one data set in one measure, and how far a function has to be moved.

    python studies/black_boxes.py [--out FILE]

The first: a decision tree, a lasso, a forest, gradient boosting and a network learn from 25,000 credit card customers
who will not pay; each is measured on the other 5,000, by the derivative of the probability of default. The second:
boosted trees learn two simulations, of which the functions are known, and are measured with steps of several lengths;
what counts is how far the shares are from those of the true function. What comes out is a table with a row for each
number; `black_boxes_page.py` makes of it what the documents show.

If the credit data are in no folder named by KERAS_SENSITIVITY_DATA, they are downloaded from UCI.
"""

import argparse
import pathlib
import sys
import time

import keras
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import keras_sensitivity as ks

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "examples"))
import credit_default

SEED = 0
DEFAULT = ks.Definition(output=1)
STEPS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)

ESTIMATORS = {
    "tree": DecisionTreeClassifier(max_depth=6, min_samples_leaf=50, random_state=SEED),
    "lasso": LogisticRegression(C=0.01, l1_ratio=1.0, solver="saga", max_iter=500, random_state=SEED),
    "forest": RandomForestClassifier(200, min_samples_leaf=20, n_jobs=-1, random_state=SEED),
    "boosting": HistGradientBoostingClassifier(random_state=SEED),
}


def friedman(x: np.ndarray) -> np.ndarray:
    """Friedman 1, of 10 uniform columns."""
    curved = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    return curved + 10 * x[:, 3] + 5 * x[:, 4]


def smooth(x: np.ndarray) -> np.ndarray:
    """The paper's simulation, of 5 normal columns."""
    return np.cos(x[:, 0]) + np.sin(x[:, 1]) + 2 * x[:, 2] + x[:, 3] + x[:, 4] / 100


def credit() -> list[dict[str, object]]:
    """A row for each model and feature, and for its error and what measuring took."""
    x, y, x_test, y_test = credit_default.load()
    functions = {name: each.fit(x, y).predict_proba for name, each in ESTIMATORS.items()}
    keras.utils.set_random_seed(SEED)
    network = credit_default.network(x.shape[1])
    network.fit(x, y, epochs=30, batch_size=128, verbose=0)
    rows: list[dict[str, object]] = []
    for name, model in {**functions, "network": network}.items():
        begun = time.perf_counter()
        look = ks.measure(model, x_test, definition=DEFAULT)
        seconds = time.perf_counter() - begun
        predicted = model.predict(x_test, verbose=0) if name == "network" else model(x_test)
        error = 100 * np.mean(predicted.argmax(axis=1) != y_test)
        rows += [{"table": "credit", "model": name, "what": "error", "value": error}]
        rows += [{"table": "credit", "model": name, "what": "seconds", "value": seconds}]
        rows += [{"table": "credit", "model": name, "what": each, "value": look.features[each]} for each in x.columns]
        print(f"{name}: {error:.1f} % wrong, {seconds:.1f} s, {look}")
    return rows


def steps() -> list[dict[str, object]]:
    """A row for each simulation and step: half the sum of the absolute differences of the shares."""
    rng = np.random.default_rng(SEED)
    data = {
        "smooth": (smooth, rng.normal(size=(10_000, 5)), 0.1),
        "friedman": (friedman, rng.uniform(size=(10_000, 10)), 1.0),
    }
    rows: list[dict[str, object]] = []
    for name, (function, x, noise) in data.items():
        y = function(x) + noise * rng.normal(size=len(x))
        trees = HistGradientBoostingRegressor(max_iter=300, random_state=SEED).fit(x, y)
        true = ks.measure(function, x, definition=ks.Definition(step=1e-4)).features
        for step in STEPS:
            look = ks.measure(trees.predict, x, definition=ks.Definition(step=step)).features
            distance = np.abs(look - true).sum() / 2
            rows.append({"table": "steps", "model": name, "what": f"{step:g}", "value": distance})
            print(f"{name}, step {step:g}: {distance:.2f} points")
        swapped = ks.measure(trees.predict, x, definition=ks.Definition(change="swap")).features
        truly = ks.measure(function, x, definition=ks.Definition(change="swap")).features
        distance = np.abs(swapped - truly).sum() / 2
        rows.append({"table": "steps", "model": name, "what": "swap", "value": distance})
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/results/black_boxes.csv"))
    arguments = parser.parse_args()
    table = pd.DataFrame([*credit(), *steps()])
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("w") as file:
        file.write("# make study-black-boxes\n")
        table.round(4).to_csv(file, index=False)
    print(f"Written: {arguments.out}")
