"""What the scripts of this folder share: arguments, the split of the credit data, results beside the paper's, bars."""

import argparse
import dataclasses
import pathlib
import shlex
import sys
from collections.abc import Mapping, Sequence

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import credit_default
import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from matplotlib.axes import Axes

RESULTS = HERE.parents[1] / "docs" / "paper"
BLUE, ORANGE, GREY, PALE = "#0072B2", "#D55E00", "#9A9A9A", "#E4E4E4"  # those of keras_sensitivity.plots

# Each run trains a new network, so Keras traces its functions anew, and TensorFlow would warn of that.
tf.get_logger().setLevel("ERROR")


@dataclasses.dataclass(frozen=True)
class Job:
    """One call of a script: how much to compute, and where to write.

    Args:
        command: What was typed, without the folder to write to.
        out: The folder to write to.
        quick: Whether to see only that everything runs.
        options: The values of the script's own options.
    """

    command: str
    out: pathlib.Path
    quick: bool
    options: argparse.Namespace

    def some(self, full: int, quick: int) -> int:
        """The first number, or in a quick call the second."""
        return quick if self.quick else full

    def save(self, name: str, table: pd.DataFrame) -> None:
        """Write a table as CSV, below a line that says how it was made."""
        path = self.out / f"{name}.csv"
        path.write_text(f"# {self.command}\n" + table.to_csv(float_format="%.8g", lineterminator="\n"))
        print(f"Table:   {path}")

    def save_figure(self, name: str, figure) -> None:
        path = self.out / f"{name}.png"
        figure.savefig(path, dpi=110)
        print(f"Picture: {path}")


def job(script: str, description: str, arguments: Sequence[str] | None, **options: Mapping) -> Job:
    """Read the arguments of a script; ``options`` are its own, by name, each with the settings of argparse."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rows, epochs and seeds, to see that it runs")
    parser.add_argument("--out", type=pathlib.Path, help="default: docs/paper; with --quick: runs/paper")
    for name, settings in options.items():
        parser.add_argument(f"--{name}", **settings)
    chosen = parser.parse_args(arguments)
    own = [f"--{name}={getattr(chosen, name)}" for name in options] + ["--quick"] * chosen.quick
    out = chosen.out or (pathlib.Path("runs/paper") if chosen.quick else RESULTS)
    out.mkdir(parents=True, exist_ok=True)
    return Job(shlex.join(["python", f"examples/paper/{pathlib.Path(script).name}", *own]), out, chosen.quick, chosen)


@dataclasses.dataclass(frozen=True)
class Credit:
    """Standardised features and labels of customers to train on, and to test on."""

    x: pd.DataFrame
    y: np.ndarray
    x_test: pd.DataFrame
    y_test: np.ndarray

    def only(self, names: list[str]) -> "Credit":
        """The same customers with some of the features."""
        return dataclasses.replace(self, x=self.x[names], x_test=self.x_test[names])


def credit(job: Job, split: int = credit_default.SPLIT_SEED) -> Credit:
    """The credit data, split at random; in a quick call a few of its rows."""
    x, y, x_test, y_test = credit_default.load(split)
    train, test = job.some(len(x), 600), job.some(len(x_test), 200)
    return Credit(x[:train], y[:train], x_test[:test], y_test[:test])


def fit(job: Job, model: keras.Model, x, y: np.ndarray) -> None:
    """Train a model of the credit data."""
    credit_default.fit(model, x, y, epochs=job.some(100, 1))


def trained(job: Job, data: Credit, seed: int, **settings) -> keras.Model:
    """The paper's network (`credit_default.network`, with its settings), trained."""
    keras.backend.clear_session()  # the models of earlier runs are of no use any more
    keras.utils.set_random_seed(seed)
    model = credit_default.network(data.x.shape[1], **settings)
    fit(job, model, data.x, data.y)
    return model


def error(model: keras.Model, x, y: np.ndarray) -> float:
    """Share of wrong labels, percent."""
    probabilities = model.predict(x, batch_size=5000, verbose=0)
    return 100 * float(np.mean(probabilities.argmax(axis=-1) != y))


def errors(model: keras.Model, data: Credit) -> dict[str, float]:
    """Shares of wrong labels, percent."""
    return {"train error": error(model, data.x, data.y), "test error": error(model, data.x_test, data.y_test)}


def paper() -> pd.DataFrame:
    """The paper's own numbers: a name for each, its value, and where it stands."""
    return pd.read_csv(RESULTS / "paper.csv", comment="#", index_col=0)


def paper_number(name: str) -> float:
    return float(paper().loc[name, "value"])


def paper_ranks(prefix: str) -> pd.Series:
    """Ranks that the paper gives to features, those whose name starts so."""
    ranks = paper()["value"].filter(regex=f"^{prefix} rank of ").astype(int)
    return ranks.rename(lambda name: name.removeprefix(f"{prefix} rank of "))


def spread(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean, standard deviation and range of each column over runs."""
    return runs.agg(["mean", "std", "min", "max"]).T


def bars(ax: Axes, values: pd.Series, *, label: str, errors: pd.Series | None = None, marked: Sequence = ()) -> None:
    """Horizontal bars, the first above; those marked are orange."""
    places = np.arange(len(values))
    ax.barh(places, values, height=0.72, color=[ORANGE if name in set(marked) else BLUE for name in values.index])
    ax.errorbar(values, places, xerr=errors, fmt="none", ecolor="#222222", elinewidth=1, capsize=2)
    ax.set(yticks=places, yticklabels=values.index, xlabel=label, ylim=(len(values) - 0.5, -0.5))
    ax.set_xlim(left=0)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis="x", color=PALE, linewidth=0.8)
    ax.set_axisbelow(True)
