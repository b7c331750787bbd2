"""Which facts about 30,000 credit card customers does a network use to tell who will not pay?

    python examples/credit_default.py [--seeds N] [--out FOLDER]

The network and data of Horel et al. (2018), section 4: one layer of 64 tanh units and a softmax of 2, trained on 25,000
customers and tested on 5,000. PAY_0 is the delay of the newest repayment in months, PAY_AMT1 the amount last paid,
BILL_AMT1 the newest bill, LIMIT_BAL the credit limit; larger numbers are earlier months. If the data are in no folder
named by KERAS_SENSITIVITY_DATA, they are downloaded from UCI.

Look at PAY_0, which has about half of all importance (the first five features are the paper's first five, in another
order); at the ten or so that make up 90 %; at the dead ones, most of them older bills that repeat the newest, which the
l1 penalty switches off; and at the time that a look at 25,000 rows takes.
"""

import argparse
import pathlib
import time
from collections.abc import Sequence

import _datasets
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import keras_sensitivity as ks
from keras_sensitivity import plots

TRAIN_ROWS = 25_000
# One split for all seeds, so that they differ in the training only. Another split moves the test error by about 0.5.
SPLIT_SEED = 0
# The two probabilities sum to 1, so that of default (1) says all, and its derivative has a sign that can be read. The
# features are standardised, and the paper counts per unit of these.
DEFINITION = ks.Definition(output=1, scale=None)


def load(split_seed: int = SPLIT_SEED) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame, np.ndarray]:
    """Standardised features and labels to train on, and to test on."""
    x, y = _datasets.credit_default()
    order = np.random.default_rng(split_seed).permutation(len(x))
    train, test = order[:TRAIN_ROWS], order[TRAIN_ROWS:]
    centre, spread = x.iloc[train].mean(), x.iloc[train].std()
    x = ((x - centre) / spread).astype("float32")
    return x.iloc[train], y.to_numpy()[train], x.iloc[test], y.to_numpy()[test]


def network(num_features: int, *, units: int = 64, l1: float = 0.01) -> keras.Model:
    """The paper's network, not yet trained."""
    # The paper's l1 penalty of 0.01 may mean several things; here it is that on the weights of the hidden layer.
    hidden = keras.layers.Dense(units, "tanh", kernel_regularizer=keras.regularizers.L1(l1))
    return ready(keras.Sequential([keras.Input((num_features,)), hidden, keras.layers.Dense(2, "softmax")]))


def ready(model: keras.Model) -> keras.Model:
    """The model, with the paper's optimizer."""
    decaying = keras.optimizers.schedules.InverseTimeDecay(0.002, decay_steps=1, decay_rate=0.001)
    model.compile(keras.optimizers.Adam(decaying), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def fit(model: keras.Model, x, y: np.ndarray, *, epochs: int = 100, callbacks: Sequence = ()) -> None:
    """Train the model until it stops improving on a tenth of the rows."""
    stop = keras.callbacks.EarlyStopping(min_delta=3e-4, patience=5)
    model.fit(x, y, batch_size=256, epochs=epochs, validation_split=0.1, callbacks=[*callbacks, stop], verbose=0)


def train(
    model: keras.Model, x: pd.DataFrame, y: np.ndarray, *, log_dir: pathlib.Path | None = None, verbose: int = 0
) -> ks.SensitivityCallback:
    """Train the model; return the callback that watched it."""
    watch = ks.SensitivityCallback(x, definition=DEFINITION, log_dir=log_dir, verbose=verbose)
    fit(model, x, y, callbacks=[watch])
    return watch


def error_rate(model: keras.Model, x: pd.DataFrame, y: np.ndarray) -> float:
    """Share of wrong labels, percent."""
    return 100 - 100 * model.evaluate(x, y, batch_size=len(x), verbose=0)[1]


def timed_measure(model: keras.Model, x: pd.DataFrame) -> tuple[ks.Importance, float, float]:
    """The importance over all rows, the seconds of the first look at them, and the median of five that follow."""
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        importance = ks.measure(model, x, definition=DEFINITION)
        seconds.append(time.perf_counter() - start)
    return importance, seconds[0], float(np.median(seconds[1:]))


def draw(importance: ks.Importance, watch: ks.SensitivityCallback, path: pathlib.Path) -> None:
    """Save a picture of the ranking and the trajectory."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5.5), width_ratios=[2, 3], layout="constrained")
    plots.ranking(importance, ax=left, top=15)
    left.set_title("After training")
    plots.trajectory(watch.trajectory, ax=right, events=watch.events)
    right.set_title("While training")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1, help="how many times to train, each from other weights")
    parser.add_argument(
        "--out", type=pathlib.Path, default=pathlib.Path("runs/credit_default"), help="folder to write to"
    )
    arguments = parser.parse_args()

    x_train, y_train, x_test, y_test = load()
    errors = []
    for seed in range(arguments.seeds):
        print(f"\n=== Seed {seed}: training on {len(x_train):,} customers ...", flush=True)
        keras.utils.set_random_seed(seed)
        model = network(x_train.shape[1])
        start = time.perf_counter()
        watch = train(model, x_train, y_train, log_dir=arguments.out)
        print(f"... {len(watch.history)} epochs in {time.perf_counter() - start:.0f} s.")
        errors.append(error_rate(model, x_test, y_test))
        print(f"Test error: {errors[-1]:.2f} % (always saying that they will pay: {100 * y_test.mean():.2f} %)")

        importance, first, following = timed_measure(model, x_train)
        print("\nThe ten most important features, percent; the sign of the mean is the direction of the effect")
        table = importance.table.sort_values("rank").head(10)
        print(table[["importance", "standard_error", "mean"]].round(3).to_string())
        leading = importance.top(coverage=90)
        print(f"\n{len(leading)} of {x_train.shape[1]} features cover 90 %: {', '.join(leading)}")
        print(f"Dead: {', '.join(watch.dead_features) or 'none'}")
        print(f"A look at {len(x_train):,} rows: {1000 * first:.0f} ms the first time, {1000 * following:.1f} ms after")

        arguments.out.mkdir(parents=True, exist_ok=True)
        picture = arguments.out / f"seed_{seed}.png"
        draw(importance, watch, picture)
        print(f"Picture: {picture}")
    print(f"TensorBoard: tensorboard --logdir {arguments.out}")
    if len(errors) > 1:
        low, mean, high = min(errors), np.mean(errors), max(errors)
        print(f"\nTest error over {len(errors)} seeds: {mean:.2f} % (from {low:.2f} to {high:.2f} %)")


if __name__ == "__main__":
    main()
