/** The tab: what is chosen, what is loaded, and who draws it. */

import { ask, Run } from "./data.js";
import { buttons, updateButtons } from "./downloads.js";
import { linkedState, onReload, onTheme, takeFonts } from "./host.js";
import { Player } from "./player.js";
import { Sidebar } from "./sidebar.js";
import { START, stateOf } from "./state.js";
import { html } from "./svg.js";
import { colourOf, setDark } from "./theme.js";
import { VIEWS } from "./views.js";

const NO_DATA = "No sensitivity data in this log directory: add SensitivityCallback(log_dir=...) to model.fit.";
const NO_LOOK =
  "There are explanations in this log directory, but no training: add SensitivityCallback(log_dir=...) to model.fit.";
const NO_RUN = "No run is chosen: choose one on the left.";
const NEWEST_RUNS = 3;
const MOST_ANSWERS = 200;
const NARROWEST = 560; // drawings are scrolled where there is less room

export async function start(document) {
  const style = html("link", { rel: "stylesheet", href: new URL("./style.css", import.meta.url).href });
  const isStyled = new Promise((resolve) => (style.onload = style.onerror = resolve));
  document.head.append(style);
  takeFonts(document);
  await isStyled; // the sizes of drawings depend on it
  const app = new App(document.body);
  onTheme((isDark) => {
    setDark(isDark);
    document.documentElement.classList.toggle("dark", isDark);
    app.draw();
  });
  onReload(() => app.reload());
  new ResizeObserver(() => app.draw()).observe(app.page);
  await app.reload();
}

class App {
  constructor(body) {
    this.state = stateOf(linkedState());
    this.known = []; // what there is: {run, newest, looks, explanation, features}
    this.runs = new Map();
    this.answers = new Map();
    this.failures = new Map();
    this.page = html("div", { class: "page", tabindex: 0, "aria-label": "Drawing; arrow keys move the epoch" });
    this.tabs = html("nav", { role: "tablist", "aria-label": "Views" });
    this.notes = html("div", { class: "notes", role: "status" });
    this.player = new Player(this);
    this.sidebar = new Sidebar(this);
    this.downloads = buttons(this);
    const bar = html("header", {}, this.tabs, this.downloads);
    const main = html("main", {}, bar, this.notes, this.page, this.player.element);
    body.replaceChildren(this.sidebar.element, main);
    this.page.addEventListener("keydown", (event) => this.player.onKey(event));
    this.makeTabs();
  }

