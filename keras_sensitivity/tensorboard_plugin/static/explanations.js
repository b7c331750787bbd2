/** Single predictions, as `explain` wrote them. */

import { axes, title } from "./chart.js";
import { linear, number, percent } from "./scale.js";
import { select } from "./sidebar.js";
import { drawing, html, svg, text } from "./svg.js";
import { theme } from "./theme.js";

const NONE = "No explanations in this log directory: pass log_dir to keras_sensitivity.explain(model, x, log_dir=...).";
const [NAMES, BAR] = [250, 24];
const MOST_BARS = 100;
const MOST_UNITS = 10;

export const explanations = {
  label: "Explanations",
  usesEpoch: false,
  needs: "explanation",

  draw(app, width) {
    const runs = app.known.filter((each) => each.explanation).map((each) => each.run);
    if (!runs.length) return { elements: [html("p", { class: "empty" }, NONE)] };
    const run = runs.includes(app.state.explained) ? app.state.explained : runs[0];
    const found = app.explanation(run);
    if (!found || found.error) return { elements: [html("p", { class: "empty" }, found?.error ?? " ")] };
    const sample = Math.min(app.state.sample, found.samples.length - 1);
    const elements = [controls(app, runs, run, found, sample), bars(app, found, sample, width)];
    return { elements, rows: () => rows(found) };
  },
};

function controls(app, runs, run, found, sample) {
  const ofRun = select(
    "Run",
    runs.map((name) => [name, name]),
    (value) => app.set({ explained: value, sample: 0 }),
  );
  ofRun.value = run;
  const labels = found.samples.map((label, index) => [index, label]);
  const ofSample = select("Sample", labels, (value) => app.set({ sample: Number(value) }));
  ofSample.value = sample;
  const step = (by) => () => app.set({ sample: Math.min(Math.max(sample + by, 0), found.samples.length - 1) });
  const button = (words, label, by) =>
    html("button", { class: "small", "aria-label": label, onclick: step(by) }, words);
  return html(
    "div",
    { class: "controls" },
    html("label", {}, "run ", ofRun),
    html("label", {}, "sample ", ofSample),
    button("◀", "Sample before", -1),
    button("▶", "Next sample", 1),
  );
}

const at = (found, array, sample, index) => found.arrays[array].values[sample * found.arrays[array].shape[1] + index];

/** The features of a sample, the largest share first; those that were chosen, or the most important ones. */
function ranked(app, found, sample) {
  const chosen = app.state.features && new Set(app.state.features);
  const indexes = found.features
    .map((_, index) => index)
    .filter((index) => !chosen || chosen.has(found.features[index]));
  indexes.sort((one, other) => at(found, "share", sample, other) - at(found, "share", sample, one));
  return indexes.slice(0, chosen ? MOST_BARS : app.state.top || MOST_BARS);
}

function bars(app, found, sample, width) {
  const indexes = ranked(app, found, sample);
  const area = { left: NAMES, top: 56, width: width - NAMES - 190, height: BAR * indexes.length };
  const most = Math.max(...indexes.map((index) => at(found, "share", sample, index)), 1e-9);
  const x = linear([0, most * 1.02], [area.left, area.left + area.width]);
  const units = found.units
    .slice(0, MOST_UNITS)
    .map((unit, index) => `${unit}: ${number(at(found, "prediction", sample, index))}`);
  const drawn = indexes.map((index, place) => {
    const name = found.features[index];
    const top = area.top + BAR * place;
    const [share, sign] = [at(found, "share", sample, index), at(found, "sign", sample, index)];
    const value = found.values[sample]?.[index];
    const fill = sign > 0 ? theme.positive : sign < 0 ? theme.negative : theme.band;
    const effect = sign > 0 ? "a higher value raises the output" : sign < 0 ? "a higher value lowers the output" : "";
    return svg(
      "g",
      { "data-feature": name, "data-share": share },
      svg("title", {}, `${name}: ${percent(share)}`),
      text(value ? `${name} = ${value}` : name, area.left - 8, top + BAR / 2 + 4, { "text-anchor": "end" }, 36),
      svg("rect", { x: x(0), y: top + 4, width: Math.max(x(share) - x(0), 0.5), height: BAR - 8, fill }),
      text(`${number(share, 3)}${effect && `  ${sign > 0 ? "↑" : "↓"}`}`, x(share) + 6, top + BAR / 2 + 4, {
        fill: theme.faint,
      }),
    );
  });
  return drawing(
    width,
    area.top + area.height + 46,
    `Shares of the features in the prediction of ${found.samples[sample]}`,
    title(`sample ${found.samples[sample]}`, 8, 14),
    text(`${units.join(", ")}${found.units.length > MOST_UNITS ? ", …" : ""}`, 8, 34, { fill: theme.faint }),
    axes(area, {
      x,
      xTicks: x.ticks,
      xLabel: "share, %; orange ↑: a higher value raises the output, blue ↓: lowers it",
    }),
    ...drawn,
  );
}

function rows(found) {
  const head = ["sample", ...found.features];
  const shares = found.samples.map((label, sample) => [
    label,
    ...found.features.map((_, index) => at(found, "share", sample, index)),
  ]);
  return [head, ...shares];
}
