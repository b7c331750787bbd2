/** Runs beside each other: one feature in all of them, and the difference between two. */

import { apart, axes, curve, importanceAxes, importanceScale, inside, title } from "./chart.js";
import { linear, number, percent } from "./scale.js";
import { select } from "./sidebar.js";
import { drawing, html, svg, text } from "./svg.js";
import { theme } from "./theme.js";

const ONE_RUN = "There is one run: a second fit with the same log_dir, or with one beside it, has a run of its own.";
const MARGIN = { left: 64, top: 40, right: 200, bottom: 46 };
const HEIGHT = 340;
const BAR = 22;
const NAMES = 190;

export const compare = {
  label: "Compare",
  usesEpoch: true,

  draw(app, width) {
    if (app.trainings.length < 2) return { elements: [html("p", { class: "empty" }, ONE_RUN)] };
    const names = app.sorted;
    const feature = names.includes(app.state.feature) ? app.state.feature : (app.features[0] ?? names[0]);
    const pair = pairOf(app);
    const elements = [controls(app, names, feature, pair), inRuns(app, feature, width)];
    const differences = pair.every(Boolean) ? differencesOf(app, pair) : [];
    if (differences.length) elements.push(difference(app, pair, differences, width));
    return { elements, rows: () => rows(app, pair, differences) };
  },
};

/** The two runs whose difference is drawn. */
function pairOf(app) {
  const { chosen } = app;
  const named = (name) => chosen.find((run) => run.run === name);
  const [first, second] = (app.state.pair ?? []).map(named);
  const one = first ?? chosen[0];
  return [one, second ?? chosen.find((run) => run !== one)];
}

function controls(app, names, feature, pair) {
  const options = app.chosen.map((run) => [run.run, run.run]);
  const ofFeature = select(
    "Feature",
    names.map((name) => [name, name]),
    (value) => app.set({ feature: value }),
  );
  ofFeature.value = feature;
  const [one, other] = [0, 1].map((place) => {
    const ofRun = select(place ? "Second run" : "First run", options, (value) => {
      const chosen = pair.map((run) => run?.run ?? "");
      chosen[place] = value;
      app.set({ pair: chosen });
    });
    ofRun.value = pair[place]?.run;
    return ofRun;
  });
  return html(
    "div",
    { class: "controls" },
    html("label", {}, "feature ", ofFeature),
    html("label", {}, "difference of ", one),
    html("label", {}, "from ", other),
  );
}

function inRuns(app, feature, width) {
  const runs = app.chosen.filter((run) => run.columns.has(feature));
  const area = inside({ width, height: HEIGHT }, MARGIN);
  const epochs = runs.flatMap((run) => run.epochs);
  const every = runs.flatMap((run) => run.trajectory(feature));
  const x = linear(
    [Math.min(...epochs), Math.max(...epochs, Math.min(...epochs) + 1)],
    [area.left, area.left + area.width],
  );
  const most = Math.max(...every, 1e-6);
  const least = Math.max(Math.min(...every.filter((value) => value > 0), most), 1e-3);
  const y = importanceScale([least, most], app.state.log, area);
  const ends = apart(
    runs.map((run) => y(run.at("importance", run.numLooks - 1, feature))),
    13,
    area.top + area.height,
  );
  const lines = runs.flatMap((run, index) => {
    const points = run.trajectory(feature).map((share, look) => [x(run.epochs[look]), y(share)]);
    const stroke = app.runColour(run.run);
    const newest = percent(run.at("importance", run.numLooks - 1, feature));
    const words = svg("title", {}, `${run.run}: ${newest}`);
    const drawn = curve(points, stroke, { "data-run": run.run }, words);
    return [drawn, text(`${run.run} ${newest}`, area.left + area.width + 8, ends[index] + 4, { fill: stroke }, 30)];
  });
  return drawing(
    width,
    HEIGHT,
    `Importance of ${feature} in the runs`,
    title(`${feature} in ${runs.length} runs`, 8, 14),
    importanceAxes(area, x, y),
    ...lines,
  );
}

/** Of each feature that both runs have: both shares, and the first less the second. */
function differencesOf(app, pair) {
  const looks = pair.map((run) => run.lookAt(app.state.epoch));
  const names = app.features.filter((name) => pair.every((run) => run.columns.has(name)));
  const found = names.map((name) => {
    const [one, other] = pair.map((run, index) => run.at("importance", looks[index], name));
    return { name, one, other, difference: one - other };
  });
  return found.sort((one, other) => Math.abs(other.difference) - Math.abs(one.difference));
}

function difference(app, pair, differences, width) {
  const area = { left: NAMES, top: 40, width: width - NAMES - 90, height: BAR * differences.length };
  const most = Math.max(...differences.map((each) => Math.abs(each.difference)), 1e-6);
  const x = linear([-most * 1.25, most * 1.25], [area.left, area.left + area.width]);
  const [one, other] = pair.map((run) => `${run.run} (epoch ${run.epochs[run.lookAt(app.state.epoch)]})`);
  const bars = differences.map((each, index) => {
    const top = area.top + BAR * index;
    const [start, end] = [x(0), x(each.difference)].sort((left, right) => left - right);
    const isMore = each.difference > 0;
    const words = `${each.name}: ${percent(each.one)} in ${pair[0].run}, ${percent(each.other)} in ${pair[1].run}`;
    const fill = isMore ? theme.positive : theme.negative;
    return svg(
      "g",
      { "data-feature": each.name, "data-difference": each.difference },
      svg("title", {}, words),
      text(each.name, area.left - 8, top + BAR / 2 + 4, { "text-anchor": "end" }, 26),
      svg("rect", { x: start, y: top + 4, width: Math.max(end - start, 0.5), height: BAR - 8, fill }),
      text(`${isMore ? "+" : ""}${number(each.difference, 3)}`, isMore ? end + 6 : start - 6, top + BAR / 2 + 4, {
        "text-anchor": isMore ? "start" : "end",
        fill: theme.faint,
      }),
    );
  });
  return drawing(
    width,
    area.top + area.height + 46,
    `Importance in ${one} less that in ${other}`,
    title(`${one} less ${other}`, 8, 14),
    axes(area, { x, xTicks: x.ticks, xLabel: "difference, percentage points" }),
    svg("line", { x1: x(0), x2: x(0), y1: area.top, y2: area.top + area.height, stroke: theme.faint }),
    ...bars,
  );
}

function rows(app, pair, differences) {
  if (!differences.length) return [];
  const names = pair.map((run) => run.run);
  return [
    ["feature", ...names, "difference"],
    ...differences.map((each) => [each.name, each.one, each.other, each.difference]),
  ];
}
