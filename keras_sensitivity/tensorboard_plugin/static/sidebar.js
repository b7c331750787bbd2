/** The runs and the features, to be chosen. */

import { number } from "./scale.js";
import { html } from "./svg.js";

const TOPS = [5, 10, 20, 50, 0];
const SORTS = ["importance", "change", "name"];
const MOST_ROWS = 1000;

export class Sidebar {
  constructor(app) {
    this.app = app;
    this.runList = html("ul", { class: "runs", "aria-label": "Runs" });
    this.search = html("input", {
      type: "search",
      placeholder: "Search features",
      "aria-label": "Search features",
      oninput: () => this.app.draw(),
    });
    this.top = select(
      "Number of features",
      TOPS.map((top) => [top, top ? `top ${top}` : "all"]),
      (value) => app.set({ top: Number(value), features: null }),
    );
    this.sort = select(
      "Sort by",
      SORTS.map((sort) => [sort, `by ${sort}`]),
      (sort) => app.set({ sort }),
    );
    this.log = html("input", { type: "checkbox", id: "log", onchange: () => app.set({ log: this.log.checked }) });
    this.found = html("button", { class: "small", onclick: () => this.chooseFound() }, "Choose these");
    this.none = html("button", { class: "small", onclick: () => app.set({ features: [] }) }, "None");
    this.reset = html("button", { class: "small", onclick: () => app.set({ features: null }) }, "Most important");
    this.featureList = html("ul", { class: "features", "aria-label": "Features" });
    this.rest = html("p", { class: "rest" });
    this.rows = new Map();
    this.element = html(
      "aside",
      {},
      html("h2", {}, "Runs"),
      this.runList,
      html("h2", {}, "Features"),
      this.search,
      html("div", { class: "options" }, this.top, this.sort, html("label", { for: "log" }, this.log, "log")),
      html("div", { class: "options" }, this.found, this.none, this.reset),
      this.featureList,
      this.rest,
    );
  }

  update() {
    const { app } = this;
    this.top.value = app.state.top;
    this.sort.value = app.state.sort;
    this.log.checked = app.state.log;
    this.updateRuns();
    this.updateFeatures();
  }

  updateRuns() {
    const { app } = this;
    const chosen = new Set(app.chosenNames);
    const rows = app.trainings.map((name) => {
      const toggle = () => app.set({ runs: app.trainings.filter((each) => (each === name) !== chosen.has(each)) });
      const row = this.row(`run\n${name}`, name);
      row.box.checked = chosen.has(name);
      row.box.onchange = toggle;
      row.swatch.style.background = app.runColour(name);
      const when = new Date(1000 * app.about(name).newest);
      row.value.textContent = when.toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" });
      return row.element;
    });
    arrange(this.runList, rows);
  }

  /** The features that the search finds. */
  get matching() {
    const query = this.search.value.trim().toLowerCase();
    return this.app.sorted.filter((name) => name.toLowerCase().includes(query));
  }

  updateFeatures() {
    const { app } = this;
    const chosen = new Set(app.features);
    const matching = this.matching;
    const rows = matching.slice(0, MOST_ROWS).map((name) => {
      const row = this.row(`feature\n${name}`, name);
      row.box.checked = chosen.has(name);
      row.box.onchange = () => app.set({ features: app.sorted.filter((each) => (each === name) !== chosen.has(each)) });
      row.swatch.style.background = app.colour(name);
      row.value.textContent = number(app.newest(name), 3);
      return row.element;
    });
    arrange(this.featureList, rows);
    this.rest.textContent = matching.length > MOST_ROWS ? `and ${matching.length - MOST_ROWS} more: search` : "";
    this.found.disabled = !this.search.value.trim();
    this.reset.disabled = app.state.features === null;
  }

  chooseFound() {
    this.app.set({ features: this.matching });
  }

  /** A line of a list, made once, so that it keeps the focus. */
  row(key, name) {
    if (!this.rows.has(key)) {
      const box = html("input", { type: "checkbox" });
      const swatch = html("span", { class: "swatch" });
      const value = html("span", { class: "value" });
      const element = html(
        "li",
        {},
        html("label", { title: name }, box, swatch, html("span", { class: "name" }, name), value),
      );
      this.rows.set(key, { box, swatch, value, element });
    }
    return this.rows.get(key);
  }
}

/** Let a list have these lines, moving no more than needed: a line that moves loses the focus. */
function arrange(list, rows) {
  if (rows.length === list.children.length && rows.every((row, index) => row === list.children[index])) return;
  const focused = document.activeElement;
  list.replaceChildren(...rows);
  if (focused && list.contains(focused)) focused.focus();
}

export function select(label, options, onchange) {
  const element = html("select", { "aria-label": label, onchange: () => onchange(element.value) });
  element.append(...options.map(([value, words]) => html("option", { value }, words)));
  return element;
}
