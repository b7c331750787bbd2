"""After any use, from any number of threads, interrupted or not, every layer is what it was; and the numbers are right.

What a layer is, is what `vars` says of it, and of the operations of functional models that are no layers.
"""

import contextlib
import ctypes
import functools
import gc
import random
import sys
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import keras_sensitivity as ks

LOGITS = ks.Definition(logits=True)

# --- what a model is ------------------------------------------------------------------------------------------------


def contents(value):
    """What can be changed in a value while it stays the same object."""
    if isinstance(value, dict):
        return {key: (each, contents(each)) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [(each, contents(each)) for each in value]
    if isinstance(value, (set, frozenset)):
        return set(value)
    if isinstance(value, np.ndarray):
        return value.copy()
    return None


def parts(model):
    """The model's layers at any depth, and operations, by a name."""
    found = {}
    for layer in model._flatten_layers():
        found[f"{len(found)} {layer.name}"] = layer
        if isinstance(layer, keras.Model):
            for operation in getattr(layer, "operations", ()):
                if not isinstance(operation, keras.Layer):
                    found[f"{len(found)} {operation.name}"] = operation
    return found


def snapshot(model):
    weights = [np.array(weight) for weight in model.get_weights()]
    return {name: contents(vars(part)) for name, part in parts(model).items()}, weights


def differences(before, after, name):
    """Where two results of `contents` differ."""
    if isinstance(before, dict):
        yield from (f"{name}.{key} is gone" for key in before.keys() - after.keys())
        yield from (f"{name}.{key} is new" for key in after.keys() - before.keys())
        pairs = [(f"{name}.{key}", before[key], after[key]) for key in before.keys() & after.keys()]
    elif isinstance(before, list):
        if len(before) != len(after):
            yield f"{name} has {len(after)} elements instead of {len(before)}"
        pairs = [(f"{name}[{i}]", *each) for i, each in enumerate(zip(before, after, strict=False))]
    else:
        if not np.array_equal(before, after):
            yield f"{name} has other elements"
        return
    for each, (was, inside_before), (now, inside_after) in pairs:
        if was is not now and not (isinstance(was, (bool, int, float, str)) and type(was) is type(now) and was == now):
            yield f"{each} was {was!r}, is {now!r}"
        elif inside_before is not None:
            yield from differences(inside_before, inside_after, each)


def changed(before, model):
    """What is not as it was."""
    after, weights = snapshot(model)
    found = [] if before[0].keys() == after.keys() else ["other layers"]
    for name in before[0].keys() & after.keys():
        found += differences(before[0][name], after[name], name)
    return found + [
        f"weight {i}" for i, pair in enumerate(zip(before[1], weights, strict=True)) if (pair[0] != pair[1]).any()
    ]


@contextlib.contextmanager
def untouched(model):
    before = snapshot(model)
    yield
    assert changed(before, model) == []


def test_the_snapshot_sees_changes():
    model, _ = masked()
    with pytest.raises(AssertionError, match="call is new"), untouched(model):
        model.layers[1].call = lambda x: x
    del model.layers[1].call
    with pytest.raises(AssertionError, match="note"), untouched(model):
        model.layers[1].note = tf.constant(1.0)
    with pytest.raises(AssertionError, match="has 1 elements instead of 0"), untouched(model):
        model.layers[0]._losses.append(1)
    with pytest.raises(AssertionError, match="weight"), untouched(model):
        model.set_weights([2 * weight + 1 for weight in model.get_weights()])


# --- models ---------------------------------------------------------------------------------------------------------


def table(n=24, columns=3):
    return np.random.default_rng(0).normal(size=(n, columns)).astype("float32")


def sequences(n=24):
    x = np.random.default_rng(0).normal(size=(n, 4, 3)).astype("float32")
    x[::2, 2:] = 0
    return x


def codes(n=24, columns=3):
    return np.random.default_rng(0).integers(1, 5, (n, columns)).astype("int32")


def words(n=24):
    return tf.constant(np.random.default_rng(0).choice(["a", "b", "c"], (n, 2)))


@keras.saving.register_keras_serializable(package="borrowing")
class Remembers(layers.Layer):
    """Keeps what it saw last, as layers with attention scores do, and how often it was called."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.last, self.count = None, 0

    def call(self, x):
        self.last = x
        self.count += 1
        setattr(self, f"call_{self.count}", x)
        return 2 * x


@keras.saving.register_keras_serializable(package="borrowing")
class Subclassed(keras.Model):
    """Keeps what it saw last, and has an embedding of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.lookup, self.remembers, self.out = layers.Embedding(5, 2), Remembers(), layers.Dense(2, "softmax")
        self.last = None

    def build(self, shape):
        self.lookup.build(shape)
        self.out.build((None, 6))

    def call(self, x):
        self.last = self.remembers(self.lookup(x))
        return self.out(ops.reshape(self.last, (-1, 6)))


def dense():
    return keras.Sequential([keras.Input((3,)), layers.Dense(4, "tanh"), layers.Dropout(0.1), layers.Dense(2)]), table


def softmax():
    return keras.Sequential([keras.Input((3,)), layers.Dense(4, "sigmoid"), layers.Dense(3, "softmax")]), table


def softmax_layer():
    stack = [layers.Dense(4, "tanh"), layers.BatchNormalization(), layers.Dense(3), layers.Softmax()]
    return keras.Sequential([keras.Input((3,)), *stack]), table


def masked():
    stack = [layers.Masking(), layers.Dense(3, "tanh"), layers.GlobalAveragePooling1D(), layers.Dense(1)]
    return keras.Sequential([keras.Input((4, 3)), *stack]), sequences


def masked_codes():
    stack = [layers.Embedding(5, 2, mask_zero=True), layers.GlobalAveragePooling1D(), layers.Dense(1, "sigmoid")]
    return keras.Sequential([keras.Input((4,), dtype="int32"), *stack]), lambda n=24: codes(n, 4) * (codes(n, 4) > 1)


def many_to_many():
    return keras.Sequential([keras.Input((4, 3)), layers.Masking(), steps(3), steps(2), layers.Dense(1)]), sequences


def steps(units):
    """Unrolled, it is traced faster."""
    return layers.SimpleRNN(units, return_sequences=True, unroll=True)


def probes():
    stack = [ks.NoiseProbes(4), layers.Dense(3, "tanh"), layers.Dense(1)]
    return keras.Sequential([keras.Input((3,)), *stack]), table


def lookups():
    inputs = keras.Input((2,), dtype="string")
    found = layers.Embedding(5, 2)(layers.StringLookup(vocabulary=["a", "b", "c"])(inputs))
    return keras.Model(inputs, layers.Dense(2, "softmax")(layers.Flatten()(found))), words


def operations():
    inputs = keras.Input((3,), dtype="int32")
    one_hot = ops.reshape(ops.one_hot(ops.maximum(inputs, 1), 5), (-1, 15))
    return keras.Model(inputs, layers.Dense(2)(ops.tanh(one_hot))), codes


def nested():
    inner = keras.Sequential([keras.Input((3,), dtype="int32"), layers.Embedding(5, 2), layers.Flatten()])
    head = keras.Sequential([keras.Input((6,)), layers.Dense(3, "tanh"), layers.Dense(2, "softmax")])
    inputs = keras.Input((3,), dtype="int32")
    return keras.Model(inputs, head(inner(inputs))), codes


def remembering():
    inner = keras.Sequential([keras.Input((3,)), Remembers(), layers.Dense(3, "relu")])
    return keras.Sequential([keras.Input((3,)), Remembers(), inner, layers.Dense(2, "softmax")]), table


def subclassed():
    model = Subclassed()
    model.build((None, 3))
    return model, codes


MODELS = {
    function.__name__.replace("_", " "): function
    for function in (
        dense, softmax, softmax_layer, masked, masked_codes, many_to_many, probes, lookups, operations, nested,
        remembering, subclassed,
    )
}  # fmt: skip
WITH_LOGITS = {"softmax", "softmax layer", "lookups", "nested", "remembering", "subclassed", "masked codes"}


def definition(name):
    return LOGITS if name in WITH_LOGITS else ks.Definition()


def shares(model, x, name):
    return ks.measure(model, x, definition=definition(name), jit_compile=False).features.to_numpy()


def explained(model, x, name):
    return ks.explain(model, x, definition=definition(name), jit_compile=False).features.to_numpy()


def equal_model(name, model):
    """Another model with the same weights."""
    other, _ = MODELS[name]()
    other.set_weights(model.get_weights())
    return other


# --- one thread -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.sample(3)
def test_every_layer_that_was_never_called_is_what_it_was(name):
    model, rows = MODELS[name]()
    for use in (shares, explained):
        with untouched(model):
            assert use(model, rows(), name).max() > 0


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.sample(3)
def test_every_layer_that_was_called_is_what_it_was(name):
    model, rows = MODELS[name]()
    other = equal_model(name, model)
    predicted = np.asarray(model(tf.constant(rows())))
    with untouched(model):
        found = shares(model, rows(), name)
    np.testing.assert_allclose(found, shares(other, rows(), name), rtol=1e-4)
    np.testing.assert_array_equal(model(tf.constant(rows())), predicted)


@pytest.mark.parametrize("name", ["remembering", "many to many", "softmax layer"])
def test_every_layer_is_what_it_was_in_a_fit(name):
    """The looks, that is: the training itself may leave what it likes."""
    model, rows = MODELS[name]()
    x = rows()
    befores, found = [], []
    before = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: befores.append(snapshot(model)),
        on_epoch_end=lambda epoch, logs: befores.append(snapshot(model)),
    )
    after = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: found.append(changed(befores[-1], model)),
        on_epoch_end=lambda epoch, logs: found.append(changed(befores[-1], model)),
    )
    watch = ks.SensitivityCallback(x, definition=definition(name), jit_compile=False)
    model.compile("sgd", "mse")
    y = np.zeros((len(x), *model.output_shape[1:]))
    model.fit(x, y, epochs=2, callbacks=[before, watch, after], verbose=0)
    assert len(watch.history) == 2
    assert found == [[], [], []]


