"""Calls every public function with thousands of malformed inputs; a script, see test_fuzz.py.

Each call ends in one of our errors, with its four parts, or in a result that is right: nothing else.
"""

import collections
import contextlib
import datetime
import decimal
import io
import itertools
import pathlib
import sys
import tempfile
import time
import traceback
import types
import warnings

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import scipy.sparse
import tensorflow as tf

import keras_sensitivity as ks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype("float32") * [1.0, 2.0, 0.5]
WEIGHTS = np.array([[1.0], [-2.0], [0.5]])


def linear(num_features=3):
    model = keras.Sequential([keras.Input((num_features,)), keras.layers.Dense(1)])
    model.set_weights([np.resize(WEIGHTS, (num_features, 1)), np.zeros(1)])
    model.compile("sgd", "mse")
    return model


def two_inputs():
    one, two = keras.Input((2,), name="one"), keras.Input((1,), name="two")
    return keras.Model({"one": one, "two": two}, keras.layers.Dense(1)(keras.layers.Concatenate()([one, two])))


MODEL, MIXED = linear(), two_inputs()
SEQUENCE = keras.Sequential([keras.Input((4, 2)), keras.layers.Flatten(), keras.layers.Dense(2)])
GOOD = {"one": X[:, :2], "two": X[:, 2:]}
STEPS = RNG.normal(size=(12, 4, 2))
LOOK = ks.measure(MODEL, X)
STEPS_LOOK = ks.measure(SEQUENCE, STEPS)
PREDICTION = ks.explain(MODEL, X[:3], background=X)
PAIRS = ks.interactions(MODEL, X, definition=ks.Definition(change="swap"))


# --- what is passed -------------------------------------------------------------------------------------------------


class Hostile:
    """An object whose every question fails."""

    def __repr__(self):
        return "<hostile>"

    def __len__(self):
        return -5  # noqa: PLE0303

    def __iter__(self):
        return iter([self])

    def __getitem__(self, key):
        raise IndexError(key)


class Endless:
    """A row that has rows that have rows."""

    def __iter__(self):
        return iter([self])

    def __len__(self):
        return 1

    def __getitem__(self, key):
        if isinstance(key, int) and key < 1:
            return self
        raise IndexError(key)


OWN_LIST = []
OWN_LIST.append(OWN_LIST)


