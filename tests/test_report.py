"""Pages of results: whole, self-contained, with every name escaped, and with what is to be minded of this result."""

import re
import xml.etree.ElementTree as ET

import keras
import numpy as np
import pandas as pd
import pytest
import zoo
from keras import layers

import keras_sensitivity as ks
from keras_sensitivity import report
from keras_sensitivity.report import caveats, words
from keras_sensitivity.report.elements import element
from keras_sensitivity.report.tables import MOST_ROWS, table

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
HOSTILE = [
    "<script>alert(1)</script>",
    'a" onload="b',
    "R & D",
    "$\\alpha$",
    "收入 \N{CHART WITH UPWARDS TREND} \x07",
]


def parsed(page):
    """The page, read by a strict reader, which refuses whatever is not closed or not escaped."""
    assert page.startswith("<!DOCTYPE html>\n")
    return ET.fromstring(page.split("\n", 1)[1])


def texts(page, path):
    return ["".join(found.itertext()) for found in parsed(page).iterfind(path)]


def section(page, heading):
    """The texts of the elements of a section, None where there is none."""
    for found in parsed(page).iterfind(".//section"):
        if found.find("h2").text == heading:
            return found
    return None


def rows_of(page, heading):
    found = section(page, heading)
    return [["".join(cell.itertext()) for cell in row] for row in found.iterfind(".//tbody/tr")]


def linear(*weights):
    model = keras.Sequential([keras.Input((len(weights),)), layers.Dense(1)])
    model.set_weights([np.reshape(weights, (-1, 1)).astype(float), np.zeros(1)])
    return model


def table_look(names=tuple("abcde")):
    plain = ks.Definition(scale="std")  # without effect curves, which take a while to draw
    return ks.measure(zoo.build("tanh regression"), zoo.rows(60), feature_names=list(names), definition=plain)


def sequence_look():
    model = keras.Sequential([keras.Input((4, 2)), layers.Flatten(), layers.Dense(2)])
    return ks.measure(model, np.random.default_rng(0).normal(size=(40, 4, 2)), definition=ks.Definition(scale="std"))


def image_look():
    model = keras.Sequential([keras.Input((3, 3, 1)), layers.Flatten(), layers.Dense(1)])
    return ks.measure(model, np.random.default_rng(0).normal(size=(40, 3, 3, 1)))


def dead_look():
    return ks.measure(linear(0, 0), np.eye(2))


def explanation(names=tuple("abcde")):
    return ks.explain(zoo.build("linear"), zoo.rows(2), feature_names=list(names))


def comparison(names=tuple("abcde")):
    looks = np.array([[40.0, 30.0, 20.0, 10.0, 0.0], [10.0, 20.0, 30.0, 40.0, 0.0]])
    return ks.compare({name: pd.Series(look, list(names)) for name, look in zip(names[:2], looks, strict=True)})


RESULTS = {
    "a table": table_look,
    "a sequence": sequence_look,
    "an image": image_look,
    "nothing that moves": dead_look,
    "samples": explanation,
    "looks": comparison,
}


@pytest.fixture
def quiet(recwarn):
    yield
    recwarn.clear()


@pytest.mark.parametrize("result", RESULTS)
def test_a_page_is_whole_and_loads_nothing(result, tmp_path, quiet):
    result = RESULTS[result]()
    page = result.to_html(tmp_path / "page.html", title="For the board")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
    tree = parsed(page)
    assert tree.find(".//h1").text == tree.find(".//title").text == "For the board"
    loaded = [value for each in tree.iter() for name, value in each.items() if name in ("src", "href", "data")]
    assert all(address.startswith("data:image/svg+xml;base64,") for address in loaded)
    assert not {"script", "link", "iframe", "object"} & {each.tag for each in tree.iter()}
    assert not re.search(r"url\(|@import", tree.find(".//style").text)
    assert all(each.get("alt") for each in tree.iter("img"))


@pytest.mark.parametrize("result", [table_look, explanation, comparison])
def test_names_are_text(result, quiet):
    page = result(HOSTILE).to_html(title=HOSTILE[0])
    shown = "\n".join(texts(page, ".//body"))
    for name in HOSTILE[:4]:
        assert name in shown
    assert "收入 \N{CHART WITH UPWARDS TREND} " + REPLACEMENT in shown


def test_the_ranking_is_that_of_the_table():
    importance = table_look()
    leading = importance.table.sort_values("rank")
    shown = rows_of(importance.to_html(), "Ranking")
    assert [row[0] for row in shown] == list(leading.index)
    assert [float(row[1]) for row in shown] == leading["importance"].round(2).to_list()
    assert [float(row[2]) for row in shown] == leading["standard_error"].round(2).to_list()


def test_directions_are_the_signs_of_the_slopes():
    x = np.random.default_rng(0).normal(size=(200, 3))
    model = keras.Sequential([keras.Input((3,)), layers.Lambda(lambda t: t[:, :1] - 2 * t[:, 1:2] + t[:, 2:] ** 2)])
    shown = {row[0]: row[4] for row in rows_of(ks.measure(model, x).to_html(), "Ranking")}
    assert shown == {"x0": "up", "x1": "down", "x2": "both ways"}


