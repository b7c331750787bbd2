/** Importances over epochs, a row of colours a feature: for more features than lines can show. */

import { axes, boxes, cellAt, epochCells, target, title, Tooltip } from "./chart.js";
import { importances } from "./data.js";
import { cells, colours, legend } from "./heat.js";
import { largest, percent, wholeTicks } from "./scale.js";
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
    return { elements: [picture, tooltip.element], rows: () => importances(app.chosen, names) };
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
  const x = epochCells(run, area);
  const group = svg("g", { transform: `translate(${offset}, ${down})`, "data-run": run.run });
  group.append(
    title(run.run, 8, 14),
    legend(scale, 8, 24, "importance, %"),
    cells(values, area, scale),
    axes(area, { x, xTicks: wholeTicks(x), xWords: String, xLabel: "epoch" }),
  );
  const step = Math.max(1, Math.ceil(11 / row));
  names.forEach((name, index) => {
    if (index % step) return;
    const attributes = { "text-anchor": "end", "font-size": Math.min(12, Math.max(9, row * step - 1)) };
    group.append(text(name, area.left - 8, area.top + row * (index + 0.5) + 4, attributes, 24));
  });
  const onmove = (event, left, top) => {
    const name = names[cellAt(top, area.top, row, names.length)];
    const look = run.nearestLook(x.invert(left));
    const share = percent(run.at("importance", look, name));
    tooltip.show(event, `${run.run}, epoch ${run.epochs[look]}`, [[app.colour(name), name, share]]);
  };
  group.append(target(area, { onmove, onleave: () => tooltip.hide(), "data-pointer": run.run }));
  return group;
}
