"""How many bytes a look adds to the event files of TensorBoard.

    python benchmarks/logs.py [--turns N] [--quick]

A fit of a table of 23 columns with a ``log_dir``. Every byte is counted, by the plug-in that shows it, as the median
over the looks but the first, which also has the names. The numbers of a look are the importance, the standard error and
the rms of each feature, in 8 bytes each.
"""

import collections
import pathlib
import tempfile
from collections.abc import Iterator

import _credit
import pandas as pd
from _results import Job, Row, at_most, run
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

import keras_sensitivity as ks

FRAME = 16  # bytes that a file adds to each event: its length, and two check sums
NUMBERS = 3 * 8 * _credit.COLUMNS
PICTURES = ["images", "text", "histograms"]


def events(folder: pathlib.Path) -> Iterator[tuple[Event, int]]:
    """All events below a folder, and their bytes."""
    for path in sorted(folder.rglob("*.tfevents.*")):
        for record in RawEventFileLoader(str(path)).Load():
            yield Event.FromString(record), len(record) + FRAME


def sizes(folder: pathlib.Path) -> pd.DataFrame:
    """Bytes, a row a step, a column a plug-in."""
    plugins: dict[str, str] = {}  # only the first event of a tag names its plug-in
    found: dict[int, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for event, size in events(folder):
        for value in event.summary.value:
            plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
            found[event.step][plugins[value.tag]] += value.ByteSize()
        if event.summary.value:
            found[event.step]["events"] += size - sum(value.ByteSize() for value in event.summary.value)
    return pd.DataFrame.from_dict(found, orient="index").fillna(0)


def fit(folder: str, epochs: int) -> None:
    """Watch a short fit."""
    model, x = _credit.network(), _credit.rows(256)
    model.compile("sgd", "sparse_categorical_crossentropy")
    watch = ks.SensitivityCallback(x, log_dir=folder)
    model.fit(x, (x[:, 0] > 0).astype(int), epochs=epochs, verbose=0, callbacks=[watch])


def rows(job: Job) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        fit(folder, job.some(20, 3))
        table = sizes(pathlib.Path(folder))
    following = table[1:].median()
    numbers = following.drop(PICTURES, errors="ignore").sum()
    case = f"{_credit.COLUMNS} columns"
    yield Row("a look without pictures", case, numbers / 1e3, "kB", at_most(2))
    yield Row("a look without pictures / its numbers", case, numbers / NUMBERS, "times", at_most(3), f"{NUMBERS} bytes")
    for plugin, size in following.items():
        yield Row(f"a look, {plugin}", case, size / 1e3, "kB")
    fits = f"{case}, {len(table)} looks"
    yield Row(
        "a fit without pictures", fits, table.drop(columns=PICTURES, errors="ignore").to_numpy().sum() / 1e3, "kB"
    )
    yield Row("a fit with pictures", fits, table.to_numpy().sum() / 1e3, "kB")


if __name__ == "__main__":
    run(__file__, __doc__, rows, turns=1)
