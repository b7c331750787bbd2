"""The tab in TensorBoard, in a real browser: headless Chromium, a real TensorBoard process, logs of real trainings."""

import collections
import csv
import importlib.util
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.request

import keras
import numpy as np
import pytest
import tensorboard_picture

import keras_sensitivity as ks

pytestmark = pytest.mark.browser

NAMES = ["income", "debt", "<img src=x onerror=alert(1)>", 'a "quoted"/name', "😀", "n" * 300, "noise 1", "noise 2"]
PICTURES = pathlib.Path(__file__).parents[1] / "runs" / "tab"


@pytest.fixture(scope="session")
def browser():
    path = tensorboard_picture.browser()
    needed = {"chromium": path, "playwright": importlib.util.find_spec("playwright")}
    missing = [name for name, found in needed.items() if found is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"not installed: {', '.join(missing)}")
    from playwright import sync_api

    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_api.sync_playwright() as playwright:
        # In a container, root has no sandbox.
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


# --- what is trained --------------------------------------------------------------------------------------------------


def table(rng, rows=400):
    x = rng.normal(size=(rows, len(NAMES)))
    return x, x[:, 0] - 0.6 * x[:, 1] + 0.3 * np.sin(2 * x[:, 2]) + 0.2 * x[:, 3]


def network():
    layers = [keras.Input((len(NAMES),)), ks.NoiseProbes(), keras.layers.Dense(16, "tanh"), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


def fitted(log_dir, epochs, seed=0, **options):
    keras.utils.set_random_seed(seed)
    x, y = table(np.random.default_rng(seed))
    watch = ks.SensitivityCallback(x, feature_names=NAMES, log_dir=log_dir, **options)
    model = network()
    model.fit(x, y, epochs=epochs, callbacks=[watch], verbose=0)
    return watch, model, x


Logs = collections.namedtuple("Logs", "folder first second sequences explanation")


@pytest.fixture(scope="session")
def logs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    first, model, x = fitted(folder, epochs=30)
    second, *_ = fitted(folder, epochs=12, seed=1)
    explanation = ks.explain(model, x[:4], background=x, feature_names=NAMES, log_dir=folder)
    steps = np.random.default_rng(2).normal(size=(300, 6, 3))
    model = keras.Sequential([keras.Input((6, 3)), keras.layers.LSTM(6), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse")
    sequences = ks.SensitivityCallback(steps, log_dir=folder / "sequences")
    model.fit(steps, steps[:, -3, 0] + steps[:, -1, 1], epochs=6, callbacks=[sequences], verbose=0)
    return Logs(folder, first, second, sequences, explanation)


# --- the process and the page -----------------------------------------------------------------------------------------


class Board:
    """A TensorBoard process."""

    def __init__(self, folder, *options):
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--port", "0", *options]
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        for line in self.process.stderr:
            if found := re.search(r"(http://\S+) ", line):
                self.address = found[1].replace(os.uname().nodename, "localhost").rstrip("/")
                break
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def wait_for(self, *runs):
        """Until TensorBoard has read these runs."""
        for _ in range(120):
            with urllib.request.urlopen(f"{self.address}/data/plugin/sensitivity/runs") as answer:
                data = answer.read()
            found = json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")])["runs"]
            if set(runs) <= {each["run"] for each in found}:
                return
            time.sleep(0.5)
        raise TimeoutError(runs)

    def close(self):
        self.process.terminate()
        self.process.wait()


RUNS = "sensitivity", "sensitivity_2", "sequences/sensitivity", "explanations"


@pytest.fixture(scope="module", params=["true", "false"], ids=["fast", "slow"])
def board(logs, request):
    found = Board(logs.folder, f"--load_fast={request.param}", "--reload_interval=1")
    found.wait_for(*RUNS)
    yield found
    found.close()


TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


class Tab:
    """The tab in a page of the browser."""

    def __init__(self, browser, address, state=None, dark=False, size=(1400, 900)):
        context = browser.new_context(viewport=dict(zip(("width", "height"), size, strict=True)), accept_downloads=True)
        self.page = context.new_page()
        self.errors, self.requests = [], []
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        words = "" if state is None else f"&p.sensitivity.state={urllib.parse.quote(json.dumps(state))}"
        self.page.goto(f"{address}/?darkMode={'true' if dark else 'false'}#sensitivity{words}")
        self.frame = self.page.frame_locator("iframe")
        self.frame.locator("body[data-ready]").wait_for(timeout=60_000)

    def close(self):
        self.page.context.close()

    def view(self, name):
        self.frame.get_by_role("tab", name=name, exact=True).click()
        self.frame.locator(f"body[data-ready={name.lower().replace(' ', '')}]").wait_for()

    def drawn(self):
        """Wait until what was asked for is drawn."""
        self.frame.locator("body").evaluate(TWO_FRAMES)

    def attributes(self, selector, *names):
        """Of each element with a selector the values of some attributes."""
        script = "(found, names) => found.map((each) => names.map((name) => each.getAttribute(name)))"
        return self.frame.locator(selector).evaluate_all(script, list(names))

    def csv(self):
        with self.page.expect_download() as download:
            self.frame.get_by_role("button", name="CSV").click()
        text = pathlib.Path(download.value.path()).read_text(encoding="utf-8")
        return list(csv.reader(io.StringIO(text, newline="")))

    def picture(self, name):
        self.page.screenshot(path=PICTURES / f"{name}.png")


@pytest.fixture
def tab(browser, board):
    opened = []

    def open_tab(**options):
        opened.append(Tab(browser, board.address, **options))
        return opened[-1]

    yield open_tab
    for each in opened:
        assert each.errors == []
        assert all(url.startswith((board.address, "data:", "blob:")) for url in each.requests)
        each.close()


# --- the views --------------------------------------------------------------------------------------------------------


def test_trajectories(tab, logs):
    found = tab(state={"runs": ["sensitivity"], "top": 0})
    head, *rows = found.csv()
    trajectory = logs.first.trajectory
    assert set(head[2:]) == set(NAMES)
    assert [int(row[1]) for row in rows] == list(trajectory.index)
    np.testing.assert_allclose([[float(value) for value in row[2:]] for row in rows], trajectory[head[2:]], rtol=1e-12)
    drawn = [name for (name,) in found.attributes("path[data-feature]", "data-feature")]
    assert set(drawn) == set(NAMES)
    assert found.frame.locator("path[data-noise]").count() == 1
    marks = found.attributes("g[data-event]", "data-feature", "data-event")
    assert sorted(map(tuple, marks)) == sorted(
        zip(logs.first.events["feature"], logs.first.events["event"], strict=True)
    )
    found.picture("trajectories")


def test_lines_lie_where_the_numbers_are(tab, logs):
    found = tab(state={"runs": ["sensitivity"], "features": ["income", "debt"]})
    paths = dict(found.attributes("path[data-feature]", "data-feature", "d"))
    ends = {name: float(path.rsplit(",", 1)[1]) for name, path in paths.items()}
    starts = {name: float(path.split("L")[0].split(",")[1]) for name, path in paths.items()}
    share = logs.first.trajectory
    # Places are linear in shares: two of them fix the scale, the others lie on it.
    slope = (ends["income"] - ends["debt"]) / (share["income"].iloc[-1] - share["debt"].iloc[-1])
    expected = ends["income"] + slope * (share["income"].iloc[0] - share["income"].iloc[-1])
    assert slope < 0
    assert abs(starts["income"] - expected) < 0.5


def test_hovering_tells_the_exact_numbers(tab, logs):
    found = tab(state={"runs": ["sensitivity"]})
    box = found.frame.locator("rect[data-pointer]").bounding_box()
    found.page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 50)
    words = found.frame.locator(".tooltip").inner_text()
    last = logs.first.trajectory.iloc[-1]
    assert "epoch 29" in words
    assert f"{last['income']:.4g} %" in words
    found.picture("hover")


def test_ranking_at_any_epoch(tab, logs):
    found = tab(state={"view": "ranking", "runs": ["sensitivity"], "top": 0})
    slider = found.frame.get_by_label("Epoch", exact=True)
    for epoch in (29, 7):
        slider.fill(str(epoch))
        expected = logs.first.trajectory.loc[epoch].sort_values(ascending=False)
        found.frame.get_by_text(f"sensitivity, epoch {epoch}").wait_for()
        bars = found.attributes("g[data-share]", "data-feature", "data-share")
        assert [name for name, _ in bars] == list(expected.index)
        np.testing.assert_allclose([float(share) for _, share in bars], expected, rtol=1e-12)
    found.picture("ranking")


def test_play_runs_through_the_epochs(tab, logs):
    found = tab(state={"view": "ranking", "runs": ["sensitivity_2"], "epoch": 0})
    found.frame.get_by_label("Play the epochs").click()
    found.frame.get_by_text("sensitivity_2, epoch 11").wait_for(timeout=20_000)
    found.frame.get_by_label("Play the epochs").wait_for()


def test_keys_move_the_epoch(tab):
    found = tab(state={"view": "ranking", "runs": ["sensitivity"]})
    found.frame.locator(".page").focus()
    found.page.keyboard.press("ArrowLeft")
    found.frame.get_by_text("sensitivity, epoch 28").wait_for()
    found.page.keyboard.press("Home")
    found.frame.get_by_text("sensitivity, epoch 0", exact=True).wait_for()


def test_heat_map(tab, logs):
    found = tab(state={"view": "heatmap", "runs": ["sensitivity"]})
    assert found.frame.locator("svg image").count() == 1
    box = found.frame.locator("rect[data-pointer]").bounding_box()
    found.page.mouse.move(box["x"] + 2, box["y"] + 2)
    top = logs.first.trajectory.iloc[-1].idxmax()
    first = logs.first.trajectory[top].iloc[0]
    words = found.frame.locator(".tooltip").inner_text()
    assert "epoch 0" in words
    assert f"{first:.4g} %" in words
    found.picture("heatmap")


def test_lags(tab, logs):
    found = tab(state={"view": "lags", "runs": ["sequences/sensitivity"]})
    expected = logs.sequences.lag_trajectory
    bars = found.attributes("rect[data-lag]", "data-lag", "data-share")
    np.testing.assert_allclose([float(share) for _, share in bars], expected.iloc[-1], rtol=1e-6)
    head, *rows = found.csv()
    assert head[2:] == [f"lag {lag}" for lag in range(6)]
    np.testing.assert_allclose([[float(value) for value in row[2:]] for row in rows], expected, rtol=1e-6)
    found.frame.locator("g[data-by-lag] image").wait_for()
    found.picture("lags")


def test_runs_without_lags_say_so(tab):
    found = tab(state={"view": "lags", "runs": ["sensitivity"]})
    assert "None of the chosen runs has a time axis" in found.frame.locator(".page").inner_text()


def test_events(tab, logs):
    found = tab(state={"view": "events", "runs": ["sensitivity"]})
    events = logs.first.events
    assert len(events) > 0
    head, *rows = found.csv()
    assert head == ["run", "epoch", "feature", "event", "importance", "threshold", "reason"]
    assert sorted((int(row[1]), row[2], row[3]) for row in rows) == sorted(
        zip(events["epoch"], events["feature"], events["event"], strict=True)
    )
    assert found.frame.locator("tbody tr").count() == len(events)
    found.picture("events")


def test_compare(tab, logs):
    found = tab(state={"view": "compare", "runs": ["sensitivity", "sensitivity_2"], "feature": "debt", "top": 0})
    assert len(found.attributes("path[data-run]", "data-run")) == 2
    differences = dict(found.attributes("g[data-difference]", "data-feature", "data-difference"))
    expected = logs.first.trajectory.iloc[-1] - logs.second.trajectory.iloc[-1]
    np.testing.assert_allclose([float(differences[name]) for name in NAMES], expected[NAMES], rtol=1e-9, atol=1e-12)
    found.frame.get_by_label("Feature", exact=True).select_option("income")
    found.frame.get_by_text("income in 2 runs").wait_for()
    found.picture("compare")


def test_explanations(tab, logs):
    found = tab(state={"view": "explanations", "top": 0})
    found.frame.locator("g[data-share]").first.wait_for()
    found.frame.get_by_label("Next sample").click()
    found.frame.get_by_text("sample 1", exact=True).wait_for()
    bars = dict(found.attributes("g[data-share]", "data-feature", "data-share"))
    expected = logs.explanation.features.iloc[1]
    np.testing.assert_allclose([float(bars[name]) for name in NAMES], expected[NAMES], rtol=1e-6)
    found.picture("explanations")


# --- what is chosen ---------------------------------------------------------------------------------------------------


def test_search_and_selection(tab):
    found = tab(state={"runs": ["sensitivity"]})
    found.frame.get_by_label("Search features").fill("noise")
    found.drawn()
    assert found.frame.locator("aside .features li").count() == 2
    found.frame.get_by_role("button", name="Choose these").click()
    found.frame.locator("path[data-feature='noise 1']").wait_for()
    assert {name for (name,) in found.attributes("path[data-feature]", "data-feature")} == {"noise 1", "noise 2"}
    found.frame.get_by_label("Search features").fill("")
    found.frame.locator("aside .features").get_by_text("debt").click()
    found.frame.locator("path[data-feature='debt']").wait_for()
    assert found.csv()[0][2:] == ["debt", "noise 1", "noise 2"] or set(found.csv()[0][2:]) == {
        "debt",
        "noise 1",
        "noise 2",
    }


def test_top_sort_and_log(tab, logs):
    found = tab(state={"runs": ["sensitivity"]})
    found.frame.get_by_label("Number of features").select_option("5")
    found.frame.get_by_label("Sort by").select_option("name")
    found.drawn()
    listed = found.frame.locator("aside .features .name").all_inner_texts()
    assert sorted(listed) == sorted(NAMES)
    assert listed.index("debt") < listed.index("income") < listed.index("noise 1") < listed.index("noise 2")
    assert set(found.csv()[0][2:]) == set(logs.first.trajectory.iloc[-1].nlargest(5).index)
    before = dict(found.attributes("path[data-feature]", "data-feature", "d"))
    found.frame.get_by_label("log").check()
    found.drawn()
    assert before != dict(found.attributes("path[data-feature]", "data-feature", "d"))


def test_names_are_shown_as_text(tab):
    found = tab(state={"runs": ["sensitivity"], "top": 0})
    assert found.frame.locator("img").count() == 0
    listed = found.frame.locator("aside .features .name").all_inner_texts()
    assert set(NAMES) == set(listed)
    for view in ("Ranking", "Heat map", "Events", "Compare", "Explanations"):
        found.view(view)
        assert found.frame.locator("img").count() == 0


def test_a_link_keeps_what_is_chosen(tab, browser):
    state = {"view": "ranking", "runs": ["sensitivity_2"], "features": ["debt", "😀"], "epoch": 3}
    found = tab(state=state)
    found.frame.get_by_text("sensitivity_2, epoch 3").wait_for()
    found.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    found.frame.get_by_role("button", name="Copy link").click()
    found.frame.get_by_role("button", name="Copied").wait_for()
    link = found.page.evaluate("() => navigator.clipboard.readText()")
    found.page.goto("about:blank")
    found.page.goto(link)
    found.frame.get_by_text("sensitivity_2, epoch 3").wait_for()
    bars = {name for name, _ in found.attributes("g[data-share]", "data-feature", "data-share")}
    assert bars == {"debt", "😀"}


def test_pictures_are_downloaded(tab):
    found = tab(state={"runs": ["sensitivity"]})
    for kind, start in {"SVG": b"<svg", "PNG": b"\x89PNG"}.items():
        with found.page.expect_download() as download:
            found.frame.get_by_role("button", name=kind).click()
        assert pathlib.Path(download.value.path()).read_bytes().startswith(start)
        shutil.copy(download.value.path(), PICTURES / f"download.{kind.lower()}")


@pytest.mark.parametrize("width", [1000, 1400, 2500])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_looks_at_home(tab, dark, width):
    found = tab(dark=dark, size=(width, 900))
    background = found.frame.locator("body").evaluate("(body) => getComputedStyle(body).backgroundColor")
    assert background == ("rgb(48, 48, 48)" if dark else "rgb(255, 255, 255)")
    assert found.frame.locator("body").evaluate("() => document.fonts.check('13px Roboto')")
    for view in ("Trajectories", "Ranking", "Heat map", "Lags", "Events", "Compare", "Explanations"):
        found.view(view)
        found.drawn()
        overflow = "(body) => body.scrollWidth - body.clientWidth"
        assert found.frame.locator("body").evaluate(overflow) <= 0
        found.picture(f"{view.lower().replace(' ', '')}_{'dark' if dark else 'light'}_{width}")


COUNT_EMPTY_PAGES = """() => {
  window.empty = 0;
  const page = document.querySelector(".page");
  new MutationObserver(() => (window.empty += !page.querySelector("svg"))).observe(page, { childList: true });
}"""


# --- what changes -----------------------------------------------------------------------------------------------------


def test_an_empty_folder_says_what_to_do(browser, tmp_path):
    board = Board(tmp_path)
    try:
        found = Tab(browser, board.address)
        found.frame.get_by_text("add SensitivityCallback(log_dir=...)").wait_for()
        found.picture("empty")
        assert found.errors == []
        found.close()
    finally:
        board.close()


def test_it_follows_a_running_training(browser, tmp_path):
    """Epochs come one by one; what is chosen stays, and nothing flickers: the page is never empty."""
    x, y = table(np.random.default_rng(0))
    watch, model = ks.SensitivityCallback(x, feature_names=NAMES, log_dir=tmp_path), network()
    steps = iter(range(100))

    def more(count):
        for _ in range(count):
            next(steps)
            model.fit(x, y, epochs=1, callbacks=[watch], verbose=0)

    more(3)
    board = Board(tmp_path, "--reload_interval=1")
    try:
        board.wait_for("sensitivity")
        found = Tab(browser, board.address, state={"features": ["debt"]})
        found.frame.get_by_text("epoch 2 of 2").wait_for()
        found.frame.get_by_label("Search features").fill("noi")
        found.frame.locator("body").evaluate(COUNT_EMPTY_PAGES)
        more(3)
        for _ in range(30):
            found.page.locator("app-header-reload button").click()
            time.sleep(0.5)
            if "epoch 5 of 5" in found.frame.locator("footer").inner_text():
                break
        assert "epoch 5 of 5" in found.frame.locator("footer").inner_text()
        assert found.frame.locator("body").evaluate("() => window.empty") == 0
        assert found.frame.get_by_label("Search features").input_value() == "noi"
        assert [name for (name,) in found.attributes("path[data-feature]", "data-feature")] == ["debt"]
        assert found.csv()[-1][1] == "5"
        found.close()
    finally:
        board.close()


def test_300_features_and_500_looks_are_complete(browser, tmp_path):
    from keras_sensitivity.records.looks import LookWriter

    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((300,)), keras.layers.Dense(1)])
    importance = ks.measure(model, rng.normal(size=(50, 300)))
    writer = LookWriter(tmp_path)
    for epoch in range(500):
        writer.write(importance, epoch, {"importance_shift": 1.0})
    writer.close()
    board = Board(tmp_path)
    try:
        board.wait_for("sensitivity")
        time.sleep(3)  # until all is read
        begun = time.perf_counter()
        found = Tab(browser, board.address, state={"top": 0})
        found.frame.locator("path[data-feature]").nth(299).wait_for(state="attached")
        seconds = time.perf_counter() - begun
        found.picture("large")
        assert len(found.csv()) == 501
        for view in ("Ranking", "Heat map"):
            found.view(view)
        assert found.errors == []
        print(f"300 features x 500 looks: {seconds:.2f} s, with TensorBoard's own page")
        found.close()
    finally:
        board.close()
