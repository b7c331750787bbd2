"""How far do the numbers agree with real changes, and with permutation importance?

    python studies/agreement.py [--seeds N] [--only NAME] [--out FILE]

Networks are trained on public data with raw columns, as a user would, each from several seeds, and measured on rows
that were held out. Functions with a formula are not trained but computed exactly, so what they show is the measure
alone. Each measure is shared out to 100 %, whatever its unit. What comes out is a table with a row for each data set,
network, seed, measure and feature, of which `agreement_page.py` makes what the documents show.

If the credit and bike data are in no folder named by KERAS_SENSITIVITY_DATA, they are downloaded from UCI.
"""

import argparse
import dataclasses
import pathlib
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
import sklearn.datasets
import tensorflow as tf
from keras import ops
from shap import GradientExplainer
from sklearn.inspection import permutation_importance

import keras_sensitivity as ks

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "examples"))
import _datasets

Array = np.ndarray

DEFINITIONS = {
    "real changes": ks.Definition(change="swap"),
    "default": ks.Definition(),
    "path": ks.Definition(change="derivative"),
    "std": ks.Definition(scale="std"),
    "paper": ks.PAPER,
}
LOGITS = {name: dataclasses.replace(definition, logits=True) for name, definition in DEFINITIONS.items()}
TEST_PART = 3  # one row in so many is held out
WIDTHS, EPOCHS, PATIENCE = [64, 32], 100, 5
REPEATS = 5
SHAP_BACKGROUND, SHAP_ROWS, SHAP_SAMPLES = 100, 200, 200

# Each fit is a new network, so Keras traces its functions anew, and TensorFlow would warn of that.
tf.get_logger().setLevel("ERROR")
# SHAP hands a list to models of one input, too, and Keras remarks on it.
warnings.filterwarnings("ignore", "The structure of `inputs`")


class Data(NamedTuple):
    """Rows to train on, others to measure on, and how an error counts."""

    x: pd.DataFrame
    y: Array
    x_test: pd.DataFrame
    y_test: Array
    loss: str
    num_outputs: int = 1


class Case(NamedTuple):
    """A network, or a function, to measure."""

    dataset: str
    network: str
    seed: int
    model: keras.Model
    data: Data
    logits: bool = False


# --- public data ----------------------------------------------------------------------------------------------------


def classes(x: pd.DataFrame, y: pd.Series) -> Data:
    """Labels, counted from 0."""
    train, test = split(len(x))
    labels = y.to_numpy()
    loss, num_classes = "sparse_categorical_crossentropy", int(labels.max()) + 1
    return Data(x.iloc[train], labels[train], x.iloc[test], labels[test], loss, num_classes)


def numbers(x: pd.DataFrame, y: pd.Series) -> Data:
    """Numbers, standardised, in a column."""
    train, test = split(len(x))
    target = ((y - y.iloc[train].mean()) / y.iloc[train].std()).to_numpy()[:, None]
    return Data(x.iloc[train], target[train], x.iloc[test], target[test], "mean_squared_error")


