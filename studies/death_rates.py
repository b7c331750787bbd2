"""How often are irrelevant features reported dead, and useful ones falsely? Hundreds of fits to data with known truth.

    python studies/death_rates.py [--seeds N] [--looks FOLDER] [--out FILE]

Six simulations, three numbers of rows, ReLU and tanh, a small and a large network. Of each fit the losses and what each
look saw are kept in a folder, and fits that are there already are skipped: it can be stopped and started again. Then
the looks of all fits are replayed through a `DeadFeatureMonitor` by each rule: with noise probes; with noise probes,
but judged from the first look on; with the rule of thumb; with a threshold of 1 %. What comes out is a table with a row
a fit, of which `death_rates_page.py` makes what the documents show.
"""

import argparse
import functools
import itertools
import multiprocessing
import pathlib
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

import keras_sensitivity as ks

Array = np.ndarray


class Simulation(NamedTuple):
    """Data with known truth.

    Attributes:
        draw: From a random generator and a number of rows to x and y.
        irrelevant: The columns of x that y does not depend on.
        ignored: Columns that are counted as neither.
        classes: Whether y is a class, 0 or 1.
    """

    draw: Callable[[np.random.Generator, int], tuple[Array, Array]]
    irrelevant: tuple[int, ...]
    ignored: tuple[int, ...] = ()
    classes: bool = False


