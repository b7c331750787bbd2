"""Does `select` find the features that matter? A published benchmark, and random columns beside real ones.

    python studies/selection_rates.py [--draws N] [--folder FOLDER] [--out FILE]

The benchmark: Passemiers et al. (2024), *A quantitative benchmark of neural
network feature selection methods for detecting nonlinear signals*, arXiv 2304.02383. A class depends on two, four or
six of many columns, and on none of them linearly; 1,000 rows. Theirs are 833 training rows in each of six folds, and so
are ours. Asked is which share of the columns that matter is among the k that are kept, k being their number.

What is done is kept in a folder, and not done again. What comes out is a table with a row for each data set and number
of columns, of which `selection_rates_page.py` makes what the documents show.
"""

import argparse
import functools
import json
import multiprocessing
import pathlib
import time
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd

import keras_sensitivity as ks

Array = np.ndarray
NUM_ROWS, TRAINING_ROWS = 1_000, 833
NUM_FEATURES = [8, 16, 32, 64, 128, 256]
TRUE_FEATURES = {"ring": 2, "xor": 2, "ring+xor": 4, "ring+xor+sum": 6}
UNITS, L2, LEARNING_RATE, BATCH_SIZE, STEPS = 128, 0.001, 0.003, 64, 3_000
# Rows are passed as often as this, so that an epoch of Keras, which takes time of its own, is as many of ours.
PASSES = 26
CASES_OF_A_PROCESS = 5


class Case(NamedTuple):
    """A selection."""

    data: str
    num_features: int
    draw: int


def ring(x: Array, width: float) -> Array:
    """Whether points lie on a ring around the middle of the unit square."""
    return np.abs(np.hypot(x[:, 0] - 0.5, x[:, 1] - 0.5) - 0.35) <= width


def xor(x: Array, least: float) -> Array:
    """Whether points lie in two opposite quarters of the unit square."""
    return (x[:, 0] - 0.5) * (0.5 - x[:, 1]) >= least


def draw(case: Case) -> tuple[Array, Array, set[str]]:
    """Columns from -1 to 1 in a random order, the class, and the names of those that matter: section 2.1 there."""
    rng = np.random.default_rng([len(case.data), case.num_features, case.draw])
    x = rng.random((NUM_ROWS, case.num_features))
    if case.data == "ring":
        y = ring(x, 0.1151)
    elif case.data == "xor":
        y = xor(x, 0)
    elif case.data == "ring+xor":
        y = ring(x, 0.0704) | xor(x[:, 2:], 0.0337)
    else:
        total = x[:, 4] + x[:, 5] + rng.normal(scale=0.2, size=NUM_ROWS)
        y = ring(x, 0.0479) | xor(x[:, 2:], 0.0598) | (total >= 1.4074)
    order = rng.permutation(case.num_features)
    matter = {f"x{place}" for place in np.flatnonzero(order < TRUE_FEATURES[case.data])}
    return (2 * x[:, order] - 1).astype("float32"), y.astype("float32"), matter


def build(num_features: int) -> keras.Model:
    """One hidden layer with a small penalty; standardised inputs."""
    penalty = {"kernel_regularizer": keras.regularizers.L2(L2)}
    layers = [
        keras.Input((num_features,)),
        keras.layers.Rescaling(np.sqrt(3)),  # of the uniform distribution from -1 to 1
        keras.layers.Dense(UNITS, "relu", **penalty),
        keras.layers.Dense(1, "sigmoid", **penalty),
    ]
    model = keras.Sequential(layers)
    steps = PASSES * TRAINING_ROWS // BATCH_SIZE
    model.compile(
        keras.optimizers.Adam(LEARNING_RATE), "binary_crossentropy", steps_per_execution=steps, jit_compile=False
    )
    return model


def selected(case: Case) -> dict[str, Any]:
    """What was found."""
    x, y, matter = draw(case)
    train, test = slice(TRAINING_ROWS), slice(TRAINING_ROWS, None)
    steps = PASSES * TRAINING_ROWS // BATCH_SIZE
    found = ks.select(
        build,
        np.tile(x[train], (PASSES, 1)),
        np.tile(y[train], PASSES),
        num_features=len(matter),
        validation_data=(x[test], y[test]),
        epochs=round(STEPS / steps),
        batch_size=BATCH_SIZE,
        validation_freq=round(STEPS / steps),
        seed=case.draw,
        verbose=0,
    )
    return {
        "found": len(matter & set(found.features)),
        "of": len(matter),
        "val_loss": found.rounds["val_loss"].tolist(),
    }


def done(case: Case, folder: pathlib.Path) -> str:
    """Keep what was found; a line that says how long it took."""
    start, path = time.perf_counter(), file_of(case, folder)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(selected(case)))
    part.replace(path)
    keras.backend.clear_session()
    return f"{path.stem}: {time.perf_counter() - start:.1f} s"


def file_of(case: Case, folder: pathlib.Path) -> pathlib.Path:
    """Where what was found is kept."""
    return folder / f"{'_'.join(map(str, case))}.json"


def main() -> None:
    """Select, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("runs/study_selection"))
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/results/selection.csv"))
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    kinds = [(data, number) for data in TRUE_FEATURES for number in NUM_FEATURES]
    cases = [Case(*kind, number) for number in range(arguments.draws) for kind in kinds]
    missing = [case for case in cases if not file_of(case, arguments.folder).exists()]
    with multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=CASES_OF_A_PROCESS) as pool:
        for line in pool.imap_unordered(functools.partial(done, folder=arguments.folder), missing):
            print(line, flush=True)
    rows = []
    for data, number in kinds:
        every = [
            json.loads(file_of(Case(data, number, each), arguments.folder).read_text())
            for each in range(arguments.draws)
        ]
        shares = [100 * each["found"] / each["of"] for each in every]
        row = {"data": data, "num_features": number, "draws": len(shares), "mean": np.mean(shares).round(1)}
        rows.append(row | {"lowest": round(min(shares)), "highest": round(max(shares))})
    arguments.out.write_text("# make study-selection\n" + pd.DataFrame(rows).to_csv(index=False))
    print(arguments.out)


if __name__ == "__main__":
    main()