def split(num_rows: int) -> tuple[Array, Array]:
    """Rows to train on and to hold out, the same for all seeds, so that these differ in the training only."""
    order = np.random.default_rng(0).permutation(num_rows)
    return order[num_rows // TEST_PART :], order[: num_rows // TEST_PART]


def credit() -> Data:
    """Who of 30,000 credit card customers did not pay."""
    return classes(*_datasets.credit_default())


def bike() -> Data:
    """How many bikes were rented in each of 17,379 hours."""
    table = _datasets.bike_sharing()
    return numbers(table.loc[:, "season":"windspeed"], table["cnt"])


def diabetes() -> Data:
    """How far the illness of 442 patients went on in a year."""
    return numbers(*sklearn.datasets.load_diabetes(return_X_y=True, as_frame=True, scaled=False))


def cancer() -> Data:
    """Which of 569 tumours are benign."""
    return classes(*sklearn.datasets.load_breast_cancer(return_X_y=True, as_frame=True))


def wine() -> Data:
    """Who grew which of 178 wines."""
    return classes(*sklearn.datasets.load_wine(return_X_y=True, as_frame=True))


class Dataset(NamedTuple):
    """How to load a data set and train on it."""

    load: Callable[[], Data]
    batch_size: int
    activations: tuple[str, ...] = ("relu",)


DATASETS = {
    "credit": Dataset(credit, 256, ("relu", "tanh")),
    "bike": Dataset(bike, 64),
    "diabetes": Dataset(diabetes, 16),
    "cancer": Dataset(cancer, 16),
    "wine": Dataset(wine, 16),
}


def trained(data: Data, activation: str, *, batch_size: int, seed: int) -> keras.Model:
    """A network of raw columns, trained until it stops improving."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    normalization = keras.layers.Normalization()
    normalization.adapt(data.x.to_numpy())
    hidden = [keras.layers.Dense(width, activation) for width in WIDTHS]
    output = keras.layers.Dense(data.num_outputs, "softmax" if data.num_outputs > 1 else None)
    model = keras.Sequential([keras.Input((data.x.shape[1],)), normalization, *hidden, output])
    model.compile("adam", data.loss)
    stop = keras.callbacks.EarlyStopping(patience=PATIENCE, restore_best_weights=True)
    x, y = data.x.to_numpy(), data.y
    model.fit(x, y, batch_size=batch_size, epochs=EPOCHS, validation_split=0.1, callbacks=[stop], verbose=0)
    return model


def networks(name: str, num_seeds: int) -> Iterator[Case]:
    """Networks that are trained on a data set; where they return probabilities, their logits are a case, too."""
    dataset = DATASETS[name]
    data = dataset.load()
    data = data._replace(x=data.x.astype("float32"), x_test=data.x_test.astype("float32"))
    for activation in dataset.activations:
        for seed in range(num_seeds):
            model = trained(data, activation, batch_size=dataset.batch_size, seed=seed)
            yield Case(name, activation, seed, model, data)
            if data.num_outputs > 1:
                yield Case(name, f"{activation}, logits", seed, model, data, logits=True)


# --- functions ------------------------------------------------------------------------------------------------------


class Function(NamedTuple):
    """A formula of named columns, and the distributions of these."""

    formula: Callable
    columns: dict[str, Callable[[np.random.Generator, int], Array]]


def normal(rng: np.random.Generator, n: int) -> Array:
    """Standard normal."""
    return rng.normal(size=n)


def uniform(low: float, high: float) -> Callable[[np.random.Generator, int], Array]:
    """Uniform between two numbers."""
    return lambda rng, n: rng.uniform(low, high, size=n)


def money(rng: np.random.Generator, n: int) -> Array:
    """Lognormal: most is small, and a little is huge."""
    return rng.lognormal(sigma=2, size=n)


def tails(rng: np.random.Generator, n: int) -> Array:
    """Student's t with two degrees of freedom, whose standard deviation is infinite."""
    return rng.standard_t(2, size=n)


def many(number: int, draw: Callable) -> dict[str, Callable]:
    """Columns x1, x2, ... of one distribution."""
    return {f"x{column}": draw for column in range(1, number + 1)}


def paper(x1, x2, x3, x4, x5):
    """Horel et al. (2018), section 3."""
    return ops.cos(x1) + ops.sin(x2) + 2 * x3 + x4 + x5 / 100


def jmlr(x1, x2, x3, x4, *others):
    """Horel and Giesecke (2020), arXiv 1902.06021."""
    x5, x6, x7, _ = others
    return x1**2 + x2 * x3 + ops.cos(x4) + ops.exp(x5 * x6) + x7 / 10


def friedman(x1, x2, x3, x4, x5, *irrelevant):
    """Friedman (1991), the first benchmark."""
    return 10 * ops.sin(np.pi * x1 * x2) + 20 * (x3 - 0.5) ** 2 + 10 * x4 + 5 * x5


def ishigami(x1, x2, x3):
    """Ishigami and Homma (1990)."""
    return ops.sin(x1) + 7 * ops.sin(x2) ** 2 + 0.1 * x3**4 * ops.sin(x1)


FUNCTIONS = {
    "tanh(10 x1) + x2": Function(lambda x1, x2: ops.tanh(10 * x1) + x2, many(2, normal)),
    "sin(3 x1) + x2": Function(lambda x1, x2: ops.sin(3 * x1) + x2, many(2, normal)),
    "x1 x2 + x3": Function(lambda x1, x2, x3: x1 * x2 + x3, many(3, normal)),
    "money / 50 + x": Function(lambda money, x: money / 50 + x, {"money": money, "x": normal}),
    "log(1 + money) + x": Function(lambda money, x: ops.log1p(money) + x, {"money": money, "x": normal}),
    "tanh(t) + x": Function(lambda t, x: ops.tanh(t) + x, {"t": tails, "x": normal}),
    "Ishigami": Function(ishigami, many(3, uniform(-np.pi, np.pi))),
    "Friedman 1": Function(friedman, many(10, uniform(0, 1))),
    "Horel et al. (2018)": Function(paper, many(5, normal)),
    "Horel and Giesecke (2020)": Function(jmlr, many(8, uniform(-1, 1))),
}
FUNCTION_ROWS = 20_000


def exact(function: Function) -> keras.Model:
    """A model that computes a formula."""

    def call(x):
        return function.formula(*ops.split(x, len(function.columns), axis=1))

    inputs = keras.Input((len(function.columns),))
    return keras.Model(inputs, keras.layers.Lambda(call, output_shape=(1,))(inputs))


def exact_case(name: str) -> Case:
    """A function, and rows that it is measured on."""
    function = FUNCTIONS[name]
    rng = np.random.default_rng(0)
    x = pd.DataFrame({column: draw(rng, FUNCTION_ROWS) for column, draw in function.columns.items()}, dtype="float32")
    model = exact(function)
    y = model.predict(x.to_numpy(), verbose=0)
    return Case(name, "exact", 0, model, Data(x, y, x, y, "mean_squared_error"))


# --- measures -------------------------------------------------------------------------------------------------------


def measures(case: Case) -> pd.DataFrame:
    """Shares of the features, percent, one column a measure."""
    definitions = LOGITS if case.logits else DEFINITIONS
    sizes = {
        name: ks.measure(case.model, case.data.x_test, definition=each).features for name, each in definitions.items()
    }
    sizes["again"] = again(case, definitions["real changes"])
    sizes["permutation"] = permutation(case)
    if not case.logits:  # SHAP would need another model
        sizes["SHAP"] = shap(case)
    table = pd.DataFrame(sizes)
    return 100 * table / table.sum()


def again(case: Case, definition: ks.Definition) -> pd.Series:
    """The same rows in another order, in which each swaps with another: how much of a difference is chance."""
    return ks.measure(case.model, case.data.x_test.iloc[::-1], definition=definition).features


def mean_loss(model: keras.Model, x: Array, y: Array, loss: str) -> float:
    """The mean loss over rows."""
    return float(ops.mean(keras.losses.get(loss)(y, model.predict_on_batch(x))))


def permutation(case: Case) -> pd.Series:
    """The root of what the loss rises by when a column is permuted.

    A loss counts squares, exactly or nearly so; rooted, this is in the unit of the other measures, and ranks stay.
    """
    data = case.data
    found = permutation_importance(
        case.model,
        data.x_test.to_numpy(),
        data.y_test,
        scoring=lambda model, x, y: -mean_loss(model, x, y, data.loss),
        n_repeats=REPEATS,
        random_state=case.seed,
    )
    return pd.Series(np.sqrt(np.clip(found.importances_mean, 0, None)), data.x_test.columns)


def shap(case: Case) -> pd.Series:
    """The mean size of the contributions to single predictions, summed over the output units."""
    background, rows = case.data.x.to_numpy()[-SHAP_BACKGROUND:], case.data.x_test.to_numpy()[:SHAP_ROWS]
    values = GradientExplainer(case.model, background).shap_values(rows, nsamples=SHAP_SAMPLES, rseed=case.seed)
    sizes = np.abs(values).reshape(*rows.shape, -1).mean(axis=0).sum(axis=-1)
    return pd.Series(sizes, case.data.x_test.columns)


# --- the study ------------------------------------------------------------------------------------------------------


def cases(only: str, num_seeds: int) -> Iterator[Case]:
    """Whatever has this in its name."""
    for name in filter(lambda name: only in name, DATASETS):
        yield from networks(name, num_seeds)
    for name in filter(lambda name: only in name, FUNCTIONS):
        yield exact_case(name)


def rows(case: Case) -> pd.DataFrame:
    """The shares in long form."""
    shares = measures(case).rename_axis("feature").melt(ignore_index=False, var_name="measure", value_name="share")
    where = {"dataset": case.dataset, "network": case.network, "seed": case.seed}
    return shares.reset_index().assign(**where)[[*where, "measure", "feature", "share"]]


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5, help="fits of each kind")
    parser.add_argument(
        "--only", default="", metavar="NAME", help="the data sets and functions with this in their name"
    )
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/results/agreement.csv"))
    arguments = parser.parse_args()
    tables, start = [], time.perf_counter()
    for case in cases(arguments.only, arguments.seeds):
        ready = time.perf_counter()
        tables.append(rows(case))
        error = mean_loss(case.model, case.data.x_test.to_numpy(), case.data.y_test, case.data.loss)
        print(
            f"{case.dataset}, {case.network}, seed {case.seed}: loss {error:.3f}, made in {ready - start:.1f} s, "
            f"measured in {time.perf_counter() - ready:.1f} s",
            flush=True,
        )
        start = time.perf_counter()
    table = pd.concat(tables).to_csv(index=False, float_format="%.4f", lineterminator="\n")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text("# make study-agreement\n" + table)
    print(f"{len(tables)} networks and functions: {arguments.out}")


if __name__ == "__main__":
    main()