def test_what_a_look_has_gets_a_section():
    look = sequence_look()
    page = look.to_html()
    assert section(page, "Time lags") is not None
    assert [row[0] for row in rows_of(page, "Outputs")] == list(look.features.nlargest(9).index)
    page = table_look().to_html()
    assert [section(page, name) for name in ("Time lags", "Outputs", "Agreement with real changes")] == [None] * 3


def test_effects_are_drawn_of_what_has_a_path_the_most_important_first():
    x = np.column_stack([np.random.default_rng(0).normal(size=(200, 3)), np.arange(200) % 2])
    drawn = section(ks.measure(linear(1, 3, 2, 4), x).to_html(), "Effects").iterfind(".//img")
    assert [each.get("alt") for each in drawn] == [f"The effect of {name} as a curve." for name in ("x1", "x2", "x0")]
    assert section(ks.measure(linear(1, 3, 2, 4), x, definition=ks.PAPER).to_html(), "Effects") is None


def test_the_training_is_drawn_and_its_events_are_listed():
    trajectory = pd.DataFrame({"a": [60.0, 99.0], "b": [40.0, 1.0]}, pd.RangeIndex(2, name="epoch"))
    events = pd.DataFrame(
        {
            "epoch": [1],
            "feature": ["b"],
            "event": ["died"],
            "importance": [1.0],
            "threshold": [2.5],
            "reason": ["noise"],
        }
    )
    look = table_look()
    page = look.to_html(trajectory=trajectory, events=events)
    assert rows_of(page, "Over the training") == [["1", "b", "died", "1.00", "2.50", "noise"]]
    assert section(page, "Over the training").find(".//img") is not None
    page = look.to_html(events=events[:0])
    assert "No feature died" in "".join(section(page, "Over the training").itertext())


def test_a_context_names_files_and_leaves_room_for_names():
    importance = table_look()
    context = report.Context(
        caveats=["Mind <this>."],
        data={"File": "rows.csv"},
        model={"File": "net.keras"},
        command="run -x",
        is_signed=True,
    )
    page = report.importance_page(importance, context)
    assert texts(page, ".//header/p")[0].startswith("net.keras · rows.csv · ")
    assert rows_of(page, "Data") == [["File", "rows.csv"], ["Measured", "60 rows"]]
    assert rows_of(page, "Software")[-1] == ["Command", "run -x"]
    assert texts(page, ".//li")[0] == "Mind <this>."
    assert len(texts(page, ".//div[@class='signatures']/div")) == 3


def test_versions_are_those_that_run():
    facts = dict(rows_of(table_look().to_html(), "Software"))
    assert facts["keras_sensitivity"] == ks.__version__
    assert facts["Keras"] == keras.__version__
    assert facts["NumPy"] == np.__version__


def test_long_tables_end_in_words():
    frame = pd.DataFrame({"share": np.arange(MOST_ROWS + 1)})
    shown = table(frame, {}, index="feature")
    assert shown.count("<tr>") == MOST_ROWS + 1  # and the head
    assert f"The first {MOST_ROWS} of {MOST_ROWS + 1} rows." in shown


def heavy_tails():
    x = np.random.default_rng(0).normal(size=(2000, 2))
    x[:, 0] **= 9
    return ks.measure(linear(1, 1), x)


def rare_values():
    x = np.random.default_rng(0).normal(size=(2000, 2))
    x[:1950, 1] = 0
    return ks.measure(linear(1, 1), x)


def constant():
    x = np.random.default_rng(0).normal(size=(2000, 2))
    x[:, 1] = 3
    return ks.measure(linear(1, 1), x)


def few_rows():
    return ks.measure(linear(1, 1), np.random.default_rng(0).normal(size=(100, 2)))


def flat_rows():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, "relu", kernel_initializer="ones")])
    return ks.measure(model, np.random.default_rng(0).normal(size=(2000, 2)))


def many_outputs():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(70)])
    return ks.measure(model, np.random.default_rng(0).normal(size=(200, 2)))


def close_ranks():
    x = np.random.default_rng(0).normal(size=(2000, 2))
    model = keras.Sequential([keras.Input((2,)), layers.Lambda(lambda t: keras.ops.sum(t**2, 1, keepdims=True))])
    return ks.measure(model, x)


def noisy():
    model = keras.Sequential([keras.Input((2,)), ks.NoiseProbes(), layers.Dense(1)])
    model.set_weights([np.array([[1.0], [0.0], *[[0.1]] * 8]), np.zeros(1)])
    return ks.measure(model, np.random.default_rng(0).normal(size=(2000, 2)))


def differing():
    steep = keras.Sequential([keras.Input((2,)), layers.Lambda(lambda t: keras.ops.sin(9 * t[:, :1]) + t[:, 1:])])
    return ks.measure(steep, np.random.default_rng(0).normal(size=(2000, 2)), verbose=1)


