"""What a model predicts, by the names that `measure` has for its units; written without the library."""

import keras
import numpy as np


def of(model, x):
    """Predictions of all heads beside each other, in the order in which `measure` names the units."""
    found = model.predict(x, verbose=0)
    if not isinstance(found, dict):
        parts = keras.tree.flatten(found)
        names = model.output_names if getattr(model, "output_names", None) and len(parts) > 1 else [""]
        found = dict(zip(names, parts, strict=True))
    units = {}
    for name, values in found.items():
        table = values.reshape(len(values), -1)
        prefix = "" if len(found) == 1 else name if table.shape[1] == 1 else f"{name}/"
        units |= {prefix if prefix == name and name else f"{prefix}{i}": column for i, column in enumerate(table.T)}
    return units


def assert_equal(explanation, expected, units):
    assert list(explanation.units) == list(units)
    assert sorted(units) == sorted(expected)
    together = np.stack([expected[unit] for unit in units], axis=1)
    assert together.std() > 0
    np.testing.assert_allclose(explanation.predictions, together, rtol=1e-4, atol=1e-5)
