"""What the page on agreement makes of shares that are known."""

import agreement_page
import numpy as np
import pandas as pd
import pytest

REAL, SAME, REVERSED = [70.0, 20.0, 10.0], [60.0, 30.0, 10.0], [10.0, 20.0, 70.0]


@pytest.fixture
def found():
    """Two seeds of a network: the paper's measure agrees at the first, and at the second it reverses the order."""
    rows = [
        ("wine", "relu", seed, measure, feature, share)
        for seed, of_paper in enumerate([SAME, REVERSED])
        for measure in agreement_page.MEASURES
        for feature, share in zip("cab", of_paper if measure == "paper" else REAL, strict=True)
    ]
    return pd.DataFrame(rows, columns=[*agreement_page.FIT, "measure", "feature", "share"])


def test_features_keep_their_order(found):
    assert agreement_page.shares_of(found).loc[("wine", "relu", 0)].index.tolist() == ["c", "a", "b"]


def test_ranks_and_distances(found):
    shares = agreement_page.shares_of(found)
    for measure in (agreement_page.REAL, agreement_page.LOSS):
        ranks = agreement_page.correlations(shares, measure)
        assert measure not in ranks
        np.testing.assert_allclose(ranks["paper"], [1, -1])
        np.testing.assert_allclose(ranks["std"], 1)
    gaps = agreement_page.distances(shares)
    np.testing.assert_allclose(gaps["paper"], [10, 60])
    np.testing.assert_allclose(gaps["std"], 0)


def test_what_was_not_measured_has_no_number(found):
    shares = agreement_page.shares_of(found).assign(SHAP=float("nan"))
    assert agreement_page.correlations(shares, agreement_page.REAL)["SHAP"].isna().all()
    gaps = agreement_page.distances(shares)
    cells = [agreement_page.over_seeds(gaps, how, 1).loc[("wine", "relu")] for how in ("mean", "max")]
    assert [(each["paper"], each["SHAP"]) for each in cells] == [("35.0", ""), ("60.0", "")]
