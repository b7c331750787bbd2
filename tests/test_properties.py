"""The laws, over random models, shapes, types, sizes of batches and groupings.

`make properties` tries more than ten thousand examples; `make test` one in a hundred of them, always the same.
"""

import collections
import functools
import os
import pickle
import tempfile

import hypothesis.strategies as st
import keras
import numpy as np
import pandas as pd
import pytest
import zoo
from hypothesis import HealthCheck, Phase, given, settings
from oracle import differentiated, importances

import keras_sensitivity as ks
from keras_sensitivity.dead_features import DeathRecord
from keras_sensitivity.moments import CrossMoments, Means, Moments

IS_WHOLE = os.environ.get("KERAS_SENSITIVITY_EXAMPLES") == "all"
TRIED = collections.Counter()
FOLDER = tempfile.mkdtemp()


def examples(count):
    """So many examples of a law in all; with `make test` a hundredth, at least ten."""

    def decorated(law):
        @functools.wraps(law)
        def counted(*args, **kwargs):
            TRIED[law.__name__] += 1
            law(*args, **kwargs)

        chosen = count if IS_WHOLE else max(10, count // 100)
        return settings(
            max_examples=chosen,
            deadline=None,
            derandomize=not IS_WHOLE,
            database=None,
            # To look for the simplest example takes a hundred times as long as to find one.
            phases=list(Phase) if IS_WHOLE else [Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )(counted)

    return decorated


@pytest.fixture(scope="module", autouse=True)
def _told():
    yield
    if IS_WHOLE:
        print(f"\n{sum(TRIED.values()):,} examples: {dict(TRIED)}")


# --- what is random -------------------------------------------------------------------------------------------------

SEEDS = st.integers(0, 2**32 - 1)
SCALES = st.sampled_from([1e-12, 1e-3, 1.0, 7.0, 1e6, 1e12])
BATCHES = st.sampled_from([1, 7, 64])
TYPES = st.sampled_from(["float16", "float32", "float64", "int8", "int64", "bool", "object"])
CHANGES = st.sampled_from(["auto", "derivative", "swap"])
KINDS = st.sampled_from(["path", "std", None])


@functools.cache
def network(num_features, num_units, hidden, activation, policy="float32"):
    """A network of this form; each example gives it other weights, so that few are traced."""

    def build():
        layers = [keras.layers.Dense(size, activation) for size in hidden]
        return keras.Sequential([keras.Input((num_features,)), *layers, keras.layers.Dense(num_units)])

    return zoo.under(policy, build)


brute = functools.cache(differentiated)


def with_weights(model, rng, scale=1.0):
    model.set_weights(
        [scale * rng.normal(size=weight.shape) / np.sqrt(weight.shape[0]) for weight in model.get_weights()]
    )
    return model


NETWORKS = st.tuples(
    st.integers(1, 4), st.integers(1, 3), st.sampled_from([(), (3, 2)]), st.sampled_from(["tanh", "relu", "gelu"])
)


def rows(rng, num_rows, num_features, kind="float64", scales=1.0, *, few=False):
    """Rows of which some columns may have few values."""
    x = rng.normal(size=(num_rows, num_features))
    if few:
        x[:, 0] = rng.integers(0, 3, num_rows)
    if kind in ("int8", "int64"):
        x = np.round(10 * x)
    return (
        (x > 0).astype(kind)
        if kind == "bool"
        else (x * (scales if kind in ("float64", "object") else 1.0)).astype(kind)
    )


def same(one, other, rtol=2e-4):
    """Equal up to rounding, in every number."""
    largest = max(float(one.rms.max()), 1e-300)
    np.testing.assert_allclose(one.features, other.features, rtol=rtol, atol=1e-4)
    np.testing.assert_allclose(one.rms, other.rms, rtol=rtol, atol=1e-6 * largest)
    np.testing.assert_allclose(one.standard_errors, other.standard_errors, rtol=1e-2, atol=1e-3)


# --- moments --------------------------------------------------------------------------------------------------------


@given(SEEDS, st.lists(st.integers(0, 9), min_size=3, max_size=3), st.integers(1, 4), SCALES, SCALES)
@examples(2000)
def test_merging_moments_is_associative_and_commutative(seed, counts, size, scale, place):
    rng = np.random.default_rng(seed)
    parts = [scale * rng.normal(size=(count, size)) + place for count in counts]
    weights = [rng.integers(0, 3, count).astype(float) for count in counts]
    for empty in (Moments.empty((size,)), CrossMoments.empty(size), CrossMoments.empty(size, diagonal=True)):
        a, b, c = (empty.update(part, weight) for part, weight in zip(parts, weights, strict=True))
        whole = empty.update(np.concatenate(parts), np.concatenate(weights))
        spread = (abs(scale) + 1e-7 * abs(place)) ** 2 * 30
        for found in (a.merge(b).merge(c), a.merge(b.merge(c)), c.merge(a).merge(b), whole, empty.merge(whole)):
            np.testing.assert_allclose(found.weight, whole.weight)
            np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-9, atol=1e-9 * scale)
            np.testing.assert_allclose(found.m2, whole.m2, rtol=1e-6, atol=1e-9 * spread + 1e-13 * place**2)
    means = [
        Means.from_sums(np.asarray(weight.sum()), weight @ part) for part, weight in zip(parts, weights, strict=True)
    ]
    one, other = means[0].merge(means[1]).merge(means[2]), means[2].merge(means[1].merge(means[0]))
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-9, atol=1e-9 * scale)