# --- several threads ------------------------------------------------------------------------------------------------


@pytest.fixture
def _switching_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def together(jobs, timeout=60):
    """Run jobs in threads that start at once; what each returned or raised."""
    results = [TimeoutError("it hangs")] * len(jobs)
    barrier = threading.Barrier(len(jobs))

    def work(index, job):
        barrier.wait()
        try:
            results[index] = job()
        except Exception as error:  # noqa: BLE001  (shown by the test)
            results[index] = error

    threads = [threading.Thread(target=work, args=each, daemon=True) for each in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout)
    return results


def assert_all_right(results, truths):
    errors = [f"{type(result).__name__}: {result}"[:200] for result in results if isinstance(result, Exception)]
    assert errors == []
    wrong = [
        f"job {index}: {np.round(result, 2).tolist()} instead of {np.round(truth, 2).tolist()}"[:300]
        for index, (result, truth) in enumerate(zip(results, truths, strict=True))
        if np.shape(result) != np.shape(truth) or not np.allclose(result, truth, rtol=1e-3, atol=1e-3)
    ]
    assert wrong == []


SHARED = ["softmax", "masked codes", "many to many", "probes", "remembering"]


@pytest.mark.usefixtures("_switching_often")
@pytest.mark.parametrize("name", SHARED)
@pytest.mark.sample(3)
def test_six_threads_use_one_model(name):
    model, rows = MODELS[name]()
    model(tf.constant(rows()))
    other = equal_model(name, model)
    jobs = [(shares, 12), (explained, 24), (shares, 40), (shares, 12), (explained, 24), (shares, 40)]
    truths = [use(other, rows(size), name) for use, size in jobs[:3]] * 2
    with untouched(model):
        results = together([functools.partial(use, model, rows(size), name) for use, size in jobs])
    assert_all_right(results, truths)