def paper(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Horel et al. (2018), section 3, and three irrelevant columns."""
    x = rng.normal(size=(n, 8))
    y = np.cos(x[:, 0]) + np.sin(x[:, 1]) + 2 * x[:, 2] + x[:, 3] + x[:, 4] / 100
    return x, y + rng.normal(scale=0.1, size=n)


def jmlr(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Horel and Giesecke (2020), arXiv 1902.06021."""
    x = rng.uniform(-1, 1, size=(n, 8))
    y = x[:, 0] ** 2 + x[:, 1] * x[:, 2] + np.cos(x[:, 3]) + np.exp(x[:, 4] * x[:, 5]) + x[:, 6] / 10
    return x, y + rng.normal(scale=0.01, size=n)


def friedman(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Friedman (1991), the first benchmark."""
    x = rng.uniform(size=(n, 10))
    y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return x, y + rng.normal(size=n)


def aico(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """The 19 features of arXiv 2506.23396: correlated, binary, counts, heavy tails."""
    x = rng.normal(size=(n, 19))
    x[:, 5] = 0.85 * x[:, 0] + np.sqrt(1 - 0.85**2) * x[:, 5]
    x[:, 7] = rng.uniform(-1, 1, size=n)
    x[:, 8] = x[:, 1] > 0
    x[:, 9] = rng.poisson(3, size=n)
    x[:, [10, 11, 16, 17, 18]] = rng.standard_t(5, size=(n, 5))
    x[:, 13] = 0.85 * x[:, 12] + np.sqrt(1 - 0.85**2) * x[:, 13]
    y = 3 + 4 * x[:, 0] + x[:, 0] * x[:, 1] + 3 * x[:, 2] ** 2 + 2 * x[:, 3] * x[:, 4] + 6 * x[:, 5]
    y += 2 * np.sin(x[:, 6]) + np.exp(x[:, 7]) + 5 * x[:, 8] + 3 * x[:, 9] + 4 * x[:, 10] + 5 * x[:, 11]
    return x, y + rng.normal(size=n)


def shell(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Hastie, Tibshirani, Friedman (2009), equation 10.2: outside of a ball or not; and five irrelevant columns."""
    x = rng.normal(size=(n, 15))
    return x, np.sum(x[:, :10] ** 2, axis=1) > 9.34


def sequence(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Ten steps of six channels, of which one matters three steps ago, another now, and four never."""
    x = rng.normal(size=(n, 10, 6))
    return x, x[:, -4, 0] + 0.5 * x[:, -1, 1] + rng.normal(scale=0.1, size=n)


SIMULATIONS = {
    "paper": Simulation(paper, (5, 6, 7), ignored=(4,)),
    "jmlr": Simulation(jmlr, (7,)),
    "friedman": Simulation(friedman, (5, 6, 7, 8, 9)),
    "aico": Simulation(aico, (12, 13, 14, 15, 16, 17, 18)),
    "shell": Simulation(shell, (10, 11, 12, 13, 14), classes=True),
    "sequence": Simulation(sequence, (2, 3, 4, 5)),
}
EPOCHS = {1_024: 80, 4_096: 40, 16_384: 20}
ACTIVATIONS = ["relu", "tanh"]
WIDTHS = {"small": [32], "large": [256, 256]}
TEST_ROWS, BATCH_SIZE, LEARNING_RATE = 4_000, 64, 0.003
FITS_OF_A_PROCESS = 30
# What the looks of the committed table were measured with, which is not the default: `death_definitions.py` compares.
DEFINITION = ks.Definition(scale="std")


class Case(NamedTuple):
    """A fit."""

    simulation: str
    num_rows: int
    activation: str
    size: str
    seed: int


Fit = Callable[[Case], dict[str, Array]]


def network(shape: tuple[int, ...], case: Case) -> keras.Model:
    """Hidden layers behind noise probes; recurrent ones for sequences."""
    *first, last = WIDTHS[case.size]
    if len(shape) == 2:  # the state is an eighth as wide, for time
        hidden = [keras.layers.GRU(last // 8, activation=case.activation)]
    else:
        hidden = [keras.layers.Dense(width, case.activation) for width in (*first, last)]
    output = keras.layers.Dense(1, "sigmoid" if SIMULATIONS[case.simulation].classes else None)
    return keras.Sequential([keras.Input(shape), ks.NoiseProbes(), *hidden, output])


def fit(case: Case) -> dict[str, Array]:
    """The losses and the looks of a fit."""
    (kept,) = watched(case, [DEFINITION])
    return kept


def watched(case: Case, definitions: Sequence[ks.Definition]) -> list[dict[str, Array]]:
    """The losses and the looks of a fit, by each definition."""
    simulation = SIMULATIONS[case.simulation]
    rng = np.random.default_rng([zlib.crc32(case.simulation.encode()), case.seed])
    x, y = simulation.draw(rng, case.num_rows + TEST_ROWS)
    train, test = slice(case.num_rows), slice(case.num_rows, None)
    axes = tuple(range(x.ndim - 1))
    x = ((x - x[train].mean(axis=axes)) / x[train].std(axis=axes)).astype("float32")
    if not simulation.classes:
        y = (y - y[train].mean()) / y[train].std()
    y = y.astype("float32")[:, None]
    keras.utils.set_random_seed(case.seed)
    model = network(x.shape[1:], case)
    loss = "binary_crossentropy" if simulation.classes else "mse"
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE), loss, jit_compile=True, steps_per_execution=case.num_rows // BATCH_SIZE
    )
    watches = [ks.SensitivityCallback(x[train], definition=definition) for definition in definitions]
    test_loss = []
    tested = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: test_loss.append(model.test_on_batch(x[test], y[test]))
    )
    history = model.fit(
        batches(x[train], y[train], case.seed),
        steps_per_epoch=case.num_rows // BATCH_SIZE,
        epochs=EPOCHS[case.num_rows],
        callbacks=[*watches, tested],
        shuffle=False,  # the batches are
        verbose=0,
    )
    losses = {"loss": np.array(history.history["loss"]), "test_loss": np.array(test_loss)}
    return [losses | looks_of(watch) for watch in watches]


def looks_of(watch: ks.SensitivityCallback) -> dict[str, Array]:
    """What a monitor needs of the looks of a fit."""
    return {
        "usage": np.stack([look.usage for look in watch.history]),
        "probes": np.stack([look.probes for look in watch.history]),
        "band": np.stack([look.noise_band for look in watch.history]),
    }


def batches(x: Array, y: Array, seed: int) -> tf.data.Dataset:
    """Batches without end, shuffled anew in each epoch; fit then makes one iterator, not one an epoch."""
    rows = tf.data.Dataset.range(len(x)).shuffle(len(x), seed=seed).repeat().batch(BATCH_SIZE)
    return rows.map(lambda index: (tf.gather(x, index), tf.gather(y, index))).prefetch(2)


def train(cases: list[Case], folder: pathlib.Path, *, fit: Fit = fit, num_processes: int = 2) -> None:
    """Fit whatever was not fitted yet, two at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [case for case in cases if not file_of(case, folder).exists()]
    # A process that has compiled some hundred networks runs out of memory for code, so each makes way before.
    with multiprocessing.get_context("spawn").Pool(num_processes, maxtasksperchild=FITS_OF_A_PROCESS) as pool:
        for line in pool.imap_unordered(functools.partial(fit_and_keep, fit=fit, folder=folder), missing):
            print(line, flush=True)


def fit_and_keep(case: Case, fit: Fit, folder: pathlib.Path) -> str:
    """Keep the looks of a fit; a line that says how long it took."""
    start, path = time.perf_counter(), file_of(case, folder)
    part = path.with_name(f"part_{path.name}")
    np.savez_compressed(part, **fit(case))
    part.replace(path)  # so that what is interrupted is done again
    keras.backend.clear_session()
    return f"{path.stem}: {time.perf_counter() - start:.1f} s"


def file_of(case: Case, folder: pathlib.Path) -> pathlib.Path:
    """Where the losses and looks of a fit are kept."""
    return folder / f"{'_'.join(map(str, case))}.npz"


# --- the rules, replayed --------------------------------------------------------------------------------------------


class Look(NamedTuple):
    """What a monitor asks an `Importance`."""

    usage: pd.Series
    is_constant: Array
    num_columns: Array
    noise_level: float | None
    noise_band: tuple[float, float] | None

    @property
    def features(self) -> pd.Series:
        """Only their number is asked for."""
        return self.usage


class FromTheFirstLook(ks.DeadFeatureMonitor):
    """Judges also when nothing has been learnt yet."""

    def update(self, record: ks.dead_features.DeathRecord, epoch: int, importance: Any) -> ks.dead_features.DeathRecord:
        """Beside a noise level of 0 every network has learnt something."""
        return super().update(record, epoch, importance._replace(noise_level=0.0))


RULES = {
    "probes": (ks.DeadFeatureMonitor(), True),
    "probes from the first look": (FromTheFirstLook(), True),
    "rule of thumb": (ks.DeadFeatureMonitor(), False),
    "1 %": (ks.DeadFeatureMonitor(threshold=1.0), False),
}


def judged(kept: dict[str, Array], monitor: ks.DeadFeatureMonitor, *, probed: bool) -> ks.dead_features.DeathRecord:
    """What a monitor makes of the looks of a fit."""
    record = ks.dead_features.DeathRecord()
    for epoch, (usage, probes, band) in enumerate(zip(kept["usage"], kept["probes"], kept["band"], strict=True)):
        noise = (probes.mean(), tuple(band)) if probed else (None, None)
        record = monitor.update(
            record, epoch, Look(pd.Series(usage), np.zeros_like(usage, bool), np.ones_like(usage), *noise)
        )
    return record


def outcome(case: Case, kept: dict[str, Array], rules: Iterable[str] = RULES) -> dict[str, Any]:
    """A row of the table: how the fit went, and what each rule said."""
    simulation = SIMULATIONS[case.simulation]
    columns = set(range(kept["usage"].shape[1]))
    irrelevant = set(simulation.irrelevant)
    useful = columns - irrelevant - set(simulation.ignored)
    row = case._asdict() | {
        "loss_over_best": round(float(kept["test_loss"][-1] / kept["test_loss"].min()), 3),
        "noise_over_uniform": round(float(kept["probes"][-1].mean() * len(columns) / 100), 3),
        "irrelevant": len(irrelevant),
        "useful": len(useful),
    }
    for name in rules:
        monitor, probed = RULES[name]
        record = judged(kept, monitor, probed=probed)
        died = {event.feature: event.epoch + 1 for event in record.events if event.event == "died"}
        reported = sorted(irrelevant & set(record.dead))
        row |= {
            f"{name}: looks": " ".join(str(died[feature]) for feature in reported),
            f"{name}: false at the end": len(useful & set(record.dead)),
            f"{name}: false for a while": len(useful & set(died)),
        }
    return row


def main() -> None:
    """Train, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10, help="fits of each kind")
    parser.add_argument("--looks", type=pathlib.Path, default=pathlib.Path("runs/study_dead_features"), help="folder")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/results/dead_features.csv"))
    arguments = parser.parse_args()
    kinds = itertools.product(range(arguments.seeds), SIMULATIONS, EPOCHS, ACTIVATIONS, WIDTHS)
    cases = [Case(*kind, seed) for seed, *kind in kinds]
    train(cases, arguments.looks)
    table = []
    for case in cases:
        with np.load(file_of(case, arguments.looks)) as kept:
            table.append(outcome(case, dict(kept)))
    arguments.out.write_text("# make study-dead-features\n" + pd.DataFrame(table).to_csv(index=False))
    print(f"{len(table)} fits: {arguments.out}")


if __name__ == "__main__":
    main()
