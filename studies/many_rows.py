"""A hundred million rows on one worker and on two: how many a second, and how much memory.

    python studies/many_rows.py [--rows N] [--out FILE]

The rows, 23 columns of single precision, are made where they are measured, block by block, so that there is never more
than a part of them. The network has the shape of the paper's: 64 tanh units and a softmax of 2. Ray is started twice on
this machine, with one processor and with two; Linux only. What comes out is a table with a row for each: rows, seconds,
rows a second, and the memory of the largest worker and of this process, a tenth of the way and at the end.
"""

import argparse
import logging
import os
import pathlib
import threading
import time

os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import ray

import keras_sensitivity as ks

BLOCK_ROWS, BATCH_ROWS, NUM_COLUMNS = 2**20, 2**17, 23
DEFINITION = ks.Definition(output=1)


def rows(batch: pa.Table) -> pa.Table:
    """Rows for some numbers of rows: the same for the same."""
    rng = np.random.default_rng(batch["id"][0].as_py())
    values = rng.random((NUM_COLUMNS, len(batch)), dtype="float32")
    return pa.table({f"x{index}": column for index, column in enumerate(values)})


def network() -> keras.Model:
    """With weights at random: what it knows does not matter."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(64, "tanh"), keras.layers.Dense(2, "softmax")]
    return keras.Sequential([keras.Input((NUM_COLUMNS,)), *layers])


class Memory(threading.Thread):
    """Looks once a second at how much memory the workers and this process have, in MB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: list[tuple[float, float, float]] = []

    def run(self) -> None:
        """Until the end of the process."""
        while True:
            workers = [own_memory(each) for each in pathlib.Path("/proc").glob("[0-9]*") if is_worker(each)]
            self.seen.append((time.perf_counter(), max(workers, default=0.0), own_memory(pathlib.Path("/proc/self"))))
            time.sleep(1)

    def between(self, begin: float, end: float) -> tuple[float, float]:
        """The most of a worker, and of this process."""
        some = [each[1:] for each in self.seen if begin <= each[0] <= end]
        worker, own = np.max(some, axis=0)
        return float(worker), float(own)


def own_memory(process: pathlib.Path) -> float:
    """Of a process, in MB; what is shared is the store of objects, whose size is Ray's to choose."""
    try:
        _, resident, shared, *_ = map(int, (process / "statm").read_text().split())
    except OSError:  # it has ended
        return 0.0
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE") / 2**20


def is_worker(process: pathlib.Path) -> bool:
    """Whether it measures."""
    try:
        return "MapWorker" in (process / "cmdline").read_text()
    except OSError:
        return False


def measured(num_workers: int, num_rows: int, memory: Memory) -> tuple[dict[str, float], ks.Importance]:
    """One row of the table."""
    ray.init(num_cpus=num_workers, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    logging.getLogger("ray.data").setLevel("ERROR")
    blocks = max(1, num_rows // BLOCK_ROWS)
    numbers = ray.data.range(num_rows, override_num_blocks=blocks)
    dataset = numbers.map_batches(rows, batch_size=BATCH_ROWS, batch_format="pyarrow")
    begin = time.perf_counter()
    look = ks.measure(network(), dataset, definition=DEFINITION)
    end = time.perf_counter()
    ray.shutdown()
    seconds = end - begin
    early = memory.between(begin + 0.1 * seconds, begin + 0.3 * seconds)
    late = memory.between(end - 0.2 * seconds, end)
    names = ("worker_mb_early", "own_mb_early", "worker_mb_late", "own_mb_late")
    row = {"workers": num_workers, "rows": num_rows, "seconds": seconds, "rows_a_second": num_rows / seconds}
    return row | dict(zip(names, (*early, *late), strict=True)), look


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs/results/many_rows.csv"))
    arguments = parser.parse_args()
    memory = Memory()
    memory.start()
    found = [measured(count, arguments.rows, memory) for count in (1, 2)]
    table = pd.DataFrame([row for row, _ in found])
    one, two = (look.features for _, look in found)
    print(f"The shares differ by at most {np.abs(one - two).max():.1e} points.")
    print(table.round(1).to_string(index=False))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("w") as file:
        file.write("# make study-many-rows\n")
        table.round(1).to_csv(file, index=False)
    print(f"Written: {arguments.out}")
