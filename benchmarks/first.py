"""The first `measure` of a process, and the import of the package.

    python benchmarks/first.py [--turns N] [--quick]

The first look at the paper's credit network on 4,096 rows, in a process that has imported TensorFlow and the package
and done nothing yet; beside it the next one. And ``import keras_sensitivity`` beside ``import keras`` with its
TensorFlow backend. Each time is of a new process, in turns.
"""

import subprocess
import sys
from collections.abc import Iterator

import _credit
import numpy as np
from _results import Job, Row, at_most, elsewhere, in_turns, milliseconds, run, seconds

import keras_sensitivity as ks

IMPORT = "import time; begun = time.perf_counter(); import {}; print(time.perf_counter() - begun)"


def first_and_next() -> tuple[float, float]:
    """Seconds of two looks at a network that was not called before."""
    model, x = _credit.network(), _credit.rows(4096)
    return seconds(lambda: ks.measure(model, x)), seconds(lambda: ks.measure(model, x))


def import_of(package: str) -> float:
    """Seconds of an import in a new process."""
    command = [sys.executable, "-c", IMPORT.format(package)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def rows(job: Job) -> Iterator[Row]:
    looks = in_turns({"look": lambda: elsewhere(first_and_next)}, job.turns)["look"]
    case = f"4,096 x {_credit.COLUMNS}"
    for name, times, goal in zip(("first", "next"), looks.T, (at_most(150), ""), strict=True):
        yield Row(f"the {name} measure of a process", case, 1000 * np.median(times), "ms", goal)
    packages = "keras", "keras_sensitivity"
    keras, ours = in_turns({name: lambda name=name: import_of(name) for name in packages}, job.turns).values()
    note = f"{milliseconds(ours)} - {milliseconds(keras)}"
    yield Row("import of the package beyond that of Keras", "", float(np.median(ours - keras)), "s", at_most(0.3), note)


if __name__ == "__main__":
    run(__file__, __doc__, rows, turns=7)
