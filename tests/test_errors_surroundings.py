"""Another Keras backend, folders that cannot be written, packages that are loaded late."""

import os
import pathlib
import subprocess
import sys

import keras
import pytest
import zoo

import keras_sensitivity as ks

GOOD = zoo.rows(20)
ROOT = pathlib.Path(__file__).parent.parent


def in_a_process(code, **environment):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"} | environment
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("blocked", ["a file", "below a file"])
def test_a_log_dir_that_cannot_be_written(tmp_path, blocked):
    (tmp_path / "taken").write_text("")
    log_dir = tmp_path / "taken" / ("" if blocked == "a file" else "logs")
    model = zoo.build("linear")
    model.compile("sgd", "mse")
    with pytest.raises(OSError, match=r"`log_dir` cannot be written.\n  Expected: a folder.*\n  Received: .*taken"):
        model.fit(GOOD, GOOD[:, 0], callbacks=[ks.SensitivityCallback(GOOD, log_dir=log_dir)], verbose=0)
    assert model.optimizer.iterations == 0


def test_another_backend_says_what_to_set(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    model = zoo.build("linear")
    watch = ks.SensitivityCallback(GOOD)
    watch.set_model(model)
    for use in (lambda: ks.measure(model, GOOD), watch.on_train_begin):
        with pytest.raises(RuntimeError) as raised:
            use()
        happened, expected, received, fix = str(raised.value).splitlines()
        assert happened == "keras_sensitivity cannot differentiate on the Keras backend 'jax'."
        assert "'tensorflow'" in expected
        assert "== 'jax'" in received
        assert "set the environment variable KERAS_BACKEND=tensorflow before keras is imported" in fix


def test_another_backend_can_be_imported():
    pytest.importorskip("jax")
    code = """
import keras, numpy as np, keras_sensitivity as ks
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
try:
    model.fit(np.ones((3, 2)), np.ones(3), verbose=0, callbacks=[ks.SensitivityCallback(np.ones((3, 2)))])
except RuntimeError as error:
    print(error)
"""
    done = in_a_process(code, KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stderr
    assert "cannot differentiate on the Keras backend 'jax'" in done.stdout


def test_without_tensorflow_the_import_says_what_to_install():
    done = in_a_process("import sys; sys.modules['tensorflow'] = None; import keras_sensitivity")
    assert done.returncode == 1
    *_, happened, expected, received, fix = done.stderr.splitlines()
    assert happened == "ImportError: keras_sensitivity needs TensorFlow, and there is none."
    assert all(build in expected for build in ("tensorflow", "tensorflow-cpu", "tf-nightly"))
    assert sys.executable in received
    assert 'pip install "keras_sensitivity[tensorflow]"' in fix


def test_import_warns_of_nothing_and_loads_nothing_that_is_not_needed():
    code = """
import sys, keras, pandas, tensorflow  # Keras itself loads matplotlib and scikit-learn, where there are any
others = ("matplotlib", "tensorboard", "ray", "sklearn", "xgboost", "lightgbm", "torch")
for name in [name for name in sys.modules if name.startswith(others)]:
    del sys.modules[name]
import keras_sensitivity
print([name for name in sys.modules if name.partition(".")[0] in others])
"""
    done = in_a_process(code, PYTHONWARNINGS="error")
    assert done.stdout.strip() == "[]", done.stderr