class Act:
    """What a hook does that is of no concern to the model: nothing until ``run`` is set; then that, at the nth call."""

    def __init__(self):
        self.run, self.left = None, 0

    def __call__(self):
        if self.run is not None:
            self.left -= 1
            if self.left == 0:
                self.run()


def hook(act):
    """A layer that hands its input on; one of Keras' own, so that steps are known to stay apart."""
    layer = layers.Identity()
    layer.call = lambda inputs: (act(), inputs)[1]
    return layer


def of_steps(at, kind="tanh"):
    """A model of sequences with a hook before one of its layers, and what the hook does."""
    act = Act()
    stack = [layers.Masking(), steps(3), layers.Dense(2, kind)]
    stack.insert(at, hook(act))
    return keras.Sequential([keras.Input((4, 3)), *stack]), act


def of_codes():
    act = Act()
    inputs = keras.Input((3,), dtype="int32")
    found = layers.Embedding(5, 2, mask_zero=True)(hook(act)(ops.maximum(inputs, 1)))
    return keras.Model(inputs, layers.Dense(2, "softmax")(layers.Flatten()(found))), act


def of_numbers(*stack):
    act = Act()
    return keras.Sequential([keras.Input((3,)), layers.Dense(3, trainable=False), hook(act), *stack]), act


