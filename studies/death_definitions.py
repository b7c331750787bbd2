"""Do deaths depend on how sensitivity is defined? Fits to data with known truth, each watched by three definitions.

    python studies/death_definitions.py [--seeds N] [--looks FOLDER] [--out FILE] [--processes N]

The simulations of `death_rates.py` that have no time axis, and one whose columns have few values, which the default
swaps with other rows while it takes derivatives of the probes. The definitions watch the same fits, so that what
differs is the measure and not the training. What comes out is a table with a row for each fit and definition, of which
`death_definitions_page.py` makes what the documents show. Fits that are there already are skipped.
"""

import argparse
import itertools
import pathlib
from typing import Any

import death_definitions_page
import death_rates
import numpy as np
import pandas as pd

import keras_sensitivity as ks

DEFINITIONS = {
    "std": death_rates.DEFINITION,
    "path": ks.Definition(change="derivative"),
    "default": ks.Definition(),
}
NUM_ROWS = [1_024, 4_096]


def counts(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers, binary columns and counts: of each kind a strong, a weak, and two irrelevant ones."""
    numbers = rng.normal(size=(n, 4))
    binary = rng.uniform(size=(n, 4)) < [0.5, 0.5, 0.5, 0.1]
    whole = rng.poisson([3, 3, 3, 1], size=(n, 4))
    strong, weak = (numbers[:, each] + 2 * binary[:, each] + whole[:, each] / np.sqrt(3) for each in (0, 1))
    return np.hstack([numbers, binary, whole]), strong + weak / 10 + rng.normal(scale=0.5, size=n)


SIMULATIONS = [*(name for name in death_rates.SIMULATIONS if name != "sequence"), "counts"]
# From here, so that it is not among the fits of the other study.
death_rates.SIMULATIONS["counts"] = death_rates.Simulation(counts, (2, 3, 6, 7, 10, 11))


def fit(case: death_rates.Case) -> dict[str, np.ndarray]:
    """The losses and the looks of a fit, their names behind that of the definition."""
    every = zip(DEFINITIONS, death_rates.watched(case, list(DEFINITIONS.values())), strict=True)
    return {f"{name} {what}": array for name, kept in every for what, array in kept.items()}


def seen_by(name: str, kept: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The losses and the looks by one definition."""
    return {key.removeprefix(f"{name} "): array for key, array in kept.items() if key.startswith(f"{name} ")}


def outcome(case: death_rates.Case, kept: dict[str, np.ndarray]) -> dict[str, Any]:
    """A row of the table: how the fit went, what was said of it, and which columns are dead in the end."""
    monitor, probed = death_rates.RULES["probes"]
    dead = death_rates.judged(kept, monitor, probed=probed).dead
    return death_rates.outcome(case, kept, ["probes"]) | {"dead": " ".join(map(str, dead))}


def main() -> None:
    """Train, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="fits of each kind")
    parser.add_argument(
        "--looks", type=pathlib.Path, default=pathlib.Path("runs/study_death_definitions"), help="folder"
    )
    parser.add_argument("--out", type=pathlib.Path, default=death_definitions_page.RESULTS)
    parser.add_argument("--processes", type=int, default=2, help="fits at a time")
    arguments = parser.parse_args()
    kinds = itertools.product(
        range(arguments.seeds), SIMULATIONS, NUM_ROWS, death_rates.ACTIVATIONS, death_rates.WIDTHS
    )
    cases = [death_rates.Case(*kind, seed) for seed, *kind in kinds]
    death_rates.train(cases, arguments.looks, fit=fit, num_processes=arguments.processes)
    table = []
    for case in cases:
        with np.load(death_rates.file_of(case, arguments.looks)) as file:
            kept = dict(file)
        table += [{"definition": name} | outcome(case, seen_by(name, kept)) for name in DEFINITIONS]
    arguments.out.write_text("# make study-death-definitions\n" + pd.DataFrame(table).to_csv(index=False))
    print(f"{len(cases)} fits: {arguments.out}")


if __name__ == "__main__":
    main()