TEXTS = [
    "",
    " ",
    "x",
    "x0",
    "\0",
    "a\nb",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "{0.__class__}",
    "%s%n",
    "年齢",
    "\u202e",
    "\ud800",
    "$\\frac{",
    "'; DROP TABLE",
    "NaN",
    "None",
    "0",
    "-1",
    "1e999",
    "x" * 10_000,
]
SCALARS = [
    None,
    True,
    False,
    -1,
    0,
    1,
    2,
    7,
    10**30,
    -(10**30),
    0.5,
    -0.5,
    1e308,
    1e-320,
    float("nan"),
    float("inf"),
    -float("inf"),
    1j,
    decimal.Decimal("1.5"),
    np.float16(2),
    np.int8(-3),
    np.datetime64("2020-01-01"),
    np.bool_(True),
    np.array(3),
    np.array("a"),
    datetime.date(2020, 1, 1),
    pd.NA,
    pd.NaT,
    b"x",
    b"\xff",
    bytearray(3),
]
OBJECTS = [
    object(),
    Hostile(),
    Endless(),
    int,
    len,
    lambda: None,
    lambda x: x,
    types.SimpleNamespace(),
    Exception("e"),
    sys,
    io.StringIO("a"),
    slice(3),
    ...,
    NotImplemented,
    range(3),
    map(str, [1]),
    iter([]),
    OWN_LIST,
    pathlib.Path("nowhere"),
]
CONTAINERS = [
    [],
    (),
    {},
    set(),
    frozenset(),
    [None],
    [[]],
    [[], []],
    [1, 2, 3],
    [1, "a"],
    ["a", "b", "c"],
    ["a", "a", "a"],
    ["x0", "x1", "x2"],
    ["x0", 1, None],
    [[1, 2], [3]],
    [[1], [2, 3]],
    [{}],
    [()],
    {"a": 1},
    {1: "a"},
    {"x0": []},
    {"a": ["x0"]},
    {"a": ["x0", "x0"]},
    {"a": ["nowhere"]},
    {"x1": ["x0"]},
    {"a": "x0"},
    {None: ["x0"]},
    {"a": ["x0"], "b": ["x0"]},
    {"a": {"b": {"c": [1]}}},
    [object()],
    {"a": object()},
    {"one": 1, "two": 2},
    {"x0"},
    ("x0", "x1", "x2"),
    [TEXTS[-1]] * 3,
    [float("nan")] * 3,
    [1.0, 2.0, 3.0],
    [-1.0, 1.0, 1.0],
]
HUGE = np.broadcast_to(np.float32(1), (10**9, 5))
TABLES = [
    X,
    X[:0],
    X[:1],
    X[:, :0],
    X[:, :2],
    X[0],
    X[:, 0],
    X[None],
    X.T,
    X.astype("float64"),
    X.astype("float16"),
    X.astype("int8"),
    X.astype(bool),
    X.astype(complex),
    X.astype(object),
    X.astype(str),
    X.astype("datetime64[s]"),
    X.astype("timedelta64[s]"),
    X.astype("S4"),
    X.view("V4"),
    X.astype("f4,f4")[..., None],
    X * np.nan,
    X * np.inf,
    np.where(X > 1, np.nan, X),
    X * 1e30,
    X * 1e300,
    X * 1e-40,
    np.zeros((0, 3)),
    np.zeros((3, 0)),
    np.zeros(()),
    np.zeros((2, 2, 2, 2, 2, 2, 2)),
    np.ones((12, 3, 1)),
    HUGE,
    np.ma.masked_array(X, X > 0),
    np.asmatrix(X),
    X.astype(">f4"),
    np.asfortranarray(X),
    X[::-1],
    X[::2],
    np.full((12, 3), None),
    np.full((12, 3), object()),
    np.full((12, 3), "a", dtype=object),
    np.array([[1, "a", None]] * 4, dtype=object),
    np.array([X[:2], X[:3], None], dtype=object),
    X.tolist(),
    [list(X[0]), list(X[1])[:2]],
    tuple(map(tuple, X)),
    list(X),
    (X,),
    (X, X[:, 0]),
    (X, X[:, 0], X[:, 0]),
    (X, None),
    [X],
    [X, X],
    (None, None),
    pd.DataFrame(X),
    pd.DataFrame(X, columns=list("aab")),
    pd.DataFrame(X, columns=["a", None, np.nan]),
    pd.DataFrame(X, columns=[1, "1", 1.0]),
    pd.DataFrame(),
    pd.DataFrame(X).iloc[:, :2],
    pd.DataFrame(X).astype(str),
    pd.DataFrame(X).astype("category"),
    pd.DataFrame(X)[0],
    pd.DataFrame({"a": ["x"] * 12, "b": 1, "c": 2}),
    pd.DataFrame({"a": pd.date_range("2020", periods=12), "b": 1, "c": 2}),
    pd.DataFrame({"a": [[1]] * 12, "b": 1, "c": 2}),
    pd.DataFrame(X).set_index([0, 1]),
    pd.DataFrame(X).convert_dtypes(),
    pd.DataFrame({"a": pd.array([1, None] * 6, dtype="Int64"), "b": 1.0, "c": 2.0}),
    pd.DataFrame(X, columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)])),
    pd.Series(dtype=float),
    pd.Index([1, 2]),
    scipy.sparse.csr_matrix(X),
    scipy.sparse.coo_array(X),
    scipy.sparse.csr_matrix((0, 3)),
    scipy.sparse.csr_matrix(X * np.nan),
    tf.constant(X),
    tf.constant(X, tf.float64),
    tf.constant(["a"]),
    tf.ragged.constant([[1.0], [1.0, 2.0]]),
    tf.sparse.from_dense(X),
    tf.Variable(X),
    keras.KerasTensor((12, 3)),
    keras.Variable(X),
    keras.Input((3,)),
    GOOD,
    {"one": X[:, :2]},
    {"one": X[:, :2], "two": X[:5, 2:]},
    {"one": X[:, :2], "two": X[:, 2]},
    {"one": X[:, :2], "two": None},
    {"one": X[:, :2], "two": X[:, 2:], "three": object()},
    {"one": {"two": X}},
    {0: X},
]


