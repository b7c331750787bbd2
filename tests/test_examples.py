"""The examples find what the paper has; `make examples` runs them as scripts."""

import json
import re

import _datasets
import agreement
import agreement_page
import credit_default
import dead_features
import death_rates
import death_rates_page
import digits
import keras
import mixed_inputs
import numpy as np
import pandas as pd
import pytest
import seeds
import selection_rates
import selection_rates_page
import simulation

import keras_sensitivity as ks

pytestmark = pytest.mark.slow


def test_the_papers_simulation():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x, y = simulation.simulate(rng, simulation.TRAIN_ROWS)
    x_test, y_test = simulation.simulate(rng, simulation.TEST_ROWS)
    assert len(x) == 8500
    model = simulation.network()
    watch = simulation.train(model, x, y)
    np.testing.assert_allclose(simulation.exact_importances(), [14.873, 17.042, 45.239, 22.620, 0.226], atol=1e-3)
    assert model.evaluate(x_test, y_test, batch_size=1500, verbose=0) <= 1.3e-2
    assert simulation.comparison(watch.importance)["difference"].abs().max() <= 1
    assert watch.events[["feature", "event"]].to_numpy().tolist() == [["X5", "died"]]


@pytest.mark.skipif(_datasets._find(_datasets.CREDIT_FILE) is None, reason="no credit data on this machine")
def test_credit_default():
    keras.utils.set_random_seed(0)
    x, y, x_test, y_test = credit_default.load()
    assert (len(x), len(x_test)) == (25_000, 5_000)
    model = credit_default.network(x.shape[1])
    watch = credit_default.train(model, x, y)
    assert credit_default.error_rate(model, x_test, y_test) <= 18.7
    ranks = watch.importance.table["rank"]
    assert ranks["PAY_0"] == 1
    assert ranks[["PAY_AMT1", "PAY_AMT2", "LIMIT_BAL"]].max() <= 8


