"""Rows on many machines: looks at parts add up to the look at all, in this process, in two, and with Ray."""

import concurrent.futures
import functools
import multiprocessing
import os

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

import keras_sensitivity as ks
from keras_sensitivity.distribution import Task, Worker
from keras_sensitivity.measurement import merged
from keras_sensitivity.plan import Options
from keras_sensitivity.rows.rows import SAMPLE_ROWS

ray = pytest.importorskip("ray")

NUM_ROWS = 3 * SAMPLE_ROWS
DEFAULT = ks.Definition()


def table(rng):
    """Two columns of numbers, one of few values, and weights."""
    values = {name: rng.normal(size=NUM_ROWS).astype("float32") for name in ("age", "debt")}
    few = {"children": rng.integers(0, 4, NUM_ROWS).astype("float32")}
    return values | few


def of_table():
    return keras.Sequential([keras.Input((3,)), layers.Dense(8, "tanh"), layers.Dense(2)])


def sequences(rng):
    return {"data": rng.normal(size=(NUM_ROWS, 4, 2)).astype("float32")}


def of_sequences():
    return keras.Sequential([keras.Input((4, 2)), layers.LSTM(3), layers.Dense(1)])


def several(rng):
    return {
        "a": rng.normal(size=(NUM_ROWS, 2)).astype("float32"),
        "shop": rng.integers(0, 5, (NUM_ROWS, 1)).astype("int32"),
    }


def of_several():
    inputs = {"a": keras.Input((2,), name="a"), "shop": keras.Input((1,), dtype="int32", name="shop")}
    looked_up = layers.Flatten()(layers.Embedding(5, 2)(inputs["shop"]))
    return keras.Model(inputs, layers.Dense(1)(layers.Concatenate()([inputs["a"], looked_up])))


def function(rows):
    return rows["age"] * rows["debt"] + rows["children"]


KINDS = {
    "table": (table, of_table),
    "sequences": (sequences, of_sequences),
    "several inputs": (several, of_several),
    "a function": (table, lambda: function),
}


def stream(columns, weights=None):
    """The rows one after the other, as one machine reads them."""
    for start in range(0, NUM_ROWS, 1000):
        part = {name: values[start : start + 1000] for name, values in columns.items()}
        of_rows = part.pop(weights) if weights else None
        if all(values.ndim == 1 for values in part.values()):
            x = pd.DataFrame(part)
        else:
            x = next(iter(part.values())) if len(part) == 1 else part
        yield (x, None, of_rows)


def by_parts(model, columns, sizes, *, weights=None, background=None, definition=DEFAULT):
    """What workers make of parts of these sizes, in this process."""
    first = {name: values[:SAMPLE_ROWS] for name, values in columns.items()}
    task = Task(model, first, weights, background, definition, Options())
    worker = Worker(ray.cloudpickle.dumps(task), 1)
    starts = np.cumsum([0, *sizes[:-1]])
    looks = []
    for start, size in zip(starts, sizes, strict=True):
        (row,) = worker({name: values[start : start + size] for name, values in columns.items()})["found"]
        found, words = ray.cloudpickle.loads(row)
        if isinstance(found, Exception):
            raise found
        assert words == []
        looks.append(found)
    return [task.measurement().importance(functools.reduce(merged, order)) for order in (looks, looks[::-1])]


@pytest.mark.parametrize("kind", KINDS)
def test_parts_add_up_to_what_one_machine_sees(kind, rng):
    make, build = KINDS[kind]
    columns, model = make(rng), build()
    whole = ks.measure(model, stream(columns))
    for look in by_parts(model, columns, [10_000, 500, NUM_ROWS - 10_500]):
        np.testing.assert_allclose(look.table["importance"], whole.table["importance"], rtol=1e-4)
        np.testing.assert_allclose(look.table["rms"], whole.table["rms"], rtol=1e-4)
        assert (look.table["change"] == whole.table["change"]).all()
        assert look.num_samples == NUM_ROWS
        assert (look.lags is None) == (whole.lags is None)


@pytest.mark.parametrize(
    "definition", [ks.Definition(), ks.Definition(change="swap"), ks.PAPER], ids=["path", "swap", "paper"]
)
def test_weights_and_backgrounds(definition, rng):
    columns = table(rng) | {"weight": rng.random(NUM_ROWS).astype("float32")}
    model = of_table()
    background = pd.DataFrame({name: values[:500] for name, values in table(rng).items()})
    for given in (None, background):
        whole = ks.measure(model, stream(columns, "weight"), background=given, definition=definition)
        options = {"weights": "weight", "background": given, "definition": definition}
        look = by_parts(model, columns, [15_000, NUM_ROWS - 15_000], **options)[0]
        np.testing.assert_allclose(look.table["importance"], whole.table["importance"], rtol=1e-4)


