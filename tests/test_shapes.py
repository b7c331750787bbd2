"""Every shape of model goes in: measured, explained, watched in a fit, written to TensorBoard."""

import dataclasses

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import predictions
import pytest
import shapes
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import keras_sensitivity as ks


def _arrays(x):
    """Without the names of DataFrames, which no data set has."""
    if isinstance(x, dict):
        return {key: _arrays(part) for key, part in x.items()}
    if isinstance(x, (list, tuple)):
        return tuple(_arrays(part) for part in x)
    return x.to_numpy() if isinstance(x, pd.DataFrame) else x


@pytest.mark.parametrize("name", shapes.SHAPES)
@pytest.mark.sample(6)
def test_every_shape_of_model_goes_in(name, tmp_path):
    case = shapes.SHAPES[name]()
    squares = shapes.squares(case)
    q = {feature: np.sqrt(each.mean(axis=0)).mean() for feature, each in squares.items()}
    expected = {feature: 100 * value / sum(q.values()) for feature, value in q.items()}

    definition = dataclasses.replace(case.options.get("definition", ks.Definition()), scale="std")
    options = case.options | {"definition": definition}
    importance = ks.measure(case.model, case.x, **options)
    assert importance.features.to_dict() == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert list(importance.features.index) == list(expected)
    assert importance.num_samples == shapes.N

    # In small batches, out of a stream: the same, of real changes and of what goes with them.
    stream = tf.data.Dataset.from_tensor_slices((_arrays(case.x),)).batch(10)
    is_image = any(len(np.shape(part)) >= 4 for part in keras.tree.flatten(_arrays(case.x)))
    definition = dataclasses.replace(definition, scale="path", change="auto" if is_image else "swap")
    real = case.options | {"definition": definition, "batch_size": 7, "background": case.x}
    whole, again = (ks.measure(case.model, x, **real) for x in (case.x, stream))
    assert whole.features.sum() == pytest.approx(100)
    assert list(again.table["change"]) == list(whole.table["change"])
    np.testing.assert_allclose(again.features, whole.features, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(again.by_output, whole.by_output, rtol=1e-3, atol=1e-3)

    explanation = ks.explain(case.model, case.x, **case.options)
    local = np.stack([np.sqrt(each).mean(axis=1) ** 2 for each in squares.values()], axis=1)
    local = 100 * local / local.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(explanation.features, local, rtol=5e-3, atol=1e-2)
    predictions.assert_equal(explanation, predictions.of(case.model, case.x), importance.by_output.index)
    assert explanation.plot().get_title().startswith("sample 0")
    plt.close("all")

    case.model.compile("sgd", "mse")
    # Pictures take time, and are of few kinds.
    log_dir = tmp_path if any(word in name for word in ("image", "sequence", "names", "feature space")) else None
    watch = ks.SensitivityCallback(case.x, log_dir=log_dir, **options)
    outputs = keras.tree.map_structure(np.asarray, case.model.predict(case.x, verbose=0))
    case.model.optimizer.learning_rate = 0.0
    case.model.fit(case.x, outputs, epochs=1, callbacks=[watch], verbose=0)
    np.testing.assert_allclose(watch.importance.features, importance.features, rtol=1e-3, atol=1e-3)
    if log_dir is None:
        return
    events = EventAccumulator(str(tmp_path / "sensitivity"), size_guidance={"tensors": 0}).Reload()
    written = {tag for tag in events.Tags()["tensors"] if tag.startswith("importance/")}
    assert written == {f"importance/{feature}" for feature in importance.features.nlargest(20).index}