MINDED = {
    "heavy tails": (heavy_tails, "Heavy tails, where few far values make most of the spread: “x0”."),
    "rare values": (rare_values, "so that few rows say what a change does: “x1”."),
    "constant": (constant, "so that nothing can be said of: “x1”."),
    "few rows": (few_rows, "Only 100 rows were measured"),
    "flat rows": (flat_rows, "rows every derivative is exactly 0"),
    "many outputs": (many_outputs, "The sum over the 70 outputs is estimated by random signs"),
    "close ranks": (close_ranks, "so that their order may be chance: “"),
    "noise": (noisy, "in this network: “x1”."),
    "real changes": (differing, "Real changes give another share than the one in the ranking to “x"),
}


@pytest.mark.parametrize("case", MINDED)
def test_what_is_to_be_minded_here_is_told(case, quiet):
    look, words_ = MINDED[case]
    assert any(words_ in sentence for sentence in caveats.of_importance(look()))


def test_how_far_sizes_may_be_off_is_percent_of_them():
    """Of a linear model all rows are alike: 4 signs of 200 rows leave 100 / sqrt(2 * 4 * 200) = 2.5 %."""
    (told,) = (sentence for sentence in caveats.of_importance(many_outputs()) if "random signs" in sentence)
    assert float(re.search(r"up to ([\d.]+) %\.", told)[1]) == pytest.approx(2.5, abs=0.2)


def test_pixels_are_a_picture_not_a_ranking():
    importance = image_look()
    page = importance.to_html()
    assert " of 9 pixels make up " in texts(page, ".//p[@class='lead']")[0]
    assert [len(section(page, "Ranking").findall(f".//{tag}")) for tag in ("img", "table")] == [1, 0]
    assert section(page, "Effects") is None
    assert not any("order" in sentence for sentence in caveats.of_importance(importance))


def test_what_is_not_the_case_is_not_told():
    x = np.random.default_rng(0).normal(size=(2000, 2))
    assert caveats.of_importance(ks.measure(linear(2, 1), x)) == [caveats.ALWAYS]


@pytest.mark.parametrize(
    ("columns", "pairs"),
    [
        ({"a": [1, 2, 3, 4.0], "b": [1, 2, 3, 9.0]}, ["“a” and “b” (rank correlation 1.00)"]),
        ({"a": [1, 2, 3, 4.0], "b": [4, 3, 2, 1.0]}, ["“a” and “b” (rank correlation -1.00)"]),
        ({"a": [1, 2, 3, 4.0], "b": [1, 4, 2, 3.0]}, []),
        ({"a": [1, 2, 3, 4.0], "b": [7, 7, 7, 7.0]}, []),
        ({"a": [1, 2, 3, 4.0], "b": ["u", "v", "w", "x"]}, []),
        ({"a": [True, False, True, False], "b": [1, 0, 1, 0]}, ["“a” and “b” (rank correlation 1.00)"]),
        ({"a": [1.0, 2.0, 3.0]}, []),
    ],
)
def test_columns_that_go_together(columns, pairs):
    found = caveats.correlated(pd.DataFrame(columns))
    assert len(found) == len(pairs)
    assert all(pair in found[0] for pair in pairs)


@pytest.mark.parametrize(
    ("definition", "said", "unsaid"),
    [
        (ks.Definition(), ["all outputs of the network together", "as the network returns it", "path"], ["logits"]),
        (ks.PAPER, ["for a change by 1 of the input"], ["path", "standard deviation"]),
        (ks.Definition(logits=True, output=2), ["Measured is output 2", "before the last softmax"], ["returns"]),
        (ks.Definition(output="risk", scale="std"), ["output risk", "times its standard deviation"], ["path"]),
        (ks.Definition(scale=[1.0, 2.0]), ["set by hand"], ["path"]),
    ],
)
def test_a_definition_in_words(definition, said, unsaid):
    told = " ".join(words.of_definition(definition))
    assert all(each in told for each in said)
    assert not any(each in told for each in unsaid)


def test_words_of_what_was_the_case():
    both = pd.DataFrame({"a": np.arange(400) % 2, "b": np.random.default_rng(0).normal(size=400)})
    told = " ".join(words.of_importance(ks.measure(linear(1, 1), both)))
    assert "Measured is the network's prediction." in told
    assert "1 of 2 features were changed so." in told
    swapped = " ".join(words.of_importance(ks.measure(linear(1, 1), both, definition=ks.Definition(change="swap"))))
    assert "By derivatives" not in swapped
    assert "its mean over all lags" in " ".join(words.of_importance(sequence_look()))


def test_what_is_no_html_is_escaped_and_what_is_no_letter_replaced():
    assert element("img", alt='"<&', src=None) == '<img alt="&quot;&lt;&amp;"/>'
    assert element("p", "\ud800\x00\ufffe", element("br")) == f"<p>{3 * REPLACEMENT}<br/></p>"