# --- models ---------------------------------------------------------------------------------------------------------


@given(SEEDS, NETWORKS, st.integers(2, 90), TYPES, CHANGES, KINDS, BATCHES)
@examples(2500)
def test_batches_order_and_padding_change_nothing(  # noqa: PLR0917
    seed, form, num_rows, kind, change, scale, batch_size
):
    rng = np.random.default_rng(seed)
    model, x = with_weights(network(*form), rng), rows(rng, num_rows, form[0], kind, few=True)
    change = "derivative" if scale is None and change == "swap" else change
    how = {"definition": ks.Definition(change=change, scale=scale), "background": x}
    whole = ks.measure(model, x, batch_size=64, **how)
    same(whole, ks.measure(model, x, batch_size=batch_size, **how))
    same(whole, ks.measure(model, x[rng.permutation(num_rows)], batch_size=64, **how))
    assert whole.features.sum() == pytest.approx(100) or not whole.features.any()
    if whole.by_output.shape[0] == 1:
        np.testing.assert_allclose(whole.by_output.iloc[0], whole.features)


@given(SEEDS, NETWORKS, st.integers(8, 90), CHANGES, st.integers(1, 7))
@examples(1000)
def test_looks_at_parts_merge_to_the_look_at_all(seed, form, num_rows, change, cut):
    rng = np.random.default_rng(seed)
    model, x = with_weights(network(*form), rng), rows(rng, num_rows, form[0], few=True)
    how = {"definition": ks.Definition(change=change), "background": x, "batch_size": 64}
    one, other = ks.measure(model, x[:cut], **how), ks.measure(model, x[cut:], **how)
    whole = ks.measure(model, x, **how)
    for merged in (one.merge(other), other.merge(one)):
        same(merged, whole)
        assert merged.num_samples == num_rows


@given(SEEDS, NETWORKS, st.integers(2, 60), st.data())
@examples(1000)
def test_a_group_is_the_root_of_the_sum_of_squares(seed, form, num_rows, data):
    rng = np.random.default_rng(seed)
    model, x = with_weights(network(*form), rng), rows(rng, num_rows, form[0])
    names = [f"x{index}" for index in range(form[0])]
    owners = data.draw(st.lists(st.integers(0, 2), min_size=form[0], max_size=form[0]))
    groups = {f"group {owner}": [n for n, o in zip(names, owners, strict=True) if o == owner] for owner in set(owners)}
    how = {"definition": ks.Definition(change="derivative", scale="std"), "batch_size": 64}
    single, grouped = ks.measure(model, x, **how), ks.measure(model, x, groups=groups, **how)
    squares = dict(zip(names, single.rms**2, strict=True))
    for group, rms in zip(grouped.features.index, grouped.rms, strict=True):
        assert rms**2 == pytest.approx(sum(squares[name] for name in groups[group]), rel=1e-9)


