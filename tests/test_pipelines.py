"""Reading a copy of a pipeline leaves no trace in the pipeline."""

import gc
import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_sensitivity.rows.pipelines import own_copy

D = tf.data.Dataset
RANGE = D.range(12)


def numbers():
    yield from range(12)


def generated():
    return D.from_generator(numbers, output_signature=tf.TensorSpec((), tf.int64))


def shuffled_part(index):
    return D.range(4 * index, 4 * index + 4).shuffle(4)


def cached_part(folder):
    return lambda index: shuffled_part(index).cache(tf.strings.join([f"{folder}/", tf.strings.as_string(index)]))


def sampled():
    return D.sample_from_datasets([RANGE, RANGE.map(lambda i: -i)], seed=1, rerandomize_each_iteration=True)


def choosing(index):
    return tf.cast(index % 2, tf.int32)


def captured(folder):
    inner = D.range(4).shuffle(4).cache()
    return D.range(3).flat_map(lambda _: inner)


# Pipelines that share something between iterators: who reads one next gets other rows, or an error.
SHARING = {
    "shuffle": lambda folder: RANGE.shuffle(12),
    "shuffle with a seed": lambda folder: RANGE.shuffle(12, seed=3).batch(5),
    "shuffle, cache": lambda folder: RANGE.shuffle(12).cache(),
    "cache, shuffle": lambda folder: RANGE.cache().shuffle(12),
    "shuffle, file": lambda folder: RANGE.shuffle(12).cache(f"{folder}/one"),
    "shuffle, cache, file": lambda folder: RANGE.shuffle(12).cache().cache(f"{folder}/one").prefetch(2),
    "shuffle, repeat, take": lambda folder: RANGE.shuffle(12).repeat().take(20),
    "a generator, shuffled": lambda folder: generated().shuffle(12),
    "a data set in a function": captured,
    "choices that are made anew": lambda folder: sampled(),
}

# Those that share nothing, or only what is written; a copy has the order in which they are read first.
OWN = {
    "shuffle, cache, shuffle, batch, cache": lambda folder: RANGE.shuffle(12).cache().shuffle(12).batch(4).cache(),
    "files in a function": lambda folder: D.range(3).interleave(cached_part(folder), cycle_length=2),
    "cache of fixed rows": lambda folder: RANGE.batch(5).cache(),
    "shuffle in a function": lambda folder: D.range(3).interleave(shuffled_part, cycle_length=2),
    "random numbers": lambda folder: RANGE.map(lambda i: tf.cast(i, tf.float32) + tf.random.uniform((), seed=3)),
    "rejected": lambda folder: RANGE.rejection_resample(choosing, [0.9, 0.1], seed=3),
    "a generator": lambda folder: generated(),
    "a Python function": lambda folder: RANGE.map(lambda i: tf.numpy_function(lambda j: 2 * j, [i], tf.int64)),
}

# How a pipeline is read beside the three times that its owner reads it.
READINGS = {
    "before": lambda read, step: step == 0 and list(read()),
    "between": lambda read, step: list(read()),
    "partially": lambda read, step: list(itertools.islice(read(), 2)),
}


def values(dataset):
    return [np.asarray(element).tolist() for element in dataset]


def epochs(build, folder, reading=None, copied=own_copy):
    """What the owner reads in three epochs, each after somebody else read."""
    tf.random.set_seed(5)
    folder.mkdir()
    dataset, found = build(folder), []
    other = copied(dataset)
    for step in range(3):
        if reading is not None:
            reading(lambda: iter(other), step)
        found.append(values(dataset))
    return found


@pytest.mark.parametrize("name", [*SHARING, *OWN])
@pytest.mark.sample(6)
def test_reading_the_copy_is_not_noticed(name, tmp_path):
    build = (SHARING | OWN)[name]
    alone = epochs(build, tmp_path / "alone")
    assert epochs(build, tmp_path / "again") == alone
    for how, reading in READINGS.items():
        assert epochs(build, tmp_path / how, reading) == alone, how


def unhurried(dataset):
    """The data set itself, without the prefetching that TensorFlow adds: what is read of it does not depend on luck."""
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = False
    return dataset.with_options(options)


