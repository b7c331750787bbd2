"""What a user does first, with the package as installed: `make package` runs this outside of the repository."""

import importlib.metadata
import importlib.resources
import pathlib
import re
import subprocess
import sys
import sysconfig
import tempfile

import keras
import numpy as np
import pandas as pd
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.base_plugin import TBContext
from werkzeug.test import Client

import keras_sensitivity as ks


def main() -> None:
    package = pathlib.Path(ks.__file__).parent
    assert package.is_relative_to(sysconfig.get_path("purelib")), f"this is not the installed package: {package}"
    assert importlib.metadata.version("keras_sensitivity") == ks.__version__
    description = importlib.metadata.metadata("keras_sensitivity")["Description"]
    assert "# keras_sensitivity" in description
    assert not re.search(r"\]\((?!https://)", description), "a link of the description leads to a file"
    assert importlib.resources.files(ks).joinpath("py.typed").is_file()

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.set_weights([np.array([[2.0], [1.0]]), np.zeros(1)])
    x = pd.DataFrame({"income": [0.0, 1.0] * 64, "age": [0.0, 6.0] * 64})
    importance = ks.measure(model, x)
    np.testing.assert_allclose(importance.features, [25, 75], rtol=1e-6)  # 2 * std 0.5 : 1 * std 3

    with tempfile.TemporaryDirectory() as folder:
        importance.plot().figure.savefig(f"{folder}/ranking.png")
        importance.save(f"{folder}/importance.npz")
        np.testing.assert_array_equal(ks.Importance.load(f"{folder}/importance.npz").features, importance.features)

        explanation = ks.explain(model, x[:3], background=x, log_dir=folder)
        np.testing.assert_allclose(explanation.features, [[10, 90]] * 3, rtol=1e-6)  # 1 : 3, squared
        assert explanation.plot().get_title().startswith("sample 0")

        model.compile("adam", "mse")
        watch = ks.SensitivityCallback(x, log_dir=folder)
        model.fit(x.to_numpy(), x["age"].to_numpy(), epochs=2, callbacks=[watch], verbose=0)
        assert watch.trajectory.shape == (2, 2)
        events = EventAccumulator(f"{folder}/sensitivity").Reload()
        assert {"importance/age", "importance/income"} <= set(events.Tags()["tensors"])

        # The command, as it is installed, makes a page, for which a style comes with the package.
        model.save(f"{folder}/model.keras")
        x.to_csv(f"{folder}/rows.csv", index=False)
        command = pathlib.Path(sysconfig.get_path("scripts"), "keras-sensitivity")
        asked = ["report", f"{folder}/model.keras", f"{folder}/rows.csv", "--out", f"{folder}/report.html"]
        done = subprocess.run([command, *asked], check=True, capture_output=True, text=True)
        assert done.stdout == ""
        assert "<h2>Ranking</h2>" in pathlib.Path(folder, "report.html").read_text(encoding="utf-8")

    # The tab in TensorBoard: found by its entry point, with the files that the browser loads.
    (tab,) = importlib.metadata.entry_points(group="tensorboard_plugins", name="sensitivity")
    (answers,) = tab.load()(TBContext(data_provider=None)).get_plugin_apps().values()
    for name in ("index.js", "app.js", "style.css"):
        assert Client(answers).get(f"/data/plugin/sensitivity/{name}").status_code == 200

    # Loads TensorBoard's server with all of its plugins, as the command does for the reader of the logs.
    tensorboard = pathlib.Path(sysconfig.get_path("scripts"), "tensorboard")
    subprocess.run([tensorboard, "--version"], check=True, stdout=subprocess.DEVNULL)
    names = ("tensorflow", "keras", "numpy", "pandas", "matplotlib", "tensorboard")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names)
    print(f"keras_sensitivity {ks.__version__} works on Python {sys.version.split()[0]} with {versions}.")


if __name__ == "__main__":
    main()