@given(SEEDS, NETWORKS, st.integers(2, 40), st.sampled_from(["std", None]))
@examples(800)
def test_it_is_what_brute_force_says(seed, form, num_rows, scale):
    rng = np.random.default_rng(seed)
    model = with_weights(network(*form, policy="float64"), rng)
    x = rows(rng, num_rows, form[0])
    found = ks.measure(model, x, definition=ks.Definition(change="derivative", scale=scale), batch_size=40)
    scales = x.std(axis=0) if scale else 1.0
    rms = np.sqrt((brute(model)(np.resize(x, (40, form[0])))[:num_rows] ** 2).mean(axis=0).sum(axis=0)) * scales
    np.testing.assert_allclose(found.rms, rms, rtol=1e-9, atol=1e-12)
    if rms.any():
        np.testing.assert_allclose(found.features, 100 * rms / rms.sum(), rtol=1e-9, atol=1e-9)


@given(SEEDS, st.integers(1, 5), st.integers(1, 3), st.integers(2, 80), SCALES, st.sampled_from(["path", "std"]), TYPES)
@examples(1500)
def test_of_a_linear_model_it_is_the_weight_times_the_deviation(  # noqa: PLR0917
    seed, num_features, num_units, num_rows, unit, scale, kind
):
    rng = np.random.default_rng(seed)
    model = with_weights(network(num_features, num_units, (), "tanh"), rng)
    scales = np.where(rng.integers(0, 2, num_features), unit, 1.0)
    x = rows(rng, num_rows, num_features, kind, scales)
    found = ks.measure(model, x, definition=ks.Definition(change="derivative", scale=scale), batch_size=64)
    kernel = np.asarray(model.get_weights()[0], float)
    values = x.astype("float32").astype(float)
    q = np.sqrt((kernel**2).sum(axis=1)) * values.std(axis=0)
    np.testing.assert_allclose(found.rms, q, rtol=1e-4, atol=1e-9 * max(q.max(), 1e-300))


@given(SEEDS, NETWORKS, st.integers(4, 60), SCALES, st.sampled_from(["auto", "swap"]))
@examples(800)
def test_units_of_measure_do_not_matter(seed, form, num_rows, unit, change):
    """A column in other units, and the weights that go with it."""
    rng = np.random.default_rng(seed)
    model, x = with_weights(network(*form), rng), rows(rng, num_rows, form[0], few=True)
    how = {"definition": ks.Definition(change=change), "batch_size": 64}
    before = ks.measure(model, x, **how)
    weights = model.get_weights()
    weights[0][0] /= unit
    model.set_weights(weights)
    after = ks.measure(model, np.concatenate([x[:, :1] * unit, x[:, 1:]], axis=1), **how)
    same(before, after, rtol=2e-3)


@given(SEEDS, st.integers(1, 4), st.integers(2, 60), CHANGES, BATCHES)
@examples(1000)
def test_of_functions_too(seed, num_features, num_rows, change, batch_size):
    rng = np.random.default_rng(seed)
    weights, x = rng.normal(size=(num_features, 2)), rows(rng, num_rows, num_features, few=True)
    how = {"definition": ks.Definition(change=change), "background": x}
    whole = ks.measure(lambda given: np.asarray(given) @ weights, x, **how)
    same(whole, ks.measure(lambda given: np.asarray(given) @ weights, x, batch_size=batch_size, **how))
    if change == "derivative" and num_rows > 2:
        q = np.sqrt((weights**2).sum(axis=1)) * x.std(axis=0)
        np.testing.assert_allclose(whole.rms[1:], q[1:], rtol=1e-4)


# --- sequences --------------------------------------------------------------------------------------------------------


@functools.cache
def flat(num_steps, num_features):
    layers = [keras.layers.Flatten(), keras.layers.Dense(1)]
    return keras.Sequential([keras.Input((num_steps, num_features)), *layers])


