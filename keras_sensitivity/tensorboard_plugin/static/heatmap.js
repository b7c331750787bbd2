/** Importances over epochs, a row of colours a feature: for more features than lines can show. */

import { axes, boxes, title, Tooltip } from "./chart.js";
import { cells, colours, legend } from "./heat.js";
import { largest, linear, number, percent, wholeTicks } from "./scale.js";
import { drawing, svg, text } from "./svg.js";

const MARGIN = { left: 170, top: 62, right: 24, bottom: 46 };
const [TALLEST, LOWEST] = [22, 2];

export const heatMap = {
  label: "Heat map",
  usesEpoch: false,

  draw(app, width) {
    const names = app.state.features ? app.features : app.sorted;
    const row = Math.max(LOWEST, Math.min(TALLEST, Math.floor(640 / Math.max(names.length, 1))));
    const { placed, height } = boxes(app.chosen, width, MARGIN.top + MARGIN.bottom + row * names.length, 560);
    const scale = colours(largest(app.chosen.map((run) => largest(run.arrays.importance.values))) || 1, true);
    const tooltip = new Tooltip();
    const panels = placed.map((box) => panel(app, box, names, row, scale, tooltip));
    const picture = drawing(width, height, "Importance of the features over epochs, as colours", ...panels);
    return { elements: [picture, tooltip.element], rows: () => rows(app, names) };
  },
};

function panel(app, { item: run, x: offset, y: down, width }, every, row, scale, tooltip) {
  const names = every.filter((name) => run.columns.has(name));
  const area = {
    left: MARGIN.left,
    top: MARGIN.top,
    width: width - MARGIN.left - MARGIN.right,
    height: row * names.length,
  };
  const values = names.map((name) => run.trajectory(name));
  const half = run.numLooks > 1 ? (run.epochs.at(-1) - run.epochs[0]) / (run.numLooks - 1) / 2 : 0.5;
  const x = linear([run.epochs[0] - half, run.epochs.at(-1) + half], [area.left, area.left + area.width]);
  const place = { x: area.left, y: area.top, width: area.width, height: area.height };
  const group = svg("g", { transform: `translate(${offset}, ${down})`, "data-run": run.run });
  group.append(
    title(run.run, 8, 14),
    legend(scale, 8, 24, (tick) => number(tick, 2), "importance, %"),
    cells(values, place, scale),
    axes(area, { x, xTicks: wholeTicks(x), xWords: String, xLabel: "epoch" }),
  );
  const step = Math.max(1, Math.ceil(11 / row));
  names.forEach((name, index) => {
    if (index % step) return;
    const attributes = { "text-anchor": "end", "font-size": Math.min(12, Math.max(9, row * step - 1)) };
    group.append(text(name, area.left - 8, area.top + row * (index + 0.5) + 4, attributes, 24));
  });
  const show = (event) => {
    const { left, top } = target.getBoundingClientRect();
    const index = Math.min(names.length - 1, Math.max(0, Math.floor((event.clientY - top) / row)));
    const epoch = x.invert(event.clientX - left + area.left);
    const look = run.epochs.reduce(
      (best, each, at) => (Math.abs(each - epoch) < Math.abs(run.epochs[best] - epoch) ? at : best),
      0,
    );
    const share = run.at("importance", look, names[index]);
    tooltip.show(event, `${run.run}, epoch ${run.epochs[look]}`, [
      [app.colour(names[index]), names[index], percent(share)],
    ]);
  };
  const target = svg("rect", {
    ...place,
    fill: "transparent",
    "data-transient": true,
    "data-pointer": run.run,
    onpointermove: show,
    onpointerleave: () => tooltip.hide(),
  });
  group.append(target);
  return group;
}

function rows(app, names) {
  const found = [["run", "epoch", ...names]];
  for (const run of app.chosen)
    run.epochs.forEach((epoch, look) =>
      found.push([run.run, epoch, ...names.map((name) => run.at("importance", look, name))]),
    );
  return found;
}
