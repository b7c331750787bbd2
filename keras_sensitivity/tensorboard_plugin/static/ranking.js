/** Who matters most at an epoch: bars with standard errors. */

import { axes, boxes, inside, title } from "./chart.js";
import { largest, linear, number, percent } from "./scale.js";
import { drawing, svg, text } from "./svg.js";
import { theme } from "./theme.js";

const MARGIN = { left: 190, top: 34, right: 110, bottom: 44 };
const BAR = 24;
const MOST_BARS = 300;

export const ranking = {
  label: "Ranking",
  usesEpoch: true,

  draw(app, width) {
    const ranked = app.chosen.map((run) => ({ run, look: run.lookAt(app.state.epoch), names: rankedAt(app, run) }));
    const height = MARGIN.top + MARGIN.bottom + BAR * Math.max(1, ...ranked.map(({ names }) => names.length));
    const { placed, height: whole } = boxes(ranked, width, height, 560);
    // One scale for all epochs: bars grow and shrink while they are played.
    const most = largest(app.chosen.map((run) => largest(run.arrays.importance.values))) || 1;
    const panels = placed.map((box) => panel(app, box, most));
    return {
      elements: [drawing(width, whole, "Importance of the features at an epoch", ...panels)],
      rows: () => rows(ranked),
    };
  },
};

/** The features by their importance at the chosen epoch. */
function rankedAt(app, run) {
  const look = run.lookAt(app.state.epoch);
  const share = (name) => run.at("importance", look, name);
  const names = app.state.features ? app.features.filter((name) => run.columns.has(name)) : [...run.features];
  const sorted = names.sort((one, other) => share(other) - share(one));
  return sorted.slice(0, app.state.features ? MOST_BARS : app.state.top || MOST_BARS);
}

function panel(app, { item: { run, look, names }, x: offset, y: down, ...box }, most) {
  const area = inside(box, MARGIN);
  const x = linear([0, most * 1.02], [area.left, area.left + area.width]);
  const group = svg("g", { transform: `translate(${offset}, ${down})`, "data-run": run.run });
  group.append(
    title(`${run.run}, epoch ${run.epochs[look]}`, 8, 14),
    axes(area, { x, xTicks: x.ticks, xLabel: "importance, %" }),
  );
  const threshold = run.scalar("threshold", look);
  if (threshold !== null) {
    const line = { x1: x(threshold), x2: x(threshold), y1: area.top - 6, y2: area.top + BAR * names.length };
    const words = svg("title", {}, `Below ${percent(threshold)} a feature is dead.`);
    group.append(
      svg("line", { ...line, stroke: theme.line, "stroke-dasharray": "4 3", "data-threshold": true }, words),
    );
    group.append(text("dead below", x(threshold) + 4, area.top - 1, { fill: theme.faint, "font-size": 11 }));
  }
  names.forEach((name, index) => group.append(bar(app, run, look, name, x, area.top + BAR * index)));
  return group;
}

function bar(app, run, look, name, x, top) {
  const [share, error, rms] = ["importance", "standard_error", "rms"].map((array) => run.at(array, look, name));
  const middle = top + BAR / 2;
  const end = x(share + (error || 0));
  const words = `${name}: ${percent(share)} ± ${number(error, 2)}; rms ${number(rms)}`;
  const group = svg("g", { "data-feature": name, "data-share": share }, svg("title", {}, words));
  group.append(
    text(name, MARGIN.left - 8, middle + 4, { "text-anchor": "end" }, 26),
    svg("rect", {
      x: x(0),
      y: top + 4,
      width: Math.max(x(share) - x(0), 0.5),
      height: BAR - 8,
      fill: app.colour(name),
    }),
  );
  if (error > 0)
    group.append(
      svg("path", { d: `M${x(Math.max(share - error, 0))},${middle}H${end}`, stroke: theme.text, "stroke-width": 1.2 }),
    );
  group.append(text(`${number(share, 3)} ± ${number(error, 2)}`, end + 6, middle + 4, { fill: theme.faint }));
  return group;
}

function rows(ranked) {
  const found = [["run", "epoch", "rank", "feature", "importance", "standard_error", "rms"]];
  for (const { run, look, names } of ranked)
    names.forEach((name, index) =>
      found.push([
        run.run,
        run.epochs[look],
        index + 1,
        name,
        ...["importance", "standard_error", "rms"].map((array) => run.at(array, look, name)),
      ]),
    );
  return found;
}
