"""How often are irrelevant features reported dead, and useful ones falsely? Hundreds of fits to data with known truth.

    python studies/death_rates.py [--seeds FIRST LAST] [--fits FOLDER] [--out FILE]

Eight simulations, two numbers of rows, ReLU and tanh, a small and a large network, without and with an L2 penalty. Each
fit is watched twice, without and with labels. What each said is kept in a folder, and fits that are there already are
skipped: it can be stopped and started again. What comes out is a table with a row a fit and rule, of which
`death_rates_page.py` makes what the documents show. The rule was chosen on seeds from 100 on.
"""

import argparse
import functools
import itertools
import json
import multiprocessing
import pathlib
import time
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from simulations import SIMULATIONS, Array

import keras_sensitivity as ks

EPOCHS = {1_024: 80, 4_096: 40}
ACTIVATIONS = ["relu", "tanh"]
WIDTHS = {"small": [32], "large": [256, 256]}
PENALTIES = [0.0, 0.003]
TEST_ROWS, BATCH_SIZE, LEARNING_RATE = 4_000, 64, 0.003
FITS_OF_A_PROCESS = 30


class Case(NamedTuple):
    """A fit."""

    simulation: str
    num_rows: int
    activation: str
    size: str
    l2: float
    seed: int


def network(shape: tuple[int, ...], case: Case) -> keras.Model:
    """Hidden layers behind noise probes; recurrent ones for sequences."""
    penalty: dict[str, Any] = {"kernel_regularizer": keras.regularizers.L2(case.l2)} if case.l2 else {}
    *first, last = WIDTHS[case.size]
    if len(shape) == 2:  # the state is an eighth as wide, for time
        recurrent = {"recurrent_regularizer": penalty["kernel_regularizer"]} if penalty else {}
        hidden = [keras.layers.GRU(last // 8, activation=case.activation, **penalty, **recurrent)]
    else:
        hidden = [keras.layers.Dense(width, case.activation, **penalty) for width in (*first, last)]
    output = keras.layers.Dense(1, "sigmoid" if SIMULATIONS[case.simulation].classes else None, **penalty)
    return keras.Sequential([keras.Input(shape), ks.NoiseProbes(), *hidden, output])


def data(case: Case) -> tuple[Array, Array, slice, slice]:
    """Standardised x and y, and which rows are for training and for testing."""
    simulation = SIMULATIONS[case.simulation]
    rng = np.random.default_rng([zlib.crc32(case.simulation.encode()), case.seed])
    x, y = simulation.draw(rng, case.num_rows + TEST_ROWS)
    train, test = slice(case.num_rows), slice(case.num_rows, None)
    axes = tuple(range(x.ndim - 1))
    x = ((x - x[train].mean(axis=axes)) / x[train].std(axis=axes)).astype("float32")
    if not simulation.classes:
        y = (y - y[train].mean()) / y[train].std()
    return x, y.astype("float32")[:, None], train, test


def fit(case: Case) -> dict[str, Any]:
    """What was said of a fit, by each rule, and how it went."""
    simulation = SIMULATIONS[case.simulation]
    x, y, train, test = data(case)
    keras.utils.set_random_seed(case.seed)
    model = network(x.shape[1:], case)
    loss = "binary_crossentropy" if simulation.classes else "mse"
    steps = case.num_rows // BATCH_SIZE
    model.compile(keras.optimizers.Adam(LEARNING_RATE), loss, jit_compile=True, steps_per_execution=steps)
    watch = ks.SensitivityCallback(x[train], groups=simulation.groups)
    with_labels = ks.SensitivityCallback(x[train], y[train], groups=simulation.groups, name="labels")
    test_loss = []
    tested = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: test_loss.append(model.test_on_batch(x[test], y[test]))
    )
    model.fit(
        batches(x[train], y[train], case.seed),
        steps_per_epoch=steps,
        epochs=EPOCHS[case.num_rows],
        callbacks=[watch, with_labels, tested],
        shuffle=False,  # the batches are
        verbose=0,
    )
    names = list(watch.trajectory.columns)
    rules = {
        "probes": (list(watch.history), watch.events, watch.dead_features),
        "probes and labels": (list(with_labels.history), with_labels.events, with_labels.dead_features),
        "a tenth of the uniform share": judged(watch.history, ks.DeadFeatureMonitor(threshold=10 / len(names))),
        "1 %": judged(watch.history, ks.DeadFeatureMonitor(threshold=1.0)),
    }
    return {
        "loss_over_best": round(float(test_loss[-1] / min(test_loss)), 3),
        "noise_over_uniform": round(float(watch.noise_level.iloc[-1] * len(names) / 100), 3),
        "features": names,
        "rules": {name: said(events, dead) for name, (_, events, dead) in rules.items()},
    }


def judged(looks: Iterable[ks.Importance], monitor: ks.DeadFeatureMonitor) -> tuple[Any, pd.DataFrame, list[str]]:
    """What another monitor makes of the looks of a fit."""
    record = ks.dead_features.DeathRecord()
    for epoch, look in enumerate(looks):
        record = monitor.update(record, epoch, look)
    return looks, pd.DataFrame(record.events, columns=list(ks.dead_features.Event._fields)), list(record.dead)


def said(events: pd.DataFrame, dead: list[str]) -> dict[str, Any]:
    """The looks after which those died that are dead at the end, why, and who was dead for a while."""
    died = events[events["event"] == "died"].groupby("feature").last()
    return {
        "dead": {name: int(died.loc[name, "epoch"]) + 1 for name in dead},
        "redundant": [name for name in dead if died.loc[name, "reason"].startswith("redundant")],
        "for a while": sorted(set(died.index) - set(dead)),
    }


def batches(x: Array, y: Array, seed: int) -> tf.data.Dataset:
    """Batches without end, shuffled anew in each epoch; fit then makes one iterator, not one an epoch."""
    rows = tf.data.Dataset.range(len(x)).shuffle(len(x), seed=seed).repeat().batch(BATCH_SIZE)
    return rows.map(lambda index: (tf.gather(x, index), tf.gather(y, index))).prefetch(2)


def train(cases: list[Case], folder: pathlib.Path, num_processes: int = 2) -> None:
    """Fit whatever was not fitted yet, two at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [case for case in cases if not file_of(case, folder).exists()]
    # A process that has compiled some hundred networks runs out of memory for code, so each makes way before.
    with multiprocessing.get_context("spawn").Pool(num_processes, maxtasksperchild=FITS_OF_A_PROCESS) as pool:
        for line in pool.imap_unordered(functools.partial(fit_and_keep, folder=folder), missing):
            print(line, flush=True)


def fit_and_keep(case: Case, folder: pathlib.Path) -> str:
    """Keep what was said of a fit; a line that says how long it took."""
    start, path = time.perf_counter(), file_of(case, folder)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(fit(case)))
    part.replace(path)  # so that what is interrupted is done again
    keras.backend.clear_session()
    return f"{path.stem}: {time.perf_counter() - start:.1f} s"


def file_of(case: Case, folder: pathlib.Path) -> pathlib.Path:
    """Where what was said of a fit is kept."""
    return folder / f"{'_'.join(map(str, case))}.json"


def rows_of(case: Case, kept: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table, one a rule."""
    shared = case._asdict() | {name: kept[name] for name in ("loss_over_best", "noise_over_uniform")}
    return [
        shared
        | {
            "rule": rule,
            "dead": " ".join(f"{name}:{look}" for name, look in found["dead"].items()),
            "redundant": " ".join(found["redundant"]),
            "for_a_while": " ".join(found["for a while"]),
        }
        for rule, found in kept["rules"].items()
    ]


def main() -> None:
    """Train, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs=2, default=[10, 12], help="the first and the last")
    parser.add_argument("--fits", type=pathlib.Path, default=pathlib.Path("runs/study_dead_features"), help="folder")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/results/dead_features.csv"))
    arguments = parser.parse_args()
    first, last = arguments.seeds
    kinds = itertools.product(range(first, last + 1), SIMULATIONS, EPOCHS, ACTIVATIONS, WIDTHS, PENALTIES)
    cases = [Case(*kind, seed) for seed, *kind in kinds]
    train(cases, arguments.fits)
    table = [row for case in cases for row in rows_of(case, json.loads(file_of(case, arguments.fits).read_text()))]
    arguments.out.write_text("# make study-dead-features\n" + pd.DataFrame(table).to_csv(index=False))
    print(f"{len(cases)} fits: {arguments.out}")


if __name__ == "__main__":
    main()
