"""The brute force that public models are compared with has the closed forms; the page says what was found."""

import keras
import numpy as np
import pandas as pd
import public_models
import public_models_page
import pytest
from keras import layers
from models import CASES, KINDS
from models.brute_force import shares, slopes, variables

ROWS = 6


def linear(*shape, weights):
    """A model of rows of this shape that is the sum of its entries times these weights."""
    model = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(1)])
    model.set_weights([np.asarray(weights, "float32").reshape(-1, 1), np.zeros(1)])
    return model


def test_brute_force_of_a_linear_model(rng):
    weights = np.array([3.0, -1.0, 0.0])
    x = (rng.normal(size=(ROWS, 3)) * [1, 5, 1]).astype("float32")
    found = variables(linear(3, weights=weights), x, mode="static", codes={})
    assert shares(found, scaled=False).lags is None
    np.testing.assert_allclose(slopes(found)[0], np.tile(weights, (ROWS, 1, 1)), rtol=1e-6)
    np.testing.assert_allclose(shares(found, scaled=False).features, [75, 25, 0], rtol=1e-6)
    np.testing.assert_allclose(shares(found, scaled=False, power=2).features, [90, 10, 0], rtol=1e-6)
    sizes = abs(weights) * x.std(axis=0)
    np.testing.assert_allclose(shares(found, scaled=True).features, 100 * sizes / sizes.sum(), rtol=1e-5)


def test_brute_force_of_a_sequence(rng):
    weights = np.array([[0.0, 0.0], [6.0, 0.0], [1.0, 3.0]])  # steps by features; the last step is lag 0
    x = rng.normal(size=(ROWS, 3, 2)).astype("float32")
    found = shares(variables(linear(3, 2, weights=weights), x, mode="many-to-one", codes={}), scaled=False)
    np.testing.assert_allclose(found.features, [70, 30], rtol=1e-6)
    np.testing.assert_allclose(found.lags, [40, 60, 0], rtol=1e-6)


def test_lags_count_back_from_the_last_valid_step(rng):
    weights = np.array([[2.0], [6.0], [0.0]])
    mask = np.array([[True, True, False]] * ROWS)
    x = rng.normal(size=(ROWS, 3, 1)).astype("float32")
    found = variables(linear(3, 1, weights=weights), x, mode="many-to-one", codes={}, mask=mask)
    np.testing.assert_allclose(shares(found, scaled=True).lags, [75, 25, 0], rtol=1e-6)


def test_brute_force_at_the_same_step(rng):
    model = keras.Sequential([keras.Input((4, 2)), layers.Conv1D(1, 2, padding="causal", use_bias=False)])
    model.set_weights([np.array([[[0.0], [9.0]], [[3.0], [1.0]]])])  # the step before; the same step
    x = rng.normal(size=(ROWS, 4, 2)).astype("float32")
    found = shares(variables(model, x, mode="many-to-many", codes={}), scaled=False)
    np.testing.assert_allclose(found.features, [75, 25], rtol=1e-6)
    np.testing.assert_allclose(found.lags, [100 * 4 / 13, 100 * 9 / 13, 0, 0], rtol=1e-6)


def test_brute_force_of_codes():
    embedding = layers.Embedding(3, 2, name="vectors")
    model = keras.Sequential([keras.Input((2,), dtype="int32"), embedding, layers.Flatten(), layers.Dense(1)])
    embedding.set_weights([np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])])
    model.layers[-1].set_weights([np.array([[3.0], [4.0], [5.0], [12.0]]), np.zeros(1)])
    x = np.array([[0, 0], [1, 1], [2, 2]], "int32")
    found = variables(model, x, mode="static", codes={"": ["vectors"]})
    np.testing.assert_allclose(shares(found, scaled=False).features, [100 * 5 / 18, 100 * 13 / 18], rtol=1e-6)
    np.testing.assert_allclose(slopes(found)[0], [[[5, 13]]] * 3, rtol=1e-6)
    assert "call" not in vars(embedding)


def test_rows_that_depend_on_each_other_are_told(rng):
    model = keras.Sequential(
        [keras.Input((2,)), layers.Lambda(lambda x: x - keras.ops.mean(x, axis=0)), layers.Dense(1)]
    )
    with pytest.raises(ValueError, match="with respect to other rows"):
        variables(model, rng.normal(size=(ROWS, 2)).astype("float32"), mode="static", codes={})


def test_every_model_has_a_name_of_its_own():
    assert len(CASES) == sum(map(len, KINDS.values())) >= 60
    assert len({public_models.file_of(name, public_models.pathlib.Path()) for name in CASES}) == len(CASES)


@pytest.fixture
def table():
    measured = {
        "kind": "Tables",
        "source": "a page",
        "features": 8,
        "units": 1,
        "ratio": 2.5,
        "tolerance": 0.01,
        "refused": "",
    }
    rows = [
        {
            "model": "good",
            "bit-identical": "yes",
            "shares": 2e-6,
            "derivatives": 3e-4,
            "warnings": "Some are far: 'a' 3 %. So. | Few rows.",
        },
        {"model": "wrong", "bit-identical": "no", "shares": 0.2, "derivatives": np.nan, "warnings": ""},
        {"model": "refused", "kind": "Texts", "refused": "ValueError: No path. Expected: a path Received: none"},
    ]
    return pd.DataFrame([measured | row for row in rows])


def test_the_page_counts_what_was_found(table):
    section = " ".join(public_models_page.section(table).split())
    assert "3 models: 2 are measured, and 1 refused." in section
    assert "1 are trained to the same bits" in section
    assert "1 have the numbers of brute force" in section
    assert section.index("### Tables") < section.index("### Texts")


def test_the_page_says_what_is_wrong(table):
    good, wrong, refused = (public_models_page.cells(row) for _, row in table.iterrows())
    assert good == {
        "described by": "a page",
        "features": "8",
        "units": "1",
        "same bits": "yes",
        "shares": "2e-06",
        "derivatives": "3e-04",
        "time": "2.5",
        "remark": "Some are far; Few rows.",
    }
    assert (wrong["same bits"], wrong["shares"], wrong["derivatives"]) == ("**no**", "**2e-01**", "**nan**")
    assert (refused["shares"], refused["remark"]) == ("", "refused: No path.")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Fuel efficiency", "Wide and deep", "Masked LSTM", "Character RNN", "U-Net"])
def test_the_study_in_small(name):
    row = public_models.outcome(CASES[name])
    assert row.get("refused") is None
    assert max(float(row["shares"]), float(row["derivatives"])) < row["tolerance"]
