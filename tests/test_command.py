"""The command: what it prints and writes is what the functions say, and what it cannot do it says in one line."""

import json
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

import keras_sensitivity as ks
from keras_sensitivity.command import main

ROOT = pathlib.Path(__file__).parent.parent
COLUMNS = ["income", "age", "debt"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Models and rows of several kinds, each in a file."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(60, 3)) * [1, 2, 1], columns=COLUMNS).assign(price=1.0)
    rows.to_csv(folder / "rows.csv", index=False)
    rows[:30].to_csv(folder / "young.csv", index=False)
    rows[30:].to_csv(folder / "old.csv", index=False)
    rows.to_csv(folder / "semicolons.csv", index=False, sep=";")
    rows.to_csv(folder / "rows.tsv", index=False, sep="\t")
    rows.to_csv(folder / "packed.csv.gz", index=False)
    rows.assign(debt="much").to_csv(folder / "words.csv", index=False)
    rows.rename(columns={"debt": "debts"}).to_csv(folder / "renamed.csv", index=False)
    np.save(folder / "rows.npy", rows[COLUMNS].to_numpy())
    np.savez(folder / "rows.npz", x=rows[COLUMNS].to_numpy(), price=rows["price"].to_numpy())
    np.savez(folder / "named.npz", income=rows[["income"]], others=rows[["age", "debt"]])
    np.savez(folder / "steps.npz", rng.normal(size=(20, 4, 2)))
    (folder / "damaged.npz").write_bytes(b"PK no archive")
    (folder / "damaged.keras").write_bytes(b"no model")
    (folder / "rows.xyz").write_text("1")

    table = keras.Sequential([keras.Input((3,)), layers.Dense(1)], name="table")
    table.set_weights([np.array([[3.0], [1.0], [-1.0]]), np.zeros(1)])
    table.save(folder / "table.keras")
    table.set_weights([np.array([[1.0], [1.0], [1.0]]), np.zeros(1)])
    table.save(folder / "other.keras")
    inputs = {"income": keras.Input((1,), name="income"), "others": keras.Input((2,), name="others")}
    joined = layers.Concatenate()([inputs["income"], inputs["others"]])
    keras.Model(inputs, layers.Dense(2, "softmax", name="risk")(joined)).save(folder / "named.keras")
    columns = {name: keras.Input((1,), name=name) for name in COLUMNS}
    keras.Model(columns, layers.Dense(1)(layers.Concatenate()(list(columns.values())))).save(folder / "columns.keras")
    keras.Sequential([keras.Input((4, 2)), layers.Flatten(), layers.Dense(1)]).save(folder / "steps.keras")
    return folder


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Runs the command in that folder; returns its exit code, its output, and the lines of standard error."""
    monkeypatch.chdir(folder)

    def run(*arguments):
        code = main(list(arguments))
        printed = capsys.readouterr()
        return code, printed.out, printed.err.splitlines()

    return run


def importance(folder, model="table.keras", **options):
    rows = pd.read_csv(folder / "rows.csv")[COLUMNS]
    return ks.measure(keras.saving.load_model(folder / model, compile=False), rows, **options)


@pytest.mark.parametrize("rows", ["rows.csv", "rows.tsv", "packed.csv.gz", "rows.npz"])
def test_it_measures_what_measure_does(run, folder, rows):
    code, _, told = run("measure", "table.keras", rows, "--target", "price", "--out", "out.csv")
    assert (code, told) == (0, [])
    written = pd.read_csv("out.csv", index_col="feature", keep_default_na=False)
    expected = importance(folder).table
    np.testing.assert_allclose(written["importance"], expected["importance"], rtol=1e-6)
    np.testing.assert_allclose(written["standard_error"], expected["standard_error"], rtol=1e-6)
    assert list(written.index) == (["x0", "x1", "x2"] if rows == "rows.npz" else COLUMNS)


def test_rows_may_have_weights_and_a_background(run, folder):
    rows = pd.read_csv(folder / "rows.csv")
    weights = np.arange(60.0) % 3
    rows.assign(count=weights).to_csv("weighted.csv", index=False)
    options = ["--target", "price", "--scale", "std", "--out", "out.csv"]
    asked = {"definition": ks.Definition(scale="std")}
    assert run("measure", "table.keras", "weighted.csv", *options, "--weight", "count")[0] == 0
    expected = importance(folder, sample_weight=weights, **asked).features
    assert not np.allclose(expected, importance(folder, **asked).features, rtol=1e-2)
    np.testing.assert_allclose(pd.read_csv("out.csv")["importance"], expected, rtol=1e-6)
    assert run("measure", "table.keras", "old.csv", *options, "--background", "rows.csv")[0] == 0
    np.testing.assert_allclose(pd.read_csv("out.csv")["importance"], importance(folder, **asked).features, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (["--definition", "paper"], {"definition": ks.PAPER}),
        (["--definition", "paper", "--scale", "std"], {"definition": ks.Definition(lags="current", scale="std")}),
        (["--scale", "none", "--output", "0"], {"definition": ks.Definition(scale=None, output=0)}),
        (["--change", "swap"], {"definition": ks.Definition(change="swap")}),
        (["--num-samples", "20"], {"num_samples": 20}),
        (["--group", "money=income,debt"], {"groups": {"money": ["income", "debt"]}}),
        (["--feature-names", "a,b,c"], {"feature_names": ["a", "b", "c"]}),
    ],
)
def test_options_are_arguments(run, folder, options, asked):
    assert run("measure", "table.keras", "rows.csv", "--target", "price", *options, "--out", "out.json")[0] == 0
    written = json.loads(pathlib.Path("out.json").read_text(), parse_constant=pytest.fail)  # no NaN, ever
    expected = importance(folder, **asked)
    assert written["definition"] == repr(expected.definition)
    assert written["num_samples"] == expected.num_samples
    assert {each["feature"]: each["importance"] for each in written["features"]} == pytest.approx(
        dict(expected.features)
    )


def test_several_inputs_are_found_by_name(run):
    for model, rows in [("columns.keras", "rows.csv"), ("named.keras", "named.npz")]:
        assert run("measure", model, rows, "--out", "out.csv")[0] == 0
        names = pd.read_csv("out.csv")["feature"].tolist()
        assert names == (sorted(COLUMNS) if model == "columns.keras" else ["income", "others/0", "others/1"])
    renamed = pd.read_csv("rows.csv").rename(columns={"age": "others/0", "debt": "others/1"})
    renamed.to_csv("slashes.csv", index=False)
    assert run("measure", "named.keras", "slashes.csv", "--output", "1", "--logits")[0] == 0


def test_it_prints_a_table_the_most_important_first(run):
    code, printed, told = run("measure", "table.keras", "rows.csv", "--exclude", "price")
    assert (code, told) == (0, [])
    assert [line.split()[0] for line in printed.splitlines()[1:]] == ["income", "age", "debt"]
    assert "lag" in run("measure", "steps.keras", "steps.npz", "--scale", "std")[1]


def test_it_compares_looks_models_and_parts_of_the_rows(run, folder):
    options = ("--target", "price", "--out", "out.csv")
    assert run("measure", "table.keras", "rows.csv", "--target", "price", "--out", "saved.npz")[0] == 0
    assert ks.Importance.load("saved.npz").features.equals(importance(folder).features)
    for files, names in [
        (["table.keras", "other.keras", "rows.csv"], ["table", "other"]),
        (["table.keras", "young.csv", "old.csv"], ["young", "old"]),
        (["saved.npz", "other.keras", "rows.csv"], ["saved", "other"]),
    ]:
        assert run("compare", *files, *options)[0] == 0
        assert list(pd.read_csv("out.csv", index_col="feature").columns) == names
    code, printed, _ = run("compare", "saved.npz", "other.keras", "rows.csv", "--target", "price")
    assert code == 0
    assert "Comparison of 2 looks at 3 features" in printed
    assert run("compare", "saved.npz", "other.keras", "rows.csv", *options[:-1], "out.json")[0] == 0
    written = json.loads(pathlib.Path("out.json").read_text())
    assert {name: len(rows) for name, rows in written.items()} == {
        "importances": 3, "standard_errors": 3, "correlations": 2, "distances": 2,
    }  # fmt: skip


def test_parts_of_the_rows_are_measured_among_all(run, folder):
    run("compare", "table.keras", "young.csv", "old.csv", "--target", "price", "--scale", "std", "--out", "out.csv")
    written = pd.read_csv("out.csv", index_col="feature")
    # A linear model has the same importances everywhere, if it is scaled alike.
    np.testing.assert_allclose(written["young"], written["old"], rtol=1e-5)


def page(path):
    return ET.fromstring(pathlib.Path(path).read_text(encoding="utf-8").split("\n", 1)[1])


def test_a_report_says_of_what_it_is(run):
    title = ["--title", "Price <model>"]
    code, printed, told = run("report", "table.keras", "rows.csv", "--target", "price", "--out", "report.html", *title)
    assert (code, printed, told) == (0, "", [])
    tree = page("report.html")
    assert tree.find(".//h1").text == "Price <model>"
    headings = [found.text for found in tree.iter("h2")]
    assert {"Ranking", "To mind", "Agreement with real changes", "Data", "Model"} <= set(headings)
    facts = {
        "".join(row[0].itertext()): "".join(row[1].itertext()) for row in tree.iterfind(".//table[@class='facts']//tr")
    }
    assert facts["Columns"] == "income, age, debt"
    assert (facts["Target"], facts["Parameters"], facts["Measured"]) == ("price", "4", "60 rows")
    assert facts["Command"].startswith("keras-sensitivity report table.keras rows.csv --target price")
    hashes = [found.text for found in tree.iterfind(".//span[@class='hash']")]
    done = subprocess.run(["sha256sum", "rows.csv", "table.keras"], capture_output=True, text=True, check=True)
    assert hashes == re.findall(r"^\w+", done.stdout, re.M)
    assert len(tree.findall(".//div[@class='signatures']/div")) == 3


@pytest.mark.slow
def test_a_report_shows_the_training(run, folder):
    watch = ks.SensitivityCallback(pd.read_csv(folder / "rows.csv")[COLUMNS], log_dir=folder / "logs")
    model = keras.saving.load_model(folder / "table.keras")
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 3)), np.ones(4), epochs=2, callbacks=[watch], verbose=0)
    watch.events.to_csv(folder / "events.csv", index=False)
    extra = ["--log-dir", "logs", "--events", "events.csv"]
    assert run("report", "table.keras", "rows.csv", "--target", "price", "--out", "report.html", *extra)[0] == 0
    training = [found for found in page("report.html").iter("section") if found[0].text == "Over the training"]
    assert "No feature died" in "".join(training[0].itertext())
    assert training[0].find(".//img") is not None


@pytest.mark.slow
def test_pages_of_the_other_commands(run):
    assert run("measure", "steps.keras", "steps.npz", "--scale", "std", "--out", "out.html")[0] == 0
    assert "Time lags" in [found.text for found in page("out.html").iter("h2")]
    run("compare", "table.keras", "other.keras", "rows.csv", "--target", "price", "--out", "out.html")
    assert {"table.keras", "other.keras", "rows.csv"} <= {found.text for found in page("out.html").iter("th")}


# Arguments, and words of the one line on standard error.
FAILURES = {
    "no model": (["measure", "nowhere.keras", "rows.csv"], ["There is no file 'nowhere.keras'", "To fix it"]),
    "no rows": (["measure", "table.keras", "nowhere.csv"], ["There is no file 'nowhere.csv'"]),
    "a folder": (["measure", ".", "rows.csv"], ["There is no file '.'", "a folder"]),
    "a damaged model": (["measure", "damaged.keras", "rows.csv"], ["cannot be loaded as a Keras model", "--import"]),
    "damaged rows": (["measure", "table.keras", "damaged.npz"], ["'damaged.npz' cannot be read"]),
    "a foreign kind": (["measure", "table.keras", "rows.xyz"], ["Rows cannot be read from 'rows.xyz'", ".parquet"]),
    "too many columns": (
        ["measure", "table.keras", "rows.csv"],
        ["more columns than the model takes. Expected: 3 columns. Received: 4 columns: 'income', 'age', 'debt', ",
         "--target COLUMN"],
    ),
    "too few columns": (
        ["measure", "table.keras", "rows.csv", "--exclude", "price", "--exclude", "age"],
        ["fewer columns than the model takes. Expected: 3 columns. Received: 2 columns: 'income', 'debt'"],
    ),
    "another separator": (["measure", "table.keras", "semicolons.csv"], ["fewer columns", "pass --separator ';'"]),
    "no such target": (
        ["measure", "table.keras", "rows.csv", "--target", "prices"],
        ["--target names a column that is not there", "'prices'", "did you mean 'price'?"],
    ),
    "no such column": (["report", "table.keras", "rows.csv", "--exclude", "id", "--out", "r.html"], ["--exclude"]),
    "words": (["measure", "table.keras", "words.csv", "--target", "price"], ["'debt'"]),
    "an input without a column": (
        ["measure", "columns.keras", "renamed.csv"],
        ["no column for the model's input 'debt'", "did you mean 'debts'?"],
    ),
    "an input of several columns": (["measure", "named.keras", "rows.csv"], ["'others/0', 'others/1'"]),
    "other arrays": (["measure", "named.keras", "rows.npz"], ["arrays 'income', 'others'", "arrays 'x', 'price'"]),
    "a table for a sequence": (["measure", "steps.keras", "rows.csv"], ["(num_samples, 4, 2)", ".npz"]),
    "no such output": (["measure", "table.keras", "rows.csv", "--target", "price", "--output", "7"], ["output"]),
    "no such weight": (["measure", "table.keras", "rows.csv", "--weight", "w"], ["--weight names a column"]),
    "no such group": (["measure", "table.keras", "rows.csv", "--target", "price", "--group", "a=b"], ["'b'"]),
    "one look": (["compare", "table.keras", "rows.csv"], ["do not make two looks", "1 models, 1 files of rows"]),
    "models without rows": (["compare", "table.keras", "other.keras"], ["do not make two looks"]),
    "rows without models": (["compare", "rows.csv", "old.csv"], ["do not make two looks"]),
    "no logs": (["report", "table.keras", "rows.csv", "--log-dir", ".", "--out", "r.html"], ["No look was written"]),
    "no such folder": (["measure", "table.keras", "rows.csv", "--target", "price", "--out", "no/o.csv"], ["'no'"]),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_told_in_one_line(run, case):
    arguments, words = FAILURES[case]
    code, printed, told = run(*arguments)
    assert code == 1
    assert printed == ""
    assert len(told) == 1
    assert told[0].startswith("keras-sensitivity: error: ")
    for each in words:
        assert each in told[0]


def test_debugging_raises(run):
    with pytest.raises(FileNotFoundError):
        run("measure", "nowhere.keras", "rows.csv", "--debug")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["mesure"], "invalid choice: 'mesure'"),
        (["measure", "table.keras"], "required: DATA"),
        (["report", "table.keras", "rows.csv"], "required: --out"),
        (["report", "table.keras", "rows.csv", "--out", "report.pdf"], "'report.pdf' ends in none of .html"),
        (
            ["measure", "table.keras", "rows.csv", "--out", "out.xlsx"],
            "'out.xlsx' ends in none of .csv, .json, .npz, .html",
        ),
        (["measure", "table.keras", "rows.csv", "--num-samples", "0"], "'0' is not a whole number from 1"),
        (["measure", "table.keras", "rows.csv", "--scale", "log"], "invalid choice: 'log'"),
        (["measure", "table.keras", "rows.csv", "--group", "money"], "'money' is not NAME=COLUMN,COLUMN,.."),
        (["measure", "table.keras", "rows.csv", "--import", "no_such_module"], "'no_such_module' cannot be imported"),
        (["measure", "table.keras", "rows.csv", "--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_misuse_exits_with_2(capsys, arguments, words):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("usage: keras-sensitivity")
    assert words in told


@pytest.mark.parametrize("command", [[], ["measure"], ["compare"], ["report"]])
def test_help_has_examples(capsys, command):
    with pytest.raises(SystemExit) as left:
        main([*command, "--help"])
    assert left.value.code == 0
    printed = capsys.readouterr().out
    assert f"keras-sensitivity {' '.join(command) or 'measure'} " in printed.split("examples:")[1]


def test_its_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--version"])
    assert left.value.code == 0
    assert capsys.readouterr().out == f"keras-sensitivity {ks.__version__}\n"


def test_what_measuring_warns_of_is_told_in_a_line(run, folder):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, kernel_initializer="zeros")])
    model.save(folder / "zero.keras")
    code, _, told = run("measure", "zero.keras", "rows.csv", "--target", "price")
    assert code == 0
    assert [line.split(": ")[:2] for line in told] == [["keras-sensitivity", "warning"]]
    assert run("report", "zero.keras", "rows.csv", "--target", "price", "--out", "zero.html")[0] == 0
    assert "ignores all features" in "".join(page("zero.html").itertext())


@pytest.mark.slow
def test_as_a_program_it_keeps_standard_error_for_itself(folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    environment.pop("KERAS_BACKEND", None)

    def run(*arguments):
        command = [sys.executable, "-m", "keras_sensitivity_command", *arguments]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)

    done = run("measure", "table.keras", "rows.csv", "--target", "price")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1].split()[0] == "income"
    done = run("measure", "table.keras", "rows.csv")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert run("measure").returncode == 2