def test_dead_features(rng, tmp_path):
    x, y = dead_features.simulate(rng, 3000)
    np.testing.assert_allclose([*x.mean(), y.mean()], 0, atol=0.1)
    np.testing.assert_allclose([*x.std(), y.std()], 1, atol=0.05)
    keras.utils.set_random_seed(0)
    model, watch, _ = dead_features.train(x, y, (x, y), epochs=25)
    assert watch.dead_features == dead_features.IRRELEVANT
    assert dead_features.error(model, x, y) < 10
    dead_features.draw({"one": watch, "two": watch}, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_the_study_of_dead_features_in_small(monkeypatch, tmp_path):
    monkeypatch.setattr(death_rates, "TEST_ROWS", 256)
    monkeypatch.setattr(death_rates, "EPOCHS", {512: 8})
    kinds = ("paper", "tanh", 0.0), ("sequence", "relu", 0.003)
    cases = [death_rates.Case(name, 512, activation, "small", l2, 0) for name, activation, l2 in kinds]
    rows = []
    for case in cases:
        death_rates.fit_and_keep(case, tmp_path)
        rows += death_rates.rows_of(case, json.loads(death_rates.file_of(case, tmp_path).read_text()))
    assert [row["rule"] for row in rows[:4]] == list(death_rates_page.RULES)
    rows[0] |= {"dead": "x5:3 x6:4 x0:5", "redundant": "x0", "for_a_while": "x1"}
    table = pd.DataFrame(rows)
    table = pd.concat([table, pd.DataFrame(map(death_rates_page.counted, rows))], axis=1)
    first = table.iloc[0]
    assert (first["irrelevant"], first["useful"]) == (3, 4)  # x4 counts as neither
    assert (first["looks"], first["false"], first["while"]) == ({"x5": 3, "x6": 4}, {"x0"}, {"x1"})
    assert death_rates_page.scores(table.iloc[:1]) == {
        "irrelevant, reported at the end": "66.7 %",
        "looks until then: median, 80 %": "4, 4",
        "useful, dead at the end": "25.0 % (1 of 4)",
        "useful, dead for a while": "25.0 %",
    }
    assert "All 2 networks" in death_rates_page.section(table)


def test_the_data_of_the_published_benchmark_are_those_of_its_formulas():
    for data, count in selection_rates.TRUE_FEATURES.items():
        x, y, matter = selection_rates.draw(selection_rates.Case(data, 16, 0))
        assert x.shape == (1000, 16)
        assert abs(y.mean() - 0.5) < 0.06  # their constants balance the classes
        assert len(matter) == count
        assert set(selection_rates_page.PUBLISHED[data]) == set(selection_rates.NUM_FEATURES)
        others = [column for column in range(16) if f"x{column}" not in matter]
        assert max(abs(np.corrcoef(x[:, column], y)[0, 1]) for column in others) < 0.15


def test_seeds(rng, tmp_path):
    x, y = seeds.simulate(rng)
    np.testing.assert_allclose([*x.mean(), *x.std() - 1], 0, atol=0.05)
    models = [seeds.train(x, y, seed=seed) for seed in range(3)]
    alone, together = (
        ks.compare([ks.measure(model, x, groups=groups) for model in models]) for groups in (None, seeds.GROUPS)
    )
    twins = alone.spread.loc[seeds.GROUPS["income and salary"]]
    assert (twins["std"] > 10 * twins["standard_error"]).all()
    assert twins["std"].min() > together.spread["std"].max()
    seeds.draw(alone, together, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_the_study_of_agreement_in_small(monkeypatch):
    monkeypatch.setattr(agreement, "FUNCTION_ROWS", 4000)
    monkeypatch.setattr(agreement, "EPOCHS", 2)
    case = agreement.exact_case("money / 50 + x")
    np.testing.assert_allclose(case.data.y[:, 0], case.data.x["money"] / 50 + case.data.x["x"], atol=1e-5)
    effects = case.data.x.std() / [50, 1]
    assert effects["money"] < 0.9 * effects["x"]
    shares = agreement.measures(case)
    for name in ["real changes", "default", "path", "std", "permutation"]:  # the function is linear
        np.testing.assert_allclose(shares[name], 100 * effects / effects.sum(), atol=2, err_msg=name)
    np.testing.assert_allclose(shares["paper"], [100 / 51, 5000 / 51], rtol=1e-4)
    cases = [*agreement.networks("wine", 1), case]
    table = pd.concat([agreement.rows(case) for case in cases])
    np.testing.assert_allclose(table.groupby([*agreement_page.FIT, "measure"])["share"].sum(), 100, rtol=1e-6)
    section = agreement_page.section(table)
    assert re.search(r"^\| wine, relu, logits +\|.*\| +\|$", section, flags=re.MULTILINE)  # no SHAP there
    assert re.search(r"^\| money / 50 \+ x, money +\|.*\| +2.0 \|", section, flags=re.MULTILINE)


def test_digits():
    keras.utils.set_random_seed(0)
    x, x_test, y, y_test = digits.load()
    model = digits.network()
    watch = digits.train(model, x, y, epochs=3, log_dir=None)
    assert model.evaluate(x_test, y_test, verbose=0)[1] > 0.9
    pixels = watch.importance.map[..., 0]
    border = pixels[:, [0, 7]].sum()
    assert border < 15  # the first and last column are nearly always empty
    explanation = ks.explain(model, x_test[digits.one_of_each(y_test)], definition=digits.DEFINITION)
    assert digits.picture(watch.importance, explanation).axes


@pytest.mark.skipif(_datasets._find(_datasets.BIKE_FILE) is None, reason="no bike data on this machine")
def test_mixed_inputs():
    keras.utils.set_random_seed(0)
    columns, y = mixed_inputs.load()
    rows = np.random.default_rng(0).permutation(len(y))[:6000]
    model, watch = mixed_inputs.train(mixed_inputs.take(columns, rows), y[rows], epochs=4, log_dir=None)
    assert set(watch.trajectory.columns) == {"calendar", "hour", "humidity", "temperature", "weather", "wind"}
    assert watch.importance.features.idxmax() == "hour"
    alone = ks.measure(model, mixed_inputs.take(columns, rows), num_samples=1000)
    assert {"season", "weekday", "holiday"} < set(alone.features.index)
