"""What the tab in TensorBoard gets from its backend, read through TensorBoard's own data provider."""

import importlib.metadata
import json
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
import zoo
from tensorboard.backend.event_processing.data_ingester import LocalDataIngester
from tensorboard.plugins import base_plugin
from werkzeug.test import Client

import keras_sensitivity as ks
from keras_sensitivity.records.looks import LookWriter
from keras_sensitivity_tab import SensitivityPlugin

FLAGS = {
    "logdir": "", "logdir_spec": "", "generic_data": "auto", "samples_per_plugin": {}, "window_title": "",
    "max_reload_threads": 1, "reload_interval": 0, "reload_task": "blocking", "purge_orphaned_data": True,
    "reload_multifile": None, "reload_multifile_inactive_secs": 86400, "detect_file_replacement": None,
}  # fmt: skip


def asked(folder):
    """A function that asks a backend of these files: a path, arguments; JSON with arrays in place of their table."""
    ingester = LocalDataIngester(types.SimpleNamespace(**{**FLAGS, "logdir": str(folder)}))
    ingester.start()
    plugin = SensitivityPlugin(base_plugin.TBContext(data_provider=ingester.data_provider))
    (answers,) = plugin.get_plugin_apps().values()

    def ask(path, status=200, **arguments):
        answer = Client(answers).get(f"/data/plugin/sensitivity{path}", query_string=arguments)
        assert answer.status_code == status
        return unpacked(answer.data)

    return ask