def streams():
    """Made anew each time: they are used up."""
    slices = tf.data.Dataset.from_tensor_slices
    yield from (
        slices(X),
        slices(X).batch(5),
        tf.data.Dataset.from_tensors(1.0),
        tf.data.Dataset.range(3),
        slices(X[:0]).batch(2),
    )
    yield from (
        slices(X).batch(4).repeat(),
        slices((X, X)).batch(5),
        slices({"one": X}).batch(3),
    )
    yield from (
        slices([["a", "b", "c"]]).batch(1),
        slices(X[:, :2]).batch(4),
        slices(X * np.nan).batch(4),
    )
    yield from (
        (X[i : i + 3] for i in range(0, 12, 3)),
        (None for _ in range(3)),
        (X[:, :2] for _ in range(2)),
        iter([]),
        iter([X[:2], X[:2, :2]]),
    )
    yield from (iter([(X, X, X, X)]), iter([[]]), iter([{}]), iter(["a"]), iter([X[:1], None]), (row for row in X))


def values():
    """Everything, one after the other."""
    yield from itertools.chain(TEXTS, SCALARS, OBJECTS, CONTAINERS, TABLES, streams())


# --- what is called -------------------------------------------------------------------------------------------------


def watched(**given):
    """A callback in a fit of no step: as far as the first look."""
    watch = ks.SensitivityCallback(**({"x": X} | given))
    watch.set_model(MODEL)
    watch.set_params({"epochs": 1})
    watch.on_train_begin()
    watch.on_epoch_end(0, {})
    watch.on_train_end()
    assert watch.history, "the callback switched itself off"
    return watch.importance


def selected(**given):
    return ks.select(**({"build": linear, "x": X, "y": X[:, 0], "epochs": 1, "verbose": 0} | given))


def saved(path):
    LOOK.save(path)
    return ks.Importance.load(path)


M, D = ks.measure, ks.Definition
SHARED = ("feature_names", "output_names", "groups", "exclude", "definition", "batch_size", "jit_compile")
METHODS = {
    "Importance.top": LOOK.top,
    "Importance.merge": LOOK.merge,
    "Importance.effect": LOOK.effect,
    "Importance.effect unit": lambda value: LOOK.effect(0, unit=value),
    "Importance.effect lag": lambda value: STEPS_LOOK.effect(0, lag=value),
    "Importance.load": ks.Importance.load,
    "Interactions.load": ks.Interactions.load,
    "Interactions.top": PAIRS.top,
    "Explanation.approximate": PREDICTION.approximate,
    "Explanation.plot": PREDICTION.plot,
    "Explanation.table": PREDICTION.table,
    "compare": ks.compare,
    "compare one": lambda value: ks.compare({"a": LOOK, "b": value}),
    "remove_probes": ks.remove_probes,
    "load_trajectory": ks.load_trajectory,
    "plots.ranking": ks.plots.ranking,
    "plots.ranking top": lambda value: ks.plots.ranking(LOOK, top=value),
    "plots.trajectory": ks.plots.trajectory,
    "plots.heat_map": ks.plots.heat_map,
    "plots.lag_profile": ks.plots.lag_profile,
    "NoiseProbes num_probes": ks.NoiseProbes,
    "NoiseProbes seed": lambda value: ks.NoiseProbes(seed=value),
    "DeadFeatureMonitor threshold": lambda value: ks.DeadFeatureMonitor(threshold=value),
    "DeadFeatureMonitor patience": lambda value: ks.DeadFeatureMonitor(patience=value),
    "measure model": lambda value: M(value, X),
    "measure x": lambda value: M(MODEL, value),
    "measure x of two inputs": lambda value: M(MIXED, value),
    "measure x of sequences": lambda value: M(SEQUENCE, value),
    "measure x of a function": lambda value: M(lambda rows: np.asarray(rows) @ WEIGHTS, value),
    "measure what a function returns": lambda value: M(lambda rows: value, X),
    "explain model": lambda value: ks.explain(value, X),
    "explain x": lambda value: ks.explain(MODEL, value, background=X),
    "explain background": lambda value: ks.explain(MODEL, X, background=value),
    "interactions x": lambda value: ks.interactions(MODEL, value),
    "callback x": lambda value: watched(x=value),
}
for name in ("output", "logits", "lags", "scale", "mode", "change", "step"):
    METHODS[f"Definition {name}"] = lambda value, name=name: D(**{name: value})
    METHODS[f"measure Definition {name}"] = lambda value, name=name: M(MODEL, X, definition=D(**{name: value}))
for name in (*SHARED, "sample_weight", "background", "num_samples"):
    METHODS[f"measure {name}"] = lambda value, name=name: M(MODEL, X, **{name: value})
for name in ("feature_names", "groups", "definition", "batch_size", "jit_compile"):
    METHODS[f"explain {name}"] = lambda value, name=name: ks.explain(MODEL, X, **{name: value})
