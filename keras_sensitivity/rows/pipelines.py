"""Copies of tf.data pipelines whose reading leaves the pipelines that they were made of as they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import tensorflow as tf

__all__ = ["own_copy"]

# Operations with a state that all iterators share, and which of their inputs holds it: the generator of the orders of
# a shuffling, and of the numbers by which `sample_from_datasets` chooses.
GENERATOR_INPUTS = {
    "ShuffleDatasetV3": 4,
    "ShuffleAndRepeatDatasetV2": 5,
    "GlobalShuffleDataset": 3,
    "RandomDatasetV2": 2,
}

# Operations that keep what is read through them, in memory or in the file that their second input names.
CACHES = {"CacheDataset", "CacheDatasetV2", "SnapshotDataset", "SnapshotDatasetV2"}

# Of `tf.raw_ops.DatasetToGraphV2`: what cannot be copied, such as the state of a Python function, starts anew.
IGNORE_STATE = 1

# How the outputs of operations are called in a graph, and in the body of a function.
IN_GRAPH, IN_FUNCTION = "", ":handle:0"


def own_copy(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The same data, read without a trace in ``dataset``.

    All iterators over a data set share its shuffling and its caches: one that is read beside the training would change
    the order in which the training reads next, and fill its cache with rows in another order, or block its file. So
    the copy shuffles by itself, and reads what goes into a cache; only a file that is complete is read, too, because
    that changes nothing. Data that cannot be written down as a graph are returned as they are.
    """
    try:
        graph = tf.compat.v1.GraphDef.FromString(_serialized(dataset))
        for nodes, output, results in _bodies(graph):
            _give_generators(nodes, output)
            _bypass_caches(nodes, output, results)
        copied = tf.raw_ops.DatasetFromGraph(graph_def=graph.SerializeToString())
        own = tf.data.experimental.from_variant(copied, dataset.element_spec)
    except (tf.errors.OpError, ValueError, TypeError):
        return dataset
    # Python functions in the graph are known by number, and live as long as the data set that they were given to.
    own._copied_from = dataset
    return own


def _serialized(dataset: tf.data.Dataset) -> bytes:
    """The graph of a data set; it holds all rows that are in memory, so nobody keeps it for long."""
    variant = tf.data.experimental.to_variant(dataset)
    serialized = tf.raw_ops.DatasetToGraphV2(input_dataset=variant, external_state_policy=IGNORE_STATE)
    return bytes(serialized.numpy())


def _bodies(graph: Any) -> Iterator[tuple[Any, str, Any]]:
    """The nodes of the graph and of each function in it, how their outputs are called, and what a function returns."""
    yield graph.node, IN_GRAPH, {}
    for function in graph.library.function:
        yield function.node_def, IN_FUNCTION, function.ret


def _give_generators(nodes: Any, output: str) -> None:
    """New generators instead of the shared ones; the dummy tells an operation to make one, of the seeds it has."""
    for node in list(nodes):
        if node.op in GENERATOR_INPUTS:
            generator = nodes.add(name=f"{node.name}/own_generator", op="DummySeedGenerator")
            node.input[GENERATOR_INPUTS[node.op]] = generator.name + output


def _bypass_caches(nodes: Any, output: str, results: Any) -> None:
    """Let whoever reads a cache read its input; the cache itself stays, unread, because other nodes may wait for it."""
    by_name = {node.name: node for node in nodes}
    sources = {
        node.name + output: node.input[0] for node in nodes if node.op in CACHES and not _is_complete(node, by_name)
    }

    def source(read: str) -> str:
        while read in sources:  # a cache of a cache
            read = sources[read]
        return read

    for node in nodes:
        node.input[:] = map(source, node.input)
    for name in results:
        results[name] = source(results[name])


def _is_complete(cache: Any, by_name: dict[str, Any]) -> bool:
    """Whether a cache is a file that was written to its end; of a name that is computed nobody knows."""
    named = by_name.get(cache.input[1].partition(":")[0])
    if not cache.op.startswith("Cache") or named is None or named.op != "Const":
        return False
    filename = tf.make_ndarray(named.attr["value"].tensor).item().decode()
    return bool(filename) and tf.io.gfile.exists(f"{filename}.index")
