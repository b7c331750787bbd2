"""What the scripts of this folder share: arguments, measuring in turns, rows beside their goals, results as CSV.

A script has a function ``rows`` that yields one `Row` after the other. `run` prints them and keeps them in
docs/results, from where `_cost_page.py` puts them into the page.
"""

import argparse
import multiprocessing
import os
import pathlib
import platform
import shlex
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
PREFIX = "benchmark_"


class Job(NamedTuple):
    """One call of a script.

    Attributes:
        turns: How often each thing is measured.
        quick: Whether to see only that everything runs.
    """

    turns: int
    quick: bool = False

    def some(self, full: Any, quick: Any) -> Any:
        """The first, or in a quick call the second."""
        return quick if self.quick else full


class Row(NamedTuple):
    """One number beside its goal.

    Attributes:
        what: What was measured.
        case: On what.
        value: NaN, where it could not be measured; the note says why.
        unit: Of the value.
        goal: "at most 8" or "at least 25", in the same unit; empty: none was set.
        note: What else is to be said.
    """

    what: str
    case: str
    value: float
    unit: str
    goal: str = ""
    note: str = ""

    @property
    def limit(self) -> float:
        """What the value is to be at most or at least; NaN without a goal."""
        return float(self.goal.rsplit(" ", 1)[1]) if self.goal else np.nan

    @property
    def verdict(self) -> str:
        """Whether the goal is met, in a word; empty without a goal."""
        if np.isnan(self.value):
            return "not measured"
        if not self.goal:
            return ""
        is_met = self.value <= self.limit if self.goal.startswith("at most") else self.value >= self.limit
        return "met" if is_met else "missed"

    def __str__(self) -> str:
        goal = f"{self.verdict}, goal {self.goal}" if self.goal else self.verdict
        return f"{self.what:48} {self.case:48} {number(self.value):>8} {self.unit:6} {goal:28} {self.note}".rstrip()


def at_most(limit: float) -> str:
    """A goal."""
    return f"at most {limit:g}"


def at_least(limit: float) -> str:
    """A goal."""
    return f"at least {limit:g}"


def number(value: float) -> str:
    """In three digits, and more where they stand before the point.

    >>> number(1.0349), number(54321.6), number(-0.04567), number(float("nan"))
    ('1.03', '54,322', '-0.0457', '')
    """
    if np.isnan(value):
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


# --- measuring ------------------------------------------------------------------------------------------------------


def seconds(task: Callable[[], object]) -> float:
    """The time of a call."""
    begun = time.perf_counter()
    task()
    return time.perf_counter() - begun


def in_turns(measures: Mapping[str, Callable[[], Any]], turns: int) -> dict[str, np.ndarray]:
    """What each measure found, shape (turns, ...): all in each turn, so that whatever else goes on meets all alike.

    Every second turn goes backwards, lest one always follows the same other. What is found in a turn before, in which
    caches fill, is not kept; before a single turn, which only shows that everything runs, there is none.
    """
    found: dict[str, list[Any]] = {name: [] for name in measures}
    for turn in range(0 if turns > 1 else 1, turns + 1):
        for name in list(measures)[:: -1 if turn % 2 else 1]:
            value = measures[name]()
            if turn:
                found[name].append(value)
    return {name: np.array(values) for name, values in found.items()}


def times_in_turns(tasks: Mapping[str, Callable[[], object]], turns: int) -> dict[str, np.ndarray]:
    """Seconds of each task, shape (turns,)."""
    return in_turns({name: lambda task=task: seconds(task) for name, task in tasks.items()}, turns)


def ratio(what: str, case: str, one: np.ndarray, other: np.ndarray, goal: str = "") -> Row:
    """How many times as long one task takes as another, the median over the turns."""
    note = f"{milliseconds(one)} / {milliseconds(other)}"
    return Row(what, case, float(np.median(one / other)), "times", goal, note)


def milliseconds(times: np.ndarray) -> str:
    """The median of some seconds, in words."""
    return f"{number(1000 * statistics.median(times))} ms"


def elsewhere(task: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of a script returns in a new process, which has imported the script and done nothing else."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(task, *arguments).result()


# --- results --------------------------------------------------------------------------------------------------------


def machine() -> str:
    """Where the numbers come from."""
    import keras
    import tensorflow as tf

    where = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"{where}; Python {platform.python_version()}, TensorFlow {tf.__version__}, Keras {keras.__version__}"


def run(script: str, description: str, rows: Callable[[Job], Iterable[Row]], *, turns: int) -> None:
    """Read the arguments of a script, print what it measures, and write it as CSV below the command that made it."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--turns", type=int, help=f"how often each thing is measured; default: {turns}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--out", type=pathlib.Path, help="default: docs/results; with --quick: runs/benchmarks")
    chosen = parser.parse_args()
    job = Job(chosen.turns or (1 if chosen.quick else turns), chosen.quick)
    found = []
    for row in rows(job):
        print(row, flush=True)
        found.append(row)
    out = chosen.out or (ROOT / "runs" / "benchmarks" if job.quick else RESULTS)
    out.mkdir(parents=True, exist_ok=True)
    path, options = pathlib.Path(script), ["--quick"] * job.quick
    if chosen.turns:
        options += ["--turns", str(job.turns)]
    command = shlex.join(["python", f"benchmarks/{path.name}", *options])
    table = pd.DataFrame(found).to_csv(index=False, float_format="%.4g", lineterminator="\n")
    (out / f"{PREFIX}{path.stem}.csv").write_text(f"# {command}\n# {machine()}\n{table}")


class Result(NamedTuple):
    """What a script wrote: how it was called, where it ran, and its rows."""

    command: str
    machine: str
    rows: list[Row]

    @classmethod
    def read(cls, path: pathlib.Path) -> "Result":
        """Read it back."""
        command, where, *_ = path.read_text().splitlines()
        table = pd.read_csv(path, comment="#", dtype={"value": float})
        table = table.fillna({name: "" for name in table.columns if name != "value"})
        return cls(command[2:], where[2:], [Row(*row) for row in table.itertuples(index=False)])


def results(folder: pathlib.Path = RESULTS) -> dict[str, Result]:
    """What was kept, by script."""
    paths = sorted(folder.glob(f"{PREFIX}*.csv"))
    return {path.stem.removeprefix(PREFIX): Result.read(path) for path in paths}
