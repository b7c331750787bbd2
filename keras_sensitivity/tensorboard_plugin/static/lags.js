/** Time lags: their profile over epochs and at one, and lags by features. */

import { axes, boxes, title, Tooltip } from "./chart.js";
import { cells, colours, legend } from "./heat.js";
import { largest, linear, number, percent, wholeTicks } from "./scale.js";
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

function areaOf({ width, height }) {
  return {
    left: MARGIN.left,
    top: MARGIN.top,
    width: width - MARGIN.left - MARGIN.right,
    height: height - MARGIN.top - MARGIN.bottom,
  };
}

function overEpochs(app, run, box, tooltip) {
  const area = areaOf(box);
  const values = everyLag(run).map((lag) => run.epochs.map((_, look) => share(run, look, lag)));
  const scale = colours(largest(run.arrays.lags.values) || 1, app.state.log);
  const half = run.numLooks > 1 ? (run.epochs.at(-1) - run.epochs[0]) / (run.numLooks - 1) / 2 : 0.5;
  const x = linear([run.epochs[0] - half, run.epochs.at(-1) + half], [area.left, area.left + area.width]);
  const y = linear([-0.5, numLags(run) - 0.5], [area.top, area.top + area.height]);
  const place = { x: area.left, y: area.top, width: area.width, height: area.height };
  const group = svg("g", { transform: `translate(${box.x}, ${box.y})`, "data-run": run.run });
  group.append(
    title(`${run.run}: lags over epochs`, 8, 14),
    legend(scale, 8, 22, (tick) => number(tick, 2), "importance, %"),
    cells(values, place, scale),
    axes(area, { x, y, xTicks: wholeTicks(x), xWords: String, yTicks: [], xLabel: "epoch" }),
  );
  const step = Math.ceil(numLags(run) / 20);
  for (const lag of everyLag(run))
    if (lag % step === 0)
      group.append(text(`lag ${lag}`, area.left - 8, y(lag) + 4, { "text-anchor": "end", "font-size": 11 }));
  const show = (event) => {
    const { left, top } = target.getBoundingClientRect();
    const lag = Math.min(numLags(run) - 1, Math.max(0, Math.round(y.invert(event.clientY - top + area.top))));
    const epoch = x.invert(event.clientX - left + area.left);
    const look = run.epochs.reduce(
      (best, each, at) => (Math.abs(each - epoch) < Math.abs(run.epochs[best] - epoch) ? at : best),
      0,
    );
    tooltip.show(event, `epoch ${run.epochs[look]}`, [[null, `lag ${lag}`, percent(share(run, look, lag))]]);
  };
  const target = svg("rect", {
    ...place,
    fill: "transparent",
    "data-transient": true,
    onpointermove: show,
    onpointerleave: () => tooltip.hide(),
  });
  group.append(target);
  return group;
}

function profile(app, run, box) {
  const area = areaOf(box);
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
      yWords: (tick) => number(tick),
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
  const place = { x: area.left, y: area.top, width: area.width, height: area.height };
  group.append(
    legend(scale, 8, 24, (tick) => number(tick, 2), "part of all sensitivity, %"),
    cells(rowsOfCells, place, scale),
    axes(area, { x, xTicks: everyLag(run).filter((lag) => lag % step === 0), xWords: String, xLabel: "lag, steps" }),
    ...names.map((name, index) =>
      text(name, area.left - 8, area.top + ROW * (index + 0.5) + 4, { "text-anchor": "end" }, 24),
    ),
  );
  const show = (event) => {
    const { left, top } = target.getBoundingClientRect();
    const index = Math.min(names.length - 1, Math.max(0, Math.floor((event.clientY - top) / ROW)));
    const lag = Math.min(numLags(run) - 1, Math.max(0, Math.round(x.invert(event.clientX - left + area.left))));
    tooltip.show(event, `lag ${lag}`, [[app.colour(names[index]), names[index], percent(at(names[index], lag))]]);
  };
  const target = svg("rect", {
    ...place,
    fill: "transparent",
    "data-transient": true,
    onpointermove: show,
    onpointerleave: () => tooltip.hide(),
  });
  group.append(target);
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