  makeTabs() {
    const move = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const ids = Object.keys(VIEWS);
      this.set({ view: ids[(ids.indexOf(this.state.view) + step + ids.length) % ids.length] });
      this.tabs.querySelector("[aria-selected=true]").focus();
    };
    for (const [id, view] of Object.entries(VIEWS)) {
      const choose = () => this.set({ view: id });
      this.tabs.append(html("button", { role: "tab", "data-view": id, onclick: choose, onkeydown: move }, view.label));
    }
  }

  /** Change what is chosen, and draw. */
  set(change) {
    Object.assign(this.state, change);
    if ("runs" in change) this.load();
    this.draw();
  }

  /** Read anew what has changed since. */
  async reload() {
    try {
      this.known = (await ask("./runs")).runs;
      this.failures.delete("");
    } catch (error) {
      this.failures.set("", error.message);
    }
    const names = new Set(this.known.flatMap((each) => each.features));
    this.indexes = new Map([...names].map((name, index) => [name, index]));
    await this.load();
    this.isLoaded = true;
    this.draw();
  }

  /** Load the chosen runs, where they are not there, or have grown. */
  async load() {
    const stale = this.chosenNames.filter((name) => this.runs.get(name)?.newest !== this.about(name).newest);
    await Promise.all(stale.map((name) => this.loadRun(name)));
    if (stale.length) this.draw();
  }

  async loadRun(name) {
    const { newest } = this.about(name);
    try {
      this.runs.set(name, Object.assign(new Run(await ask("./run", { run: name })), { newest }));
      this.failures.delete(name);
    } catch (error) {
      this.failures.set(name, error.message);
      this.runs.set(name, { newest, failed: true });
    }
  }

  about(name) {
    return this.known.find((each) => each.run === name);
  }

  /** The names of all runs with looks. */
  get trainings() {
    return this.known.filter((each) => each.looks).map((each) => each.run);
  }

  /** The names of the chosen runs. */
  get chosenNames() {
    const every = this.trainings;
    if (this.state.runs) return this.state.runs.filter((name) => every.includes(name));
    const byAge = [...every].sort((one, other) => this.about(other).newest - this.about(one).newest);
    return every.filter((name) => byAge.indexOf(name) < NEWEST_RUNS);
  }

  /** The chosen runs that are loaded. */
  get chosen() {
    return this.chosenNames.map((name) => this.runs.get(name)).filter((run) => run && !run.failed);
  }

  /** All features of the chosen runs, sorted as chosen. */
  get sorted() {
    const names = [...new Set(this.chosen.flatMap((run) => run.features))];
    if (this.state.sort === "name")
      return names.sort((one, other) => one.localeCompare(other, undefined, { numeric: true }));
    const key = this.state.sort === "change" ? (name) => this.change(name) : (name) => this.newest(name);
    const keys = new Map(names.map((name) => [name, key(name)]));
    return names.sort((one, other) => keys.get(other) - keys.get(one));
  }

  /** The largest newest importance of a feature among the chosen runs. */
  newest(name) {
    return Math.max(...this.chosen.map((run) => run.at("importance", run.numLooks - 1, name) ?? 0));
  }

  /** How far the importance of a feature moved from the first look to the newest. */
  change(name) {
    const moved = (run) =>
      Math.abs((run.at("importance", run.numLooks - 1, name) ?? 0) - (run.at("importance", 0, name) ?? 0));
    return Math.max(...this.chosen.map(moved));
  }

  /** The features that are drawn. */
  get features() {
    const sorted = this.sorted;
    if (this.state.features) {
      const chosen = new Set(this.state.features);
      return sorted.filter((name) => chosen.has(name));
    }
    if (!this.state.top) return sorted;
    const top = new Set(
      [...sorted].sort((one, other) => this.newest(other) - this.newest(one)).slice(0, this.state.top),
    );
    return sorted.filter((name) => top.has(name));
  }

  colour(name) {
    return colourOf(this.indexes.get(name) ?? 0);
  }

  runColour(name) {
    return colourOf(this.trainings.indexOf(name));
  }

  /** All numbers of a look; null until they are there. */
  look(run, epoch) {
    return this.cached("./look", { run: run.run, epoch }, run.newest);
  }

  /** What `explain` wrote to a run; null until it is there. */
  explanation(name) {
    return this.cached("./explanation", { run: name }, this.about(name).newest);
  }

  /** An answer that holds as long as its run has nothing newer; null until it is there. */
  cached(path, parameters, newest) {
    const [cache, key] = [this.answers, JSON.stringify([path, parameters, newest])];
    if (!cache.has(key)) {
      if (cache.size > MOST_ANSWERS) cache.clear();
      cache.set(key, null);
      ask(path, parameters)
        .then(
          (found) => cache.set(key, found),
          (error) => cache.set(key, { error: error.message }),
        )
        .then(() => this.draw());
    }
    return cache.get(key);
  }

  /** Draw everything, once a frame at the most. */
  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.drawNow();
    });
  }

  drawNow() {
    if (!this.page.clientWidth) return; // another tab is in front
    const view = VIEWS[this.state.view] ?? VIEWS[(this.state.view = START.view)];
    for (const tab of this.tabs.children) {
      const isChosen = tab.dataset.view === this.state.view;
      tab.setAttribute("aria-selected", isChosen);
      tab.tabIndex = isChosen ? 0 : -1;
    }
    this.sidebar.update();
    this.player.update(view.usesEpoch && this.chosen.length > 0);
    this.notes.replaceChildren(
      ...[...this.failures].map(([run, words]) => html("p", {}, run ? `${run}: ${words}` : words)),
    );
    const empty = this.emptiness(view);
    this.drawn = empty
      ? { elements: [html("p", { class: "empty" }, empty)] }
      : view.draw(this, Math.max(this.page.clientWidth, NARROWEST));
    this.page.replaceChildren(...this.drawn.elements);
    updateButtons(this.downloads, this);
    if (this.isLoaded) document.body.dataset.ready = this.state.view;
  }

  /** What to say where a view has nothing to draw. */
  emptiness(view) {
    if (!this.isLoaded) return " ";
    if (!this.known.length) return this.failures.size ? " " : NO_DATA;
    if (view.needs === "explanation") return null;
    if (!this.trainings.length) return NO_LOOK;
    if (!this.chosenNames.length) return NO_RUN;
    if (!this.chosen.length) return " "; // still loading, or its failure is told
    return null;
  }
}
