/** Importances over epochs: a line a feature, the band of noise, and who died when. */

import {
  apart,
  boxes,
  curve,
  importanceAxes,
  importanceScale,
  numColumns,
  path,
  target,
  title,
  Tooltip,
} from "./chart.js";
import { importances } from "./data.js";
import { linear, number, percent } from "./scale.js";
import { cut, drawing, svg, text } from "./svg.js";
import { theme } from "./theme.js";

const MARGIN = { left: 64, top: 40, right: 168, bottom: 46 };
const LEGEND = "grey: noise   ┄ dead below   ✕ died   ○ revived";
const MOST_LABELS = 40;
const MOST_NAMES = 3; // of an epoch's deaths
const MOST_LETTERS = 16;
const [MOST_LANES, LANE] = [6, 15];
const MOST_LINES_OF_TOOLTIP = 16;
const LOWEST = 1e-3;

export const trajectories = {
  label: "Trajectories",
  usesEpoch: true,

  draw(app, width) {
    const tooltip = new Tooltip();
    const numRows = Math.ceil(app.chosen.length / numColumns(app.chosen.length, width));
    const height = Math.max(360, Math.min(620, (window.innerHeight - 140) / numRows));
    const { placed, height: whole } = boxes(app.chosen, width, height);
    const names = app.features;
    const domain = shares(app, names);
    const panels = placed.map((box) => panel(app, box, names, domain, tooltip));
    const picture = drawing(width, whole, "Importance of the features over epochs", ...panels);
    return { elements: [picture, tooltip.element], rows: () => importances(app.chosen, names) };
  },
};

/** From the smallest to the largest number that is drawn. */
function shares(app, names) {
  let [low, high] = [Infinity, 0];
  const take = (value) => {
    if (value === null || value === undefined) return;
    high = Math.max(high, value);
    if (value > 0) low = Math.min(low, value);
  };
  for (const run of app.chosen) {
    for (const name of names) run.trajectory(name).forEach(take);
    run.epochs.forEach((_, look) => take(run.scalar("noise/upper", look)));
  }
  return [Math.max(Math.min(low, high || 1), LOWEST), high || 100];
}

function panel(app, box, names, domain, tooltip) {
  const run = box.item;
  const [left, right] = [MARGIN.left, box.width - MARGIN.right];
  const x = linear([run.epochs[0], Math.max(run.epochs.at(-1), run.epochs[0] + 1)], [left, right]);
  const shown = names.filter((name) => run.columns.has(name));
  const { lanes, numLanes } = packed(eventsOf(app, run, shown), x, right + MARGIN.right);
  const bottom = box.height - MARGIN.bottom - numLanes * LANE;
  const area = { left, top: MARGIN.top, width: right - left, height: bottom - MARGIN.top };
  const y = importanceScale(domain, app.state.log, area);
  const group = svg("g", { transform: `translate(${box.x}, ${box.y})`, "data-run": run.run });
  group.append(
    title(run.run, 8, 14),
    text(LEGEND, right, 14, { "text-anchor": "end", fill: theme.faint, "font-size": 11 }),
    importanceAxes(area, x, y),
    noise(run, x, y),
  );
  for (const name of shown) group.append(line(run, name, x, y, app.colour(name)));
  group.append(marker(app, run, x, area), ...lanes.flatMap((lane) => eventMarks(lane, x, y, bottom)));
  if (shown.length <= MOST_LABELS) group.append(labels(app, run, shown, y, area));
  group.append(pointer(app, run, shown, x, area, tooltip));
  return group;
}

function line(run, name, x, y, stroke) {
  const points = run.trajectory(name).map((share, look) => [x(run.epochs[look]), y(share)]);
  return curve(points, stroke, { "data-feature": name });
}

/** The band in which a feature lies that means nothing, and the threshold of death. */
function noise(run, x, y) {
  const group = svg("g", {});
  const at = (key) =>
    run.epochs.map((epoch, look) => [x(epoch), run.scalar(key, look)]).filter(([, value]) => value !== null);
  const [lower, upper, threshold] = ["noise/lower", "noise/upper", "threshold"].map((key) =>
    at(key).map(([left, value]) => [left, y(value)]),
  );
  if (upper.length > 1) {
    const outline = `${path([...upper, ...lower.toReversed()])}Z`;
    group.append(svg("path", { d: outline, fill: theme.band, "fill-opacity": 0.25, "data-noise": true }));
  }
  if (threshold.length > 1)
    group.append(
      svg("path", {
        d: path(threshold),
        fill: "none",
        stroke: theme.faint,
        "stroke-dasharray": "4 3",
        "data-threshold": true,
      }),
    );
  return group;
}

/** Where the slider stands. */
function marker(app, run, x, { top, height }) {
  if (app.state.epoch === null) return "";
  const place = x(run.epochs[run.lookAt(app.state.epoch)]);
  return svg("line", { x1: place, x2: place, y1: top, y2: top + height, stroke: theme.faint, "data-transient": true });
}

