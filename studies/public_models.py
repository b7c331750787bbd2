"""Do the numbers hold for the models that people have? Models of public pages, each fitted, measured and explained.

    python studies/public_models.py [--only NAME] [--runs FOLDER] [--out FILE] [--processes N]

Of each model, in small: it is trained twice from one seed, with and without the callback, and every bit that is left
must be the same; then a few rows are measured and explained, and the shares must be those of brute force (see
`models/brute_force.py`). What was found is kept in a folder, and models that are there already are skipped: it can be
stopped and started again. What comes out is a table with a row a model, of which `public_models_page.py` makes what the
documents show.

The models of KerasHub are left out where it is not installed; a folder of its own is enough:
`pip install --target FOLDER keras-hub`, and FOLDER in PYTHONPATH.
"""

import argparse
import contextlib
import dataclasses
import functools
import json
import multiprocessing
import pathlib
import re
import time
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
import public_models_page
import tensorflow as tf
from models import CASES, KINDS
from models.brute_force import Shares, Variable, lengths, named, shares, slopes, variables
from models.case import Case

import keras_sensitivity as ks

Array = np.ndarray

NUM_ROWS, BATCH_SIZE, EPOCHS = 64, 16, 2
FEW = 8  # rows by brute force
MODELS_OF_A_PROCESS = 8
COLUMNS = ["kind", "model", "source", "mode", *public_models_page.NUMBERS, "bit-identical", "warnings", "refused"]
DEFAULT, RAW, STD = ks.Definition(), ks.Definition(scale=None), ks.Definition(scale="std")


class Fit(NamedTuple):
    """A training, and what it left behind.

    Attributes:
        model: The model.
        watch: The callback; None without.
        seconds: How long it took.
        left: All variables, losses and random states, by name.
        warned: The warnings.
    """

    model: keras.Model
    watch: ks.SensitivityCallback | None
    seconds: float
    left: dict[str, Array]
    warned: list[str]


def outcome(case: Case) -> dict[str, Any]:
    """A row of the table."""
    row = {"model": case.name, "source": case.source, "mode": case.mode}
    plain = fit(case, watched=False)
    try:
        watched = fit(case, watched=True)
        with noted() as told:
            looks = looked_at(case, watched.model)
    except Exception as error:  # noqa: BLE001  (a model that is refused is a result)
        return row | {"refused": f"{type(error).__name__}: {one_line(str(error))}"}
    warned = dict.fromkeys([*watched.warned, *told])
    return row | {
        "features": len(watched.watch.importance.features),
        "units": len(watched.watch.importance.by_output),
        "seconds": round(plain.seconds, 2),
        "ratio": round(watched.seconds / plain.seconds, 2),
        "bit-identical": "no" if changed(plain, watched) else "yes",
        **differences(case, watched.model, looks),
        "tolerance": case.tolerance,
        "warnings": " | ".join(text for text in warned if text not in plain.warned),
    }