for name in ("feature_names", "groups", "definition", "order", "num_samples"):
    METHODS[f"interactions {name}"] = lambda value, name=name: ks.interactions(MODEL, X, **{name: value})
for name in (*SHARED, "y", "sample_weight", "num_samples", "every_n_epochs", "log_dir", "dead_feature_monitor",
             "log_importances", "name"):  # fmt: skip
    METHODS[f"callback {name}"] = lambda value, name=name: watched(**{name: value})
for name in ("x", "y", "build", "num_features", "validation_data", "epochs", "seed"):
    METHODS[f"select {name}"] = lambda value, name=name: selected(**{name: value})

# What is right, and would take for ever; what Keras itself, or the given function, refuses in its own words.
SKIPPED = [
    ("select build", len),
    ("select epochs", SCALARS[8]),
    ("measure x of a function", HUGE),
    ("NoiseProbes seed", OWN_LIST),
    ("NoiseProbes num_probes", OWN_LIST),
    ("select build", len),
]


# --- what comes of it -----------------------------------------------------------------------------------------------


def wrong(method, value, result):
    """What is wrong with a result; "" if nothing is known to be."""
    if isinstance(result, ks.Importance):
        shares = result.features.to_numpy()
        if not np.isfinite(shares).all() or not (np.isclose(shares.sum(), 100) or not shares.any()):
            return f"shares {shares}"
        if method in ("measure x", "callback x", "interactions x") and len(shares) == 3:
            return _of_linear(value, shares)
    if isinstance(result, ks.Explanation):
        sums = result.features.sum(axis=1).to_numpy()
        if not np.isfinite(sums).all() or not (np.isclose(sums, 100) | (sums == 0)).all():
            return f"sums of shares {sums}"
    return ""


def _of_linear(value, shares):
    """Compare with |w| times the standard deviation, where x is something that NumPy understands."""
    try:
        rows = np.asarray(value.toarray() if scipy.sparse.issparse(value) else value, dtype="float64")
    except (TypeError, ValueError):
        return ""
    if rows.shape != (len(rows), 3) or not np.isfinite(rows).all():
        return ""
    q = np.abs(WEIGHTS[:, 0]) * rows.std(axis=0)
    expected = 100 * q / q.sum() if q.any() else q
    return "" if np.allclose(shares, expected, rtol=2e-3, atol=1e-3) else f"{shares} and not {expected}"


def is_ours(error):
    """Whether an error has our four parts; an answer to an iterator's own failure has not."""
    text = str(error)
    return all(part in text for part in ("\n  Expected: ", "\n  Received: ", "\n  To fix it: "))


def tried(method, call, value):
    """How a call ends: "refused", "right", or what is wrong with it."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            result = call(value)
        except Exception as error:  # noqa: BLE001
            if is_ours(error):
                return "refused"
            last = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__}: {str(error)[:150]!r} ({pathlib.Path(last.filename).name}:{last.lineno})"
        finally:
            plt.close("all")
        return wrong(method, value, result) or "right"


def named(value):
    """What was passed, in a few letters."""
    try:
        shape = f" of shape {value.shape}, {getattr(value, 'dtype', '')}" if hasattr(value, "shape") else ""
        return f"{type(value).__name__}{shape} {repr(value)[:60]!r}"
    except Exception:  # noqa: BLE001
        return type(value).__name__


def main(part, parts, *only):
    """Try every part-th call; prints the count, and each that ends in something else."""
    counts, seconds = collections.Counter(), collections.Counter()
    calls = [(name, call) for name, call in METHODS.items() if not only or name in only]
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder) if sys.version_info > (3, 11) else contextlib.nullcontext(),
    ):
        for number, (method, call) in enumerate(calls):
            for index, value in enumerate(values()):
                if (number + index) % parts != part or any(method == m and value is v for m, v in SKIPPED):
                    continue
                start = time.monotonic()
                end = tried(method, call, value)
                seconds[method] += time.monotonic() - start
                counts[end if end in ("refused", "right") else "wrong"] += 1
                if end not in ("refused", "right"):
                    print(f"{method} with {named(value)}: {end}", flush=True)
    print(f"{sum(counts.values()):,} malformed inputs: {counts['refused']:,} refused in words, {counts['right']:,} "
          f"with a right result, {counts['wrong']:,} neither")  # fmt: skip
    print("slowest:", ", ".join(f"{name} {time:.0f} s" for name, time in seconds.most_common(5)))
    return counts["wrong"]


if __name__ == "__main__":
    sys.exit(min(main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]), 1))