/** The events that are drawn: of those who are chosen; without a choice all, for who dies is seldom important. */
function eventsOf(app, run, shown) {
  return app.state.features ? run.events.filter((event) => shown.includes(event.feature)) : run.events;
}

/** The events of each epoch with a lane below the axis for their names, null of those that find no room. */
function packed(events, x, end) {
  const together = Map.groupBy(events, (event) => `${event.epoch} ${event.event}`);
  const free = Array(MOST_LANES).fill(-Infinity);
  const lanes = [...together.values()].map((found) => {
    const words = named(found);
    const width = 22 + 6.2 * words.length;
    const left = Math.min(x(found[0].epoch), end - width);
    const lane = free.findIndex((place) => place <= left);
    if (lane >= 0) free[lane] = left + width;
    return { found, words, left, lane: lane < 0 ? null : lane };
  });
  return { lanes, numLanes: free.filter(Number.isFinite).length };
}

/** Marks where the events are, and in their lane once more with the names. */
function eventMarks({ found, words, left, lane }, x, y, bottom) {
  const marks = found.map((event) =>
    svg(
      "g",
      { "data-event": event.event, "data-feature": event.feature },
      mark(event, x(event.epoch), y(event.importance)),
      svg("title", {}, told(event)),
    ),
  );
  if (lane === null) return marks;
  const top = bottom + MARGIN.bottom + lane * LANE;
  return [
    ...marks,
    mark(found[0], left, top - 4),
    text(words, left + 9, top, { fill: colourOf(found[0]), "font-size": 11 }),
  ];
}

/** Who died or revived at an epoch, in few words. */
function named(events) {
  const names = events.slice(0, MOST_NAMES).map(({ feature }) => cut(feature, MOST_LETTERS));
  return events.length > MOST_NAMES ? `${names.join(", ")} and ${events.length - MOST_NAMES} more` : names.join(", ");
}

const colourOf = (event) => (event.event === "died" ? theme.died : theme.revived);

function mark(event, left, top) {
  const attributes = { stroke: colourOf(event), "stroke-width": 2, fill: "none" };
  if (event.event === "died") return svg("path", { d: `M${left - 4},${top - 4}l8,8m0,-8l-8,8`, ...attributes });
  return svg("circle", { cx: left, cy: top, r: 4.5, ...attributes });
}

function told(event) {
  const bound = event.threshold === null ? "" : ` (threshold ${percent(event.threshold)})`;
  return `${event.feature} ${event.event} at epoch ${event.epoch}: ${percent(event.importance)}${bound}, ${event.reason}`;
}

/** The names at the ends of the lines. */
function labels(app, run, shown, y, { left, top, width, height }) {
  const ends = shown.map((name) => y(run.at("importance", run.numLooks - 1, name)));
  const places = apart(ends, 13, top + height);
  const group = svg("g", {});
  const isCrowded = 13 * shown.length > height;
  if (!isCrowded)
    shown.forEach((name, index) => {
      const share = number(run.at("importance", run.numLooks - 1, name), 3);
      group.append(
        text(`${cut(name, MOST_LETTERS)} ${share}`, left + width + 8, places[index] + 4, {
          fill: app.colour(name),
        }),
      );
    });
  return group;
}

/** What the pointer asks for, and where it clicks. */
function pointer(app, run, shown, x, area, tooltip) {
  const [y1, y2] = [area.top, area.top + area.height];
  const cross = svg("line", { y1, y2, stroke: theme.faint, visibility: "hidden", "data-transient": true });
  const onmove = (event, left) => {
    const look = run.nearestLook(x.invert(left));
    const place = x(run.epochs[look]);
    cross.setAttribute("x1", place);
    cross.setAttribute("x2", place);
    cross.setAttribute("visibility", "visible");
    tooltip.show(event, `${run.run}, epoch ${run.epochs[look]}`, lines(app, run, shown, look));
  };
  const onleave = () => {
    cross.setAttribute("visibility", "hidden");
    tooltip.hide();
  };
  const onclick = (_, left) => {
    const look = run.nearestLook(x.invert(left));
    app.set({ epoch: look === run.numLooks - 1 ? null : run.epochs[look] });
  };
  return svg("g", {}, cross, target(area, { onmove, onleave, onclick, "data-pointer": run.run }));
}

function lines(app, run, shown, look) {
  const sorted = [...shown].sort((one, other) => run.at("importance", look, other) - run.at("importance", look, one));
  const found = sorted.slice(0, MOST_LINES_OF_TOOLTIP).map((name) => {
    const error = number(run.at("standard_error", look, name), 2);
    return [app.colour(name), name, `${percent(run.at("importance", look, name))} ± ${error}`];
  });
  if (sorted.length > found.length) found.push([null, `and ${sorted.length - found.length} more`, ""]);
  const upper = run.scalar("noise/upper", look);
  if (upper !== null)
    found.push([theme.band, "noise", `${number(run.scalar("noise/lower", look))} to ${percent(upper)}`]);
  return found;
}