@contextlib.contextmanager
def noted() -> Iterator[list[str]]:
    """What is warned of in the block, each in a line."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield told
    told += [one_line(str(each.message)) for each in found if each.category is UserWarning]


def one_line(text: str) -> str:
    """Text without line breaks."""
    return re.sub(r"\s+", " ", text).strip()


# --- training -------------------------------------------------------------------------------------------------------


def fit(case: Case, *, watched: bool) -> Fit:
    """Train a model anew, from the same seeds and rows as always."""
    keras.utils.clear_session()  # the same names for the variables of each model
    keras.utils.set_random_seed(1)
    model = case.build()
    x, y = drawn(case)
    if not model.compiled:
        losses = keras.tree.map_structure(lambda target: target.loss, case.target)
        model.compile("adam", losses, jit_compile=False)
    watch = ks.SensitivityCallback(x, definition=definition(case, DEFAULT), jit_compile=False) if watched else None
    with noted() as warned:
        start = time.perf_counter()
        log = model.fit(x, y, batch_size=BATCH_SIZE, epochs=EPOCHS, callbacks=[watch] if watch else [], verbose=0)
        seconds = time.perf_counter() - start
    left = {f"{index} {each.path}": each.numpy() for index, each in enumerate(model.variables)}
    left |= {f"{index} {each.path}": each.numpy() for index, each in enumerate(model.optimizer.variables)}
    left |= {"loss": log.history["loss"], "random": keras.random.normal((2,)).numpy()}
    if watch is not None and len(watch.history) < EPOCHS:
        raise RuntimeError("the callback switched itself off: " + " ".join(warned))
    return Fit(model, watch, seconds, left, warned)


def drawn(case: Case) -> tuple[Any, Any]:
    """Rows, and what the model is to return for them."""
    rng = np.random.default_rng(0)
    x = case.x(rng, NUM_ROWS)
    return x, keras.tree.map_structure(lambda target: target.draw(rng, NUM_ROWS), case.target)


def definition(case: Case, like: ks.Definition) -> ks.Definition:
    """The axes are found by the library itself, but for codes, of which nobody can know that they are a sequence."""
    return dataclasses.replace(like, mode=case.mode if case.codes and case.mode != "static" else "auto")


def changed(one: Fit, other: Fit) -> list[str]:
    """What differs in any bit."""
    assert one.left.keys() == other.left.keys()
    return [name for name in one.left if not np.array_equal(one.left[name], other.left[name], equal_nan=True)]


# --- measuring ------------------------------------------------------------------------------------------------------


class Looks(NamedTuple):
    """What is seen of a few rows."""

    measured: dict[ks.Definition, ks.Importance]
    explained: ks.Explanation


def looked_at(case: Case, model: keras.Model) -> Looks:
    """Measure and explain, by the definitions whose numbers brute force has, too."""
    x = few_rows(case, model)
    measured = {each: ks.measure(model, x, definition=definition(case, each), jit_compile=False) for each in (RAW, STD)}
    return Looks(measured, ks.explain(model, x, definition=definition(case, RAW), jit_compile=False))


def differences(case: Case, model: keras.Model, looks: Looks) -> dict[str, str]:
    """The largest from brute force: of the shares, percentage points; of the derivatives, percent of the largest."""
    x = few_rows(case, model)
    mask = None if case.mask is None else case.mask(x)
    by_force = variables(model, x, mode=case.mode, codes=case.codes, mask=mask)
    apart = {"shares": shares_apart(by_force, looks), "derivatives": 100 * slopes_apart(by_force, looks.explained)}
    return {name: f"{difference:.1e}" for name, difference in apart.items()}


def shares_apart(by_force: list[Variable], looks: Looks) -> float:
    """The largest difference of a share, of all rows or of one."""
    pairs = [(shares(by_force, scaled=each is STD), of(importance)) for each, importance in looks.measured.items()]
    pairs += zip(single_rows(by_force), rows_of(looks.explained), strict=True)
    return float(np.max([distance(*pair) for pair in pairs]))


def distance(one: Shares, other: Shares) -> float:
    """The largest difference of two results."""
    return float(np.max([np.abs(a - b).max() for a, b in zip(one, other, strict=True) if a is not None]))


def slopes_apart(by_force: list[Variable], explanation: ks.Explanation) -> float:
    """The largest difference of a derivative, by the largest derivative."""
    expected = slopes(by_force)
    apart = [np.abs(one - other).max() for one, other in zip(expected, slopes_of(explanation, expected), strict=True)]
    return float(np.max(apart) / max(np.abs(each).max() for each in expected))


def slopes_of(explanation: ks.Explanation, like: list[Array]) -> Iterator[Array]:
    """The derivatives at single rows, of each input as `slopes` has them; what only masks has none."""
    found = (gradients for gradients in named(explanation.gradients).values() if gradients is not None)
    for gradients, expected in zip(found, like, strict=True):
        parts = gradients if isinstance(gradients, tuple) else (gradients,)
        yield lengths(np.concatenate([part.reshape(*expected.shape, -1) for part in parts], axis=-1))


def few_rows(case: Case, model: keras.Model) -> Any:
    """The first rows; a whole batch, where the model takes no other."""
    count = fixed_size(model) or FEW
    return keras.tree.map_structure(lambda rows: rows[:count], drawn(case)[0])


def fixed_size(model: keras.Model) -> int | None:
    """How many rows a batch has, where the model takes no others."""
    inputs = getattr(model, "inputs", None)
    return inputs[0].shape[0] if inputs else None


def of(importance: ks.Importance) -> Shares:
    """The shares of features and lags."""
    lags = None if importance.lags is None else importance.lags.to_numpy()
    return Shares(importance.features.to_numpy(), lags)


def rows_of(explanation: ks.Explanation) -> Iterator[Shares]:
    """The shares at single rows."""
    for sample in range(len(explanation)):
        lags = None if explanation.lags is None else explanation.lags.iloc[sample].to_numpy()
        yield Shares(explanation.features.iloc[sample].to_numpy(), lags)


def single_rows(found: list[Variable]) -> Iterator[Shares]:
    """The shares at single rows, of the newest output step."""
    for row in range(len(found[0].entries)):
        one = [
            each._replace(
                entries=each.entries[row : row + 1],
                derivatives=each.derivatives[row : row + 1, -1:],
                valid=each.valid[row : row + 1],
            )
            for each in found
        ]
        yield shares(one, scaled=False, power=2)


# --- the study ------------------------------------------------------------------------------------------------------


def begin() -> None:
    """Get a process ready: every bit is to be the same, and the first model shall not pay for the start."""
    tf.config.experimental.enable_op_determinism()
    tf.get_logger().setLevel("ERROR")
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(np.zeros((4, 1)), np.zeros((4, 1)), verbose=0)


def find_and_keep(name: str, folder: pathlib.Path) -> str:
    """Keep what was found of a model; a line of it."""
    row = outcome(CASES[name])
    part = file_of(name, folder).with_suffix(".part")
    part.write_text(json.dumps(row))
    part.replace(file_of(name, folder))  # so that what is interrupted is done again
    return ", ".join(f"{key} {value}" for key, value in row.items() if key != "source")


def file_of(name: str, folder: pathlib.Path) -> pathlib.Path:
    """Where what was found of a model is kept."""
    return folder / f"{re.sub('[^a-z0-9]+', '_', name.lower())}.json"


def main() -> None:
    """Fit, measure, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="NAME", help="the models with this in their name")
    parser.add_argument("--runs", type=pathlib.Path, default=pathlib.Path("runs/study_public_models"), help="folder")
    parser.add_argument("--out", type=pathlib.Path, default=public_models_page.RESULTS)
    parser.add_argument("--processes", type=int, default=2, help="models at a time")
    arguments = parser.parse_args()
    arguments.runs.mkdir(parents=True, exist_ok=True)
    names = [name for name in CASES if arguments.only.lower() in name.lower()]
    missing = [name for name in names if not file_of(name, arguments.runs).exists()]
    find = functools.partial(find_and_keep, folder=arguments.runs)
    context = multiprocessing.get_context("spawn")
    with context.Pool(arguments.processes, begin, maxtasksperchild=MODELS_OF_A_PROCESS) as pool:
        for line in pool.imap_unordered(find, missing):
            print(line, flush=True)
    kinds = {case.name: kind for kind, cases in KINDS.items() for case in cases}
    rows = ({"kind": kinds[name]} | json.loads(file_of(name, arguments.runs).read_text()) for name in names)
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"features": "Int64", "units": "Int64"})
    arguments.out.write_text("# make study-public-models\n" + table.to_csv(index=False, lineterminator="\n"))
    print(f"{len(table)} models: {arguments.out}")


if __name__ == "__main__":
    main()