MEETINGS = {
    "masks": (lambda: of_steps(0), sequences, 1),
    "softmax": (lambda: of_steps(2, "softmax"), sequences, 1),
    "states": (lambda: of_steps(1), sequences, 2),
    "codes": (of_codes, codes, 1),
    "softmax layer": (lambda: of_numbers(layers.Softmax()), table, 1),
    "probes": (lambda: of_numbers(ks.NoiseProbes(4), layers.Dense(2)), table, 1),
}


def traced(function, x):
    return tf.function(function, autograph=False)(x)


def stateless(model, x):
    values = [[each.value for each in kind] for kind in (model.trainable_variables, model.non_trainable_variables)]
    return traced(lambda x: model.stateless_call(*values, x, training=False)[0], x)


def derivatives(model, x):
    if not model.trainable_variables:
        return np.zeros(1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x, training=False) ** 2)
    return np.concatenate([np.ravel(tf.convert_to_tensor(g)) for g in tape.gradient(loss, model.trainable_variables)])


USES = {
    "called": lambda model, x: model(x, training=False),
    "traced": lambda model, x: traced(lambda x: model(x, training=False), x),
    "traced without state": stateless,
    "predicts": lambda model, x: model.predict_on_batch(x),
    "differentiated": derivatives,
}


@pytest.mark.parametrize("name", MEETINGS)
@pytest.mark.sample(3)
def test_another_thread_uses_the_model_in_the_middle_of_a_look(name):
    """While Python runs through the model for a look, a thread uses it, and finds nothing of ours in it."""
    build, rows, nth = MEETINGS[name]
    model, act = build()
    x = tf.constant(rows())
    expected = [np.asarray(use(model, x)) for use in USES.values()]
    other, _ = build()
    other.set_weights(model.get_weights())
    options = {"definition": LOGITS if "softmax" in name else ks.Definition(), "jit_compile": False}
    truth = ks.measure(other, x, **options)
    found = []

    def meet():
        act.run = None
        for use in USES.values():
            found.extend(together([functools.partial(use, model, x)], timeout=20))

    act.run, act.left = meet, nth
    look = ks.measure(model, x, **options)
    assert_all_right(found, expected)
    np.testing.assert_allclose(look.features, truth.features, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("_switching_often")
@pytest.mark.parametrize("name", ["masked codes", "nested"])
def test_others_use_the_model_all_the_while(name):
    """Threads predict, trace and differentiate the model again and again, while another measures it."""
    model, rows = MODELS[name]()
    x = tf.constant(rows())
    model(x)
    other = equal_model(name, model)
    sizes = [12, 24, 50]
    truths = [shares(other, rows(size), name) for size in sizes]
    done = threading.Event()

    def measure_all():
        try:
            return [shares(model, rows(size), name) for size in sizes]
        finally:
            done.set()

    def until_done(use, truth):
        worst = 0.0
        while not done.is_set():
            worst = max(worst, np.abs(np.asarray(use(model, x)) - truth).max())
        return worst

    uses = [USES["traced"], USES["predicts"], USES["differentiated"]]
    expected = [np.asarray(use(model, x)) for use in uses]
    jobs = [functools.partial(until_done, use, truth) for use, truth in zip(uses, expected, strict=True)]
    results = together([measure_all, *jobs])
    assert_all_right(results[1:], [0.0] * 3)
    assert_all_right(results[:1], [truths])


# --- interrupted ----------------------------------------------------------------------------------------------------

RAISING = [
    (0, KeyboardInterrupt, 1, "measure"),
    (3, KeyboardInterrupt, 1, "measure"),
    (2, ValueError, 1, "measure"),
    (2, KeyboardInterrupt, 2, "measure"),
    (2, KeyboardInterrupt, 2, "explain"),
]


@pytest.mark.parametrize(("at", "error", "nth", "use"), RAISING, ids=lambda each: getattr(each, "__name__", None))
@pytest.mark.sample(3)
def test_a_layer_that_raises(at, error, nth, use):
    model, act = of_steps(at)
    x = sequences()
    model(x)

    def look(model):
        background = {"background": x} if use == "explain" else {}  # which is a second pass
        return getattr(ks, use)(model, x, jit_compile=False, **background).features

    def fail():
        act.run = None
        raise error("stop")

    act.run, act.left = fail, nth
    with untouched(model), pytest.raises(error):
        look(model)
    other, _ = of_steps(at)
    other.set_weights(model.get_weights())
    with untouched(model):
        np.testing.assert_allclose(look(model), look(other), rtol=1e-4)


def _interrupted(job, delay):
    """Run a job in a thread that gets a KeyboardInterrupt after a while; whether it got one, and ended."""
    running, ended = threading.Event(), []

    def work():
        with contextlib.suppress(KeyboardInterrupt):
            try:
                running.set()
                job()
                ended.append("done")
            except KeyboardInterrupt:
                ended.append("interrupted")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    running.wait()
    time.sleep(delay)
    if not ended:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(KeyboardInterrupt))
    thread.join(30)
    assert not thread.is_alive(), "it hangs"
    return "interrupted" in ended


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("name", ["masked codes", "softmax layer"])
@pytest.mark.sample(2)
def test_interrupted_at_any_moment(name):
    """Twenty times, somewhere between the beginning and the end."""
    chance, x, weights, hits = random.Random(0), MODELS[name]()[1](), None, 0

    def fresh():
        model, _ = MODELS[name]()
        model(tf.constant(x))
        if weights is not None:
            model.set_weights(weights)
        return model

    def timed(model):
        start = time.perf_counter()
        return shares(model, x, name), time.perf_counter() - start

    model = fresh()
    weights = model.get_weights()
    truth, _ = timed(model)
    takes = min(timed(fresh())[1] for _ in range(2))  # the first time was slower
    for attempt in range(20):
        model = fresh()
        with untouched(model):
            hits += _interrupted(functools.partial(shares, model, x, name), chance.uniform(0, takes))
        if attempt % 5 == 0:
            assert_all_right(together([functools.partial(shares, model, x, name)]), [truth])
    assert hits > 0