@given(SEEDS, st.integers(1, 5), st.integers(1, 3), st.integers(2, 60), BATCHES)
@examples(800)
def test_lags_count_back_from_the_newest_step(seed, num_steps, num_features, num_rows, batch_size):
    rng = np.random.default_rng(seed)
    model = with_weights(flat(num_steps, num_features), rng)
    x = rng.normal(size=(num_rows, num_steps, num_features))
    found = ks.measure(model, x, batch_size=batch_size, definition=ks.Definition(change="derivative", scale="std"))
    kernel = np.abs(np.asarray(model.get_weights()[0], float).reshape(num_steps, num_features))[::-1]
    expected = kernel * x.std(axis=(0, 1))
    np.testing.assert_allclose(found.by_lag, expected, rtol=1e-4)
    np.testing.assert_allclose(found.lags, 100 * expected.sum(axis=1) / expected.sum(), rtol=1e-4)
    np.testing.assert_allclose(found.rms, expected.mean(axis=0), rtol=1e-4)


# --- single predictions -----------------------------------------------------------------------------------------------


@given(SEEDS, NETWORKS, st.integers(1, 20))
@examples(800)
def test_a_prediction_is_explained_by_its_own_derivatives(seed, form, num_rows):
    rng = np.random.default_rng(seed)
    model = with_weights(network(*form, policy="float64"), rng)
    x, background = rows(rng, num_rows, form[0]), rows(rng, 50, form[0])
    found = ks.explain(model, x, background=background, definition=ks.Definition(scale="std", change="derivative"))
    g = brute(model)(np.resize(x, (20, form[0])))[:num_rows]
    np.testing.assert_allclose(found.gradients, g, rtol=1e-9, atol=1e-12)
    squares = (g**2).sum(axis=1) * background.var(axis=0)
    totals = squares.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        found.features, 100 * np.divide(squares, totals, out=0 * squares, where=totals > 0), rtol=1e-6
    )
    assert importances(g).shape == (form[0],)


# --- results and deaths -----------------------------------------------------------------------------------------------


@given(SEEDS, NETWORKS, st.integers(2, 40), CHANGES)
@examples(500)
def test_what_is_saved_comes_back(seed, form, num_rows, change):
    rng = np.random.default_rng(seed)
    model, x = with_weights(network(*form), rng), rows(rng, num_rows, form[0], few=True)
    look = ks.measure(model, x, definition=ks.Definition(change=change), batch_size=64)
    for original in (look, look.condensed()):
        original.save(path := f"{FOLDER}/look.npz")
        for other in (ks.Importance.load(path), pickle.loads(pickle.dumps(original))):
            pd.testing.assert_frame_equal(other.table, look.table, check_exact=True)
            pd.testing.assert_frame_equal(other.by_output, look.by_output, check_exact=True)


@functools.cache
def looks():
    """Looks at a linear model whose features have given shares."""
    model, x = network(3, 1, (), "tanh"), np.random.default_rng(0).normal(size=(30, 3))

    @functools.cache
    def look(shares):
        model.set_weights([np.array(shares, float)[:, None], np.zeros(1)])
        return ks.measure(model, x, definition=ks.PAPER)

    return look


@given(
    st.lists(st.tuples(*[st.sampled_from([0.001, 0.02, 0.1, 1.0])] * 3), min_size=1, max_size=25),
    st.integers(1, 4),
    st.sampled_from(["auto", 1.0, 30.0]),
)
@examples(800)
def test_deaths_and_revivals_alternate(shares, patience, threshold):
    monitor, record = ks.DeadFeatureMonitor(threshold=threshold, patience=patience), DeathRecord()
    for epoch, each in enumerate(shares):
        before, record = record, monitor.update(record, epoch, looks()(each))
        assert record.events[: len(before.events)] == before.events
    for name in ("x0", "x1", "x2"):
        told = [event.event for event in record.events if event.feature == name]
        assert told == ["died", "revived"] * (len(told) // 2) + ["died"] * (len(told) % 2)
        assert (len(told) % 2 == 1) == (name in record.dead)
    for event in record.events:
        assert (event.importance <= event.threshold) == (event.event == "died")
        assert event.event == "revived" or event.epoch >= patience - 1
