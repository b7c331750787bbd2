"""A look is an open mapping: whatever moments stand in it are merged and written by name."""

import dataclasses

import numpy as np
import pytest

from keras_sensitivity import moments
from keras_sensitivity.look import Look
from keras_sensitivity.moments import Count, CrossMoments, Moments


def look(values):
    table = {"columns": Moments.empty((3,)).update(values), "products": CrossMoments.empty(3).update(values)}
    return Look({**table, "rows": Count(len(values))})


def numbers(one):
    return one.arrays()


def test_looks_at_parts_merge_to_the_look_at_all(rng):
    values = rng.normal(size=(50, 3))
    whole, merged = numbers(look(values)), numbers(look(values[:20]).merge(look(values[20:])))
    assert whole.keys() == merged.keys()
    assert len(whole) == 8
    for name, array in whole.items():
        np.testing.assert_allclose(merged[name], array, rtol=1e-10, atol=1e-12)


def test_arrays_hold_all_and_give_it_back(rng):
    one = look(rng.normal(size=(5, 3)))
    again = Look.from_arrays(one.arrays())
    assert list(again) == list(one)
    for name in one:
        assert type(again[name]) is type(one[name])
    for name, array in one.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], array)
    with pytest.raises(KeyError):
        Look.from_arrays({name: array for name, array in one.arrays().items() if name != "columns/Moments/mean"})


def test_a_new_statistic_needs_no_change_here(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Largest:
        value: float

        def merge(self, other):
            return Largest(max(self.value, other.value))

    monkeypatch.setitem(moments.KINDS, "Largest", Largest)
    merged = Look({"largest": Largest(1.0)}).merge(Look({"largest": Largest(3.0)}))
    assert Look.from_arrays(merged.arrays())["largest"].value == 3.0
