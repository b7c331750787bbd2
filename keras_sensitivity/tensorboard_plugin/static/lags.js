/** Time lags: their profile over epochs and at one, and lags by features. */

import { axes, boxes, cellAt, epochCells, inside, target, title, Tooltip } from "./chart.js";
import { cells, colours, legend } from "./heat.js";
import { largest, linear, percent, wholeTicks } from "./scale.js";
import { drawing, html, svg, text } from "./svg.js";
import { colourOf } from "./theme.js";

const NO_LAGS =
  "None of the chosen runs has a time axis: lags are those of sequences, inputs of shape (steps, features).";
const HEIGHT = 360;
const MARGIN = { left: 64, top: 66, right: 24, bottom: 46 };
const ROW = 22;

export const lags = {
  label: "Lags",
  usesEpoch: true,

  draw(app, width) {
    const runs = app.chosen.filter((run) => run.hasLags);
    if (!runs.length) return { elements: [html("p", { class: "empty" }, NO_LAGS)] };
    const tooltip = new Tooltip();
    const items = runs.flatMap((run) => [
      { run, draw: overEpochs },
      { run, draw: profile },
    ]);
    const { placed, height } = boxes(items, width, HEIGHT, 480);
    const panels = placed.map(({ item, ...box }) => item.draw(app, item.run, box, tooltip));
    const maps = runs.map((run) => byFeature(app, run, width, tooltip)).filter(Boolean);
    let below = height;
    for (const map of maps) {
      map.group.setAttribute("transform", `translate(0, ${below})`);
      below += map.height;
    }
    const picture = drawing(width, below, "Importance of the time lags", ...panels, ...maps.map((map) => map.group));
    return { elements: [picture, tooltip.element], rows: () => rows(runs) };
  },
};

const numLags = (run) => run.arrays.lags.shape[1];
const share = (run, look, lag) => run.arrays.lags.values[look * numLags(run) + lag];
const everyLag = (run) => Array.from({ length: numLags(run) }, (_, lag) => lag);

function overEpochs(app, run, box, tooltip) {
  const area = inside(box, MARGIN);
  const values = everyLag(run).map((lag) => run.epochs.map((_, look) => share(run, look, lag)));
  const scale = colours(largest(run.arrays.lags.values) || 1, app.state.log);
  const x = epochCells(run, area);
  const y = linear([-0.5, numLags(run) - 0.5], [area.top, area.top + area.height]);
  const group = svg("g", { transform: `translate(${box.x}, ${box.y})`, "data-run": run.run });
  group.append(
    title(`${run.run}: lags over epochs`, 8, 14),
    legend(scale, 8, 22, "importance, %"),
    cells(values, area, scale),
    axes(area, { x, y, xTicks: wholeTicks(x), xWords: String, yTicks: [], xLabel: "epoch" }),
  );
  const step = Math.ceil(numLags(run) / 20);
  for (const lag of everyLag(run))
    if (lag % step === 0)
      group.append(text(`lag ${lag}`, area.left - 8, y(lag) + 4, { "text-anchor": "end", "font-size": 11 }));
  const onmove = (event, left, top) => {
    const lag = cellAt(top, area.top, area.height / numLags(run), numLags(run));
    const look = run.nearestLook(x.invert(left));
    tooltip.show(event, `epoch ${run.epochs[look]}`, [[null, `lag ${lag}`, percent(share(run, look, lag))]]);
  };
  group.append(target(area, { onmove, onleave: () => tooltip.hide() }));
  return group;
}

function profile(app, run, box) {
  const area = inside(box, MARGIN);
  const look = run.lookAt(app.state.epoch);
  const most = largest(run.arrays.lags.values) || 1;
  const y = linear([0, most * 1.05], [area.top + area.height, area.top]);
  const x = linear([-0.5, numLags(run) - 0.5], [area.left, area.left + area.width]);
  const step = Math.ceil(numLags(run) / 25);
  const ticks = everyLag(run).filter((lag) => lag % step === 0);
  const bars = everyLag(run).map((lag) => {
    const [start, end] = [x(lag - 0.4), x(lag + 0.4)];
    const height = Math.max(y(0) - y(share(run, look, lag)), 0.5);
    const attributes = { x: start, y: y(0) - height, width: Math.max(end - start, 1), height, fill: colourOf(0) };
    const words = svg("title", {}, `lag ${lag}: ${percent(share(run, look, lag))}`);
    return svg("rect", { ...attributes, "data-lag": lag, "data-share": share(run, look, lag) }, words);
  });
  return svg(
    "g",
    { transform: `translate(${box.x}, ${box.y})`, "data-run": run.run },
    title(`${run.run}: lags at epoch ${run.epochs[look]}; lag 0 is the newest step`, 8, 14),
    axes(area, {
      x,
      y,
      xTicks: ticks,
      yTicks: y.ticks,
      xWords: String,
      xLabel: "lag, steps",
      yLabel: "importance, %",
    }),
    ...bars,
  );
}

/** Lags by features at an epoch; null where the records do not hold them. */
function byFeature(app, run, width, tooltip) {
  if (!run.in_looks.includes("by_lag")) return null;
  const look = run.lookAt(app.state.epoch);
  const found = app.look(run, run.epochs[look]);
  const names = app.features.filter((name) => run.columns.has(name));
  const area = { left: 170, top: 62, width: width - 170 - MARGIN.right, height: ROW * names.length };
  const height = area.top + area.height + MARGIN.bottom;
  const group = svg("g", { "data-run": run.run, "data-by-lag": true });
  group.append(title(`${run.run}: lags by features at epoch ${run.epochs[look]}`, 8, 14));
  if (!found || found.error) {
    group.append(text(found?.error ?? "…", 8, 40));
    return { group, height };
  }
  const { values } = found.arrays.by_lag;
  const sum = values.reduce((total, value) => total + (value || 0), 0) || 1;
  const at = (name, lag) => (100 * values[lag * run.features.length + run.columns.get(name)]) / sum;
  const rowsOfCells = names.map((name) => everyLag(run).map((lag) => at(name, lag)));
  const scale = colours(largest(rowsOfCells.flat()) || 1, app.state.log);
  const x = linear([-0.5, numLags(run) - 0.5], [area.left, area.left + area.width]);
  const step = Math.ceil(numLags(run) / 40);
  group.append(
    legend(scale, 8, 24, "part of all sensitivity, %"),
    cells(rowsOfCells, area, scale),
    axes(area, { x, xTicks: everyLag(run).filter((lag) => lag % step === 0), xWords: String, xLabel: "lag, steps" }),
    ...names.map((name, index) =>
      text(name, area.left - 8, area.top + ROW * (index + 0.5) + 4, { "text-anchor": "end" }, 24),
    ),
  );
  const onmove = (event, left, top) => {
    const name = names[cellAt(top, area.top, ROW, names.length)];
    const lag = cellAt(left, area.left, area.width / numLags(run), numLags(run));
    tooltip.show(event, `lag ${lag}`, [[app.colour(name), name, percent(at(name, lag))]]);
  };
  group.append(target(area, { onmove, onleave: () => tooltip.hide() }));
  return { group, height };
}

function rows(runs) {
  const most = Math.max(...runs.map(numLags));
  const found = [["run", "epoch", ...Array.from({ length: most }, (_, lag) => `lag ${lag}`)]];
  for (const run of runs)
    run.epochs.forEach((epoch, look) =>
      found.push([run.run, epoch, ...everyLag(run).map((lag) => share(run, look, lag))]),
    );
  return found;
}