@pytest.mark.parametrize("name", SHARING)
def test_reading_the_pipeline_itself_is_noticed(name, tmp_path):
    alone = epochs(SHARING[name], tmp_path / "alone")
    try:
        beside = epochs(SHARING[name], tmp_path / "beside", READINGS["partially"], copied=unhurried)
    except tf.errors.AlreadyExistsError as error:
        assert "cache lockfile already exists" in str(error)  # noqa: PT017
    else:
        assert beside != alone


@pytest.mark.parametrize("name", [*SHARING, *OWN])
def test_a_copy_has_the_rows_of_its_pipeline(name, tmp_path):
    dataset = (SHARING | OWN)[name](tmp_path)
    own = own_copy(dataset)
    assert own is not dataset
    assert own.element_spec == dataset.element_spec
    assert own.cardinality() == dataset.cardinality()
    found, expected = values(own), values(dataset)
    if name in OWN:
        assert found == expected
    if "choices" not in name and "take" not in name:
        assert sorted(np.hstack(found)) == sorted(np.hstack(expected))
    assert len(found) == len(expected)


def test_a_copy_is_read_while_its_pipeline_is(tmp_path):
    def read(beside):
        tf.random.set_seed(5)
        dataset = RANGE.shuffle(12).cache(f"{tmp_path}/{beside}").shuffle(12).batch(2)
        own, found = own_copy(dataset), []
        for _ in range(2):
            for batch in dataset:
                found.append(batch.numpy().tolist())
                if beside:
                    list(own.take(3))
        return found

    assert read(True) == read(False)


@pytest.mark.parametrize("kept", ["cache", "file", "snapshot", "in a function"])
def test_a_copy_writes_no_file_and_fills_no_cache(kept, tmp_path):
    read = []

    def counted():
        read.append(1)
        yield from range(6)

    rows = D.from_generator(counted, output_signature=tf.TensorSpec((), tf.int64))
    dataset = {
        "cache": rows.cache,
        "file": lambda: rows.cache(f"{tmp_path}/file"),
        "snapshot": lambda: rows.snapshot(f"{tmp_path}/snapshot"),
        "in a function": lambda: D.range(1).flat_map(lambda _: rows.cache(f"{tmp_path}/file")),
    }[kept]()
    own = own_copy(dataset)
    for _ in range(3):
        assert values(own) == [*range(6)]
    assert len(read) == 3
    assert not list(tmp_path.iterdir())
    values(dataset)
    values(dataset)
    assert len(read) == 4


@pytest.mark.parametrize("in_function", [False, True])
def test_a_complete_file_is_read(in_function, tmp_path):
    def cached(rows):
        return D.range(1).flat_map(lambda _: rows.cache(f"{tmp_path}/file")) if in_function else kept(rows)

    def kept(rows):
        return rows.cache(f"{tmp_path}/file")

    complete = values(cached(RANGE.shuffle(12)))
    own = own_copy(cached(RANGE.map(lambda i: -i)))
    assert values(own) == complete
    assert sorted(complete) == [*range(12)]


def test_variables_that_a_pipeline_changes_are_copied():
    counter, generator = tf.Variable(1, dtype=tf.int64), tf.random.Generator.from_seed(3)
    dataset = D.range(4).map(lambda i: (i + counter.assign_add(1), generator.uniform(())))
    before = generator.state.numpy().tolist()
    own = own_copy(dataset)
    assert len(list(own)) == 4
    assert counter.numpy() == 1
    assert generator.state.numpy().tolist() == before
    assert [int(one) for one, _ in dataset] == [2, 4, 6, 8]


def test_a_copy_keeps_the_functions_of_a_pipeline_that_is_gone():
    own = own_copy(generated().map(lambda i: i + 1))
    gc.collect()
    assert values(own.batch(5)) == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12]]


def test_what_cannot_be_written_as_a_graph_is_returned(monkeypatch):
    def refuse(**_):
        raise tf.errors.UnimplementedError(None, None, "no graph")

    monkeypatch.setattr(tf.raw_ops, "DatasetToGraphV2", refuse)
    assert own_copy(RANGE) is RANGE