def test_with_a_background_swaps_of_parts_add_up_too(rng):
    """Which row a row is swapped with is told by its values, wherever it stands."""
    x = pd.DataFrame({name: values[:3000] for name, values in table(rng).items()})
    model, background = of_table(), x[:400]
    options = {"background": background, "definition": ks.Definition(change="swap")}
    parts = [ks.measure(model, part, **options) for part in (x[1000:], x[:1000])]
    together, whole = parts[0].merge(parts[1]), ks.measure(model, x, **options)
    np.testing.assert_allclose(together.table["importance"], whole.table["importance"], rtol=1e-6)
    np.testing.assert_allclose(together.table["standard_error"], whole.table["standard_error"], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda columns: columns | {"more": columns["age"]}, "number of columns"),
        (lambda columns: dict(reversed(columns.items())), "other columns"),
        (lambda columns: columns | {"age": np.full(NUM_ROWS, np.nan, "float32")}, "NaN"),
    ],
    ids=["one more", "another order", "missing"],
)
def test_a_part_that_is_not_like_the_first(change, words, rng):
    columns = table(rng)
    task = Task(
        of_table(), {name: each[:100] for name, each in columns.items()}, None, None, ks.Definition(), Options()
    )
    (row,) = Worker(ray.cloudpickle.dumps(task), 1)(change(columns))["found"]
    found, _ = ray.cloudpickle.loads(row)
    assert isinstance(found, ValueError)
    assert words in str(found)


def test_only_measure_takes_a_data_set_of_ray(rng):
    dataset = ray.data.Dataset.__new__(ray.data.Dataset)
    for verb in (ks.explain, ks.interactions):
        with pytest.raises(TypeError, match="take_batch"):
            verb(of_table(), dataset)
    with pytest.raises(TypeError, match="one of its columns"):
        ks.measure(of_table(), dataset, sample_weight=np.ones(3))


# --- two processes, and Ray -------------------------------------------------------------------------------------------


def _look_of(folder, index):
    """What one process does, which has nothing but files."""
    model = keras.models.load_model(folder / "model.keras")
    background = pd.read_csv(folder / "background.csv")
    ks.measure(model, pd.read_csv(folder / f"{index}.csv"), background=background).save(folder / f"{index}.npz")
    return os.getpid()


@pytest.mark.slow
def test_looks_of_two_processes_merge(rng, tmp_path):
    x = pd.DataFrame(table(rng))[:4000]
    model = of_table()
    model.save(tmp_path / "model.keras")
    x[:500].to_csv(tmp_path / "background.csv", index=False)
    for index, part in enumerate((x[:2500], x[2500:])):
        part.to_csv(tmp_path / f"{index}.csv", index=False)
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=spawn) as pool:
        processes = set(pool.map(_look_of, [tmp_path] * 2, range(2)))
    assert os.getpid() not in processes
    one, other = (ks.Importance.load(tmp_path / f"{index}.npz") for index in range(2))
    whole = ks.measure(model, x, background=x[:500])
    pd.testing.assert_frame_equal(one.merge(other).table, whole.table, rtol=1e-4)


@pytest.fixture
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.slow
def test_a_data_set_of_ray(cluster, rng, capsys, tmp_path):
    """A worker is lost on the way; what cannot be measured is refused in the words of one machine."""
    columns = table(rng) | {"weight": rng.random(NUM_ROWS).astype("float32")}
    model, mark = of_table(), tmp_path / "died"

    def deadly(batch):
        if columns["age"][-1] in batch["age"] and not mark.exists():
            mark.touch()
            os._exit(1)
        return batch

    dataset = ray.data.from_pandas(pd.DataFrame(columns)).repartition(7)
    look = ks.measure(model, dataset.map_batches(deadly, batch_size=None), sample_weight="weight", verbose=1)
    expected = ks.measure(model, stream(columns, "weight"))
    np.testing.assert_allclose(look.table["importance"], expected.table["importance"], rtol=1e-4)
    assert mark.exists()
    assert look.num_samples == NUM_ROWS
    assert "part" in capsys.readouterr().out
    plain = dataset.drop_columns(["weight"])
    with pytest.warns(UserWarning, match="first 1,000 rows"):
        few = ks.measure(model, plain, num_samples=1000)
    assert few.num_samples == 1000
    with pytest.raises(ValueError, match="no column 'size'"):
        ks.measure(model, dataset, sample_weight="size")
    with pytest.raises(ValueError, match="different number of columns"):
        ks.measure(model, dataset)
    columns["debt"][-1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        ks.measure(model, ray.data.from_pandas(pd.DataFrame(columns)).repartition(3), sample_weight="weight")
