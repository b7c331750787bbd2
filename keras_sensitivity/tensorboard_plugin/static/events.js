/** Who died or revived, when, and why. */

import { percent } from "./scale.js";
import { html, swatch } from "./svg.js";

const NO_EVENTS = "No feature has died in the chosen runs.";
const COLUMNS = ["run", "epoch", "feature", "event", "importance", "threshold", "reason"];

export const events = {
  label: "Events",
  usesEpoch: false,

  draw(app) {
    const chosen = app.state.features && new Set(app.state.features);
    const every = app.chosen.flatMap((run) => run.events.map((event) => ({ run: run.run, ...event })));
    const shown = every
      .filter((event) => !chosen || chosen.has(event.feature))
      .sort((one, other) => other.epoch - one.epoch);
    if (!shown.length) return { elements: [html("p", { class: "empty" }, NO_EVENTS)] };
    const rows = () => [COLUMNS, ...shown.map((event) => COLUMNS.map((column) => event[column]))];
    return { elements: [table(app, shown)], rows };
  },
};

function table(app, shown) {
  const head = html("tr", {}, ...COLUMNS.map((column) => html("th", { scope: "col" }, column)));
  const body = shown.map((event) => {
    return html(
      "tr",
      { class: event.event },
      html("td", { title: event.run }, event.run),
      html("td", { class: "number" }, event.epoch),
      html("td", { title: event.feature }, swatch(app.colour(event.feature)), event.feature),
      html("td", { class: "event" }, event.event),
      html("td", { class: "number" }, percent(event.importance)),
      html("td", { class: "number" }, percent(event.threshold)),
      html("td", {}, event.reason),
    );
  });
  return html("table", { class: "events" }, html("thead", {}, head), html("tbody", {}, ...body));
}