def unpacked(data):
    length = int.from_bytes(data[:4], "little")
    described = json.loads(data[4 : 4 + length])
    for name, table in described.pop("arrays").items():
        kind, start = np.dtype(table["type"]), 4 + length + table["offset"]
        assert start % kind.itemsize == 0
        values = np.frombuffer(data, kind, int(np.prod(table["shape"])), start)
        described[name] = values.reshape(table["shape"])
    return described


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    """A fit to a table whose fifth column is constant, one to sequences, and an explanation."""
    folder = tmp_path_factory.mktemp("logs")
    x = zoo.rows()
    x[:, 4] = 1
    model = keras.Sequential([keras.Input((5,)), ks.NoiseProbes(), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    names = ["<img src=x onerror=alert(1)>", "a/b", 'say "x"', "😀", "e" * 300]
    table = ks.SensitivityCallback(x, feature_names=names, log_dir=folder / "table")
    model.fit(x, x[:, :2], epochs=25, callbacks=[table], verbose=0)
    ks.explain(model, x[:3], background=x, feature_names=names, log_dir=folder / "table")
    steps = zoo.rows().reshape(-1, 5, 1)
    model = keras.Sequential([keras.Input((5, 1)), keras.layers.LSTM(3), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    sequences = ks.SensitivityCallback(steps, log_dir=folder / "sequences")
    model.fit(steps, steps[:, -1, 0], epochs=2, callbacks=[sequences], verbose=0)
    return folder, table, sequences


def test_it_is_found_by_its_entry_point():
    (found,) = importlib.metadata.entry_points(group="tensorboard_plugins", name="sensitivity")
    assert found.load() is SensitivityPlugin


def test_runs_and_what_there_is(logs):
    folder, table, _ = logs
    found = {each["run"]: each for each in asked(folder)("/runs")["runs"]}
    kinds = {run: (each["looks"], each["explanation"]) for run, each in found.items()}
    assert kinds == {
        "sequences/sensitivity": (True, False), "table/explanations": (False, True), "table/sensitivity": (True, False),
    }  # fmt: skip
    assert found["table/sensitivity"]["features"] == list(table.importance.features.index)


def test_every_look_is_there_with_every_number(logs):
    folder, table, sequences = logs
    for watch, run in ((table, "table/sensitivity"), (sequences, "sequences/sensitivity")):
        found = asked(folder)("/run", run=run)
        assert found["features"] == list(watch.trajectory.columns)
        assert found["epochs"] == list(watch.trajectory.index)
        np.testing.assert_array_equal(found["importance"], watch.trajectory)
        np.testing.assert_allclose(found["standard_error"][-1], watch.importance.standard_errors, rtol=1e-6)
        assert len(found["events"]) == len(watch.events)
    np.testing.assert_allclose(found["lags"], sequences.lag_trajectory, rtol=1e-6)
    assert found["in_looks"] == ["by_lag"]
    look = asked(folder)("/look", run=run, epoch=1)
    np.testing.assert_allclose(look["by_lag"], sequences.importance.by_lag, rtol=1e-6)


def test_noise_events_and_threshold(logs):
    folder, table, _ = logs
    found = asked(folder)("/run", run="table/sensitivity")
    np.testing.assert_allclose(found["scalars"]["noise/level"], table.noise_level)
    events = table.events.to_dict("records")
    assert [(each["epoch"], each["feature"], each["reason"]) for each in found["events"]] == [
        (each["epoch"], each["feature"], each["reason"]) for each in events
    ]
    assert any(each["feature"] == "e" * 300 for each in found["events"])


def test_explanations(logs):
    folder, *_ = logs
    found = asked(folder)("/explanation", run="table/explanations")
    assert found["share"].shape == (3, 5)
    np.testing.assert_allclose(found["share"].sum(axis=1), 100, rtol=1e-5)
    assert found["prediction"].shape == (3, 2)
    assert found["samples"] == ["0", "1", "2"]


def test_what_is_not_there_is_told(logs):
    folder, *_ = logs
    ask = asked(folder)
    run = {"run": "table/sensitivity"}
    for path, arguments in {"/run": {"run": "nobody"}, "/look": {**run, "epoch": "99"}, "/explanation": run}.items():
        assert arguments["run"] in ask(path, status=404, **arguments)["error"]
    assert "error" in ask("/run", status=404)


def test_an_empty_folder_has_no_runs(tmp_path):
    assert asked(tmp_path)("/runs") == {"runs": []}


@pytest.fixture
def importance(rng):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    return ks.measure(model, rng.normal(size=(30, 6)))


def write(folder, importance, epochs):
    writer = LookWriter(folder)
    for epoch in epochs:
        writer.write(importance, epoch, {"importance_shift": 1.0 + epoch})
    writer.close()


def test_of_500_looks_none_is_missing(importance, tmp_path):
    write(tmp_path, importance, range(500))
    found = asked(tmp_path)("/run", run="sensitivity")
    assert found["epochs"] == list(range(500))
    assert found["scalars"]["importance_shift"] == [1.0 + epoch for epoch in range(500)]


@pytest.mark.slow
def test_of_a_loop_of_fits_no_look_is_missing(importance, tmp_path):
    for epoch in range(40):
        write(tmp_path, importance, [epoch])
    assert asked(tmp_path)("/run", run="sensitivity")["epochs"] == list(range(40))


def test_a_fit_that_goes_on_takes_the_place_of_looks(importance, tmp_path):
    write(tmp_path, importance, range(30))
    write(tmp_path, importance, range(12, 20))
    assert asked(tmp_path)("/run", run="sensitivity")["epochs"] == list(range(20))


def test_what_is_torn_is_told_or_left_out(importance, tmp_path):
    write(tmp_path, importance, range(5))
    (path,) = (tmp_path / "sensitivity").iterdir()
    path.write_bytes(path.read_bytes()[:-700])
    assert asked(tmp_path)("/run", run="sensitivity")["epochs"] == list(range(5))


@pytest.mark.parametrize("strings", [[b"no json"], [], [b'{"scalars": {}, "events": []}', b"12"]])
def test_what_is_no_record_is_told(strings, importance, tmp_path, monkeypatch):
    from keras_sensitivity.records.record import Record

    monkeypatch.setattr(Record, "encoded", lambda self: strings)
    write(tmp_path, importance, range(2))
    ask = asked(tmp_path)
    assert "cannot be read" in ask("/run", status=422, run="sensitivity")["error"]
    assert ask("/runs")["runs"][0]["run"] == "sensitivity"


def test_static_files_are_answered_as_what_they_are():
    client = browser()
    for path, kind in {"/index.js": "text/javascript", "/style.css": "text/css"}.items():
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.content_type.startswith(kind)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/backend.py", "/..%2fbackend.py", "/../backend.py", "/", "/static", "/nothing.js"])
def test_nothing_else_is_answered(path):
    assert browser().get(path).status_code == 404


def browser():
    """A client of the plugin, without data."""
    (answers,) = SensitivityPlugin(base_plugin.TBContext(data_provider=None)).get_plugin_apps().values()
    return Client(answers)


def test_tensorboard_starts_where_the_package_cannot_be_imported(monkeypatch):
    client = browser()
    monkeypatch.setitem(sys.modules, "keras_sensitivity.tensorboard_plugin.backend", None)
    answer = client.get("/index.js")
    assert answer.content_type.startswith("text/javascript")
    assert "keras_sensitivity cannot be imported where TensorBoard runs" in answer.text


def test_finding_the_plugin_imports_neither_tensorflow_nor_the_package():
    code = "import sys, keras_sensitivity_tab; print(*{'tensorflow', 'keras', 'keras_sensitivity'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""
