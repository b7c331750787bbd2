"""Derivatives beside real changes: what the table says of them, and what is warned of."""

import keras
import numpy as np
import pandas as pd
import pytest
from functions import linear, network, table
from keras import layers, ops

import keras_sensitivity as ks

DERIVATIVE = ks.Definition(change="derivative")


def fitted(rng, definition, **options):
    """A fit in which nothing is learnt, of log(1 + money) + x + 3 yes, and what the callback found."""
    money, x, yes = np.exp(2 * rng.normal(size=2000)), rng.normal(size=2000), rng.random(2000) < 0.03
    rows = pd.DataFrame({"money": money, "x": x, "yes": yes.astype(float)})
    model = network(lambda money, x, yes: ops.log1p(money) + x + 3 * yes, 3)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    watch = ks.SensitivityCallback(rows, definition=definition, **options)
    model.fit(rows, x, epochs=2, verbose=0, callbacks=[watch])
    return watch


def test_at_the_end_of_a_fit_a_misleading_number_is_told(rng):
    with pytest.warns(UserWarning, match=r"far from those of real changes.*512 rows.*'money' \d\d\.\d %") as caught:
        watch = fitted(rng, ks.Definition(scale="std"))
    assert len([each for each in caught if "real changes" in str(each.message)]) == 1
    last = watch.importance.agreement
    assert last.loc["money", "differs"]
    real = ks.measure(watch.model, watch.x, definition=ks.Definition(change="swap")).features
    np.testing.assert_allclose(last["real_change"], real, atol=6)
    assert abs(last["importance"]["money"] - real["money"]) > 20
    assert watch.history[0].agreement is None  # only the last look is checked


def test_what_agrees_is_not_told(rng, recwarn):
    watch = fitted(rng, ks.Definition())
    assert not [each for each in recwarn if "real changes" in str(each.message)]
    last = watch.importance.agreement
    np.testing.assert_allclose(last["real_change"], last["importance"], atol=4)
    assert not last["differs"].any()
    assert watch.importance.table["caution"].to_dict() == {"money": "heavy tails", "x": "", "yes": ""}


def test_it_is_a_part_of_verbose(rng, capsys):
    x = table(rng, 1000)
    model = linear(np.ones((4, 1)))
    assert ks.measure(model, x).agreement is None
    found = ks.measure(model, x, verbose=1).agreement
    sizes = x.to_numpy().std(axis=0)
    np.testing.assert_allclose(found["real_change"], 100 * sizes / sizes.sum(), rtol=0.35)


def test_swapped_features_are_real_changes_already(rng):
    model, x = linear(np.ones((4, 1))), table(rng, 500)
    assert ks.measure(model, x, definition=ks.Definition(change="swap"), verbose=1).agreement is None


CAUTIONS = {
    "normal": (lambda rng, n: rng.normal(size=n), ""),
    "uniform": (lambda rng, n: rng.uniform(size=n), ""),
    "exponential": (lambda rng, n: rng.exponential(size=n), ""),
    "lognormal": (lambda rng, n: np.exp(2 * rng.normal(size=n)), "heavy tails"),
    "t2": (lambda rng, n: rng.standard_t(2, size=n), "heavy tails"),
    "an outlier": (lambda rng, n: np.where(np.arange(n) == 5, 1000.0, rng.normal(size=n)), "heavy tails"),
    "rare": (lambda rng, n: (rng.random(n) < 0.02).astype(float), "heavy tails, rare values"),
    "mostly zero": (lambda rng, n: np.where(rng.random(n) < 0.97, 0, rng.normal(size=n)), "heavy tails, rare values"),
    "half and half": (lambda rng, n: rng.integers(0, 2, n).astype(float), ""),
    "constant": (lambda rng, n: np.ones(n), ""),
}


@pytest.mark.parametrize("n", [500, 4000])
@pytest.mark.parametrize("name", CAUTIONS)
def test_columns_of_which_a_slope_tells_little_are_marked(name, n, rng):
    draw, expected = CAUTIONS[name]
    x = np.column_stack([draw(rng, n), rng.normal(size=n)])
    found = ks.measure(linear([[1.0], [1.0]]), x, definition=DERIVATIVE).table["caution"]
    assert found.to_list() == [expected, ""]


@pytest.mark.parametrize("definition", [ks.PAPER, ks.Definition(scale=np.ones(3))])
def test_numbers_in_other_units_are_not_compared(definition, rng, recwarn):
    assert fitted(rng, definition).importance.agreement is None
    assert not [each for each in recwarn if "real changes" in str(each.message)]


def test_sequences_are_not_compared(rng):
    sequence = keras.Input((3, 2))
    model = keras.Model(sequence, layers.Dense(1)(layers.SimpleRNN(2)(sequence)))
    found = ks.measure(model, rng.normal(size=(200, 3, 2)), verbose=1)
    assert found.agreement is None


@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize("num_columns", [2, 90])
def test_at_the_most_64_features_are_compared(num_columns, batch_size, rng):
    x = rng.normal(size=(400, num_columns))
    found = ks.measure(linear(np.linspace(1, 2, num_columns)[:, None]), x, batch_size=batch_size, verbose=1).agreement
    if batch_size == 7 and num_columns == 90:  # it would take too many passes
        assert found is None
    else:
        compared = found["real_change"].notna()
        assert compared.sum() == min(64, num_columns)
        np.testing.assert_allclose(found["real_change"][compared], found["importance"][compared], rtol=0.35)


def test_looks_with_and_without_a_check_merge(rng):
    x, model = rng.normal(size=(400, 2)), linear([[1.0], [2.0]])
    merged = ks.measure(model, x[:200], verbose=1).merge(ks.measure(model, x[200:]))
    assert merged.num_samples == 400
    assert merged.agreement is None


def test_the_check_changes_no_weight_and_traces_nothing(rng):
    calls = []

    class Counting(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, x):
            calls.append(1)
            return self.dense(x)

    model = Counting()
    x = rng.normal(size=(300, 3))
    model(x[:1])
    ks.measure(model, x)
    calls.clear()
    ks.measure(model, x, verbose=1)
    assert calls == []


def test_the_noise_of_probes_is_no_change(rng):
    """Of probes that weigh twice as much as the features, the check sees nothing."""
    x = rng.normal(size=(400, 2))
    inputs = keras.Input((2,))
    noisy = ks.NoiseProbes(2)(inputs)
    model = keras.Model(inputs, noisy @ np.array([[1.0], [2.0], [4.0], [4.0]], "float32"))
    np.testing.assert_allclose(ks.measure(model, x, verbose=1).agreement["real_change"], [33.3, 66.7], atol=6)