# --- looks that fail, and what Keras keeps books of -----------------------------------------------------------------


class OnDemand(keras.Model):
    """Has a layer that is built when it is needed first."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.both = layers.Dense(1), layers.Dense(1), False

    def call(self, x):
        return self.first(x) + (self.second(x) if self.both else 0)


def test_a_look_that_would_build_layers_is_refused_and_builds_none():
    model, x = OnDemand(), table()
    model(x)
    model.both = True
    with untouched(model), pytest.raises(ValueError, match="were never built") as raised:
        ks.measure(model, x, jit_compile=False)
    assert "To fix it: call model(x[:1]) once" in str(raised.value)
    assert model(x).shape == (24, 1)  # which the failed look has not spoilt
    assert ks.measure(model, x, jit_compile=False).features.sum() == pytest.approx(100)


def test_losses_that_wait_to_be_added_up_are_there_afterwards():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, activity_regularizer="l2"), layers.Dense(1)])
    model(table())
    before = model.losses
    assert len(before) == 1
    ks.measure(model, table(), jit_compile=False)
    assert [one is other for one, other in zip(before, model.losses, strict=True)] == [True]


def test_a_model_without_a_hash_is_measured_and_freed():
    class Unhashable(keras.Model):
        def __init__(self):
            super().__init__()
            self.out = layers.Dense(1)

        def __eq__(self, other):
            return self is other

        __hash__ = None

        def call(self, x):
            return self.out(x)

    from keras_sensitivity.networks.keras_tf import network

    model = Unhashable()
    model(table())
    ks.measure(model, table(), jit_compile=False)
    key = id(model)
    assert key in network._passes
    del model
    gc.collect()
    assert key not in network._passes


def test_inside_a_function_it_is_refused():
    model, _ = dense()

    @tf.function
    def function():
        ks.measure(model, table())

    with pytest.raises(RuntimeError, match="cannot be measured inside of a function"):
        function()
