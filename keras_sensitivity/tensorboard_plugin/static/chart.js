/** What drawings share: axes, places beside each other, tooltips. */

import { linear, logarithmic, number, wholeTicks } from "./scale.js";
import { html, svg, swatch, text } from "./svg.js";
import { theme } from "./theme.js";

const numbered = (tick) => number(tick);

/** Lines and words of two axes around a box. */
export function axes({ left, top, width, height }, { x, y, xTicks, yTicks, xWords = numbered, xLabel, yLabel }) {
  const group = svg("g", { "shape-rendering": "crispEdges" });
  const right = left + width;
  const bottom = top + height;
  for (const tick of yTicks ?? []) {
    group.append(
      svg("line", { x1: left, x2: right, y1: y(tick), y2: y(tick), stroke: theme.line }),
      text(numbered(tick), left - 8, y(tick) + 4, { "text-anchor": "end", fill: theme.faint }),
    );
  }
  for (const tick of xTicks ?? []) {
    group.append(
      svg("line", { x1: x(tick), x2: x(tick), y1: bottom, y2: bottom + 4, stroke: theme.faint }),
      text(xWords(tick), x(tick), bottom + 17, { "text-anchor": "middle", fill: theme.faint }),
    );
  }
  group.append(svg("line", { x1: left, x2: right, y1: bottom, y2: bottom, stroke: theme.faint }));
  if (xLabel) group.append(text(xLabel, right, bottom + 33, { "text-anchor": "end", fill: theme.faint }));
  if (yLabel) group.append(text(yLabel, 8, top - 12, { fill: theme.faint }));
  return group;
}

/** The box inside of margins. */
export function inside({ width, height }, { left, top, right, bottom }) {
  return { left, top, width: width - left - right, height: height - top - bottom };
}

/** A scale of importances, from the smallest to the largest that is drawn. */
export function importanceScale([low, high], isLog, { top, height }) {
  const places = [top + height, top];
  return isLog ? logarithmic([low / 1.5, high * 1.1], places) : linear([0, high * 1.05], places);
}

/** The axes of importances over epochs. */
export function importanceAxes(area, x, y) {
  const labels = { xLabel: "epoch", yLabel: "importance, %" };
  return axes(area, { x, y, xTicks: wholeTicks(x), yTicks: y.ticks, xWords: String, ...labels });
}

/** A line through points; a spot where there is one. */
export function curve(points, stroke, attributes, ...children) {
  const [[cx, cy]] = points;
  if (points.length === 1) return svg("circle", { cx, cy, r: 3, fill: stroke, ...attributes }, ...children);
  const style = { fill: "none", stroke, "stroke-width": 1.8, "stroke-linejoin": "round" };
  return svg("path", { d: path(points), ...style, ...attributes }, ...children);
}

export function path(points) {
  return `M${points.map(([left, top]) => `${left.toFixed(1)},${top.toFixed(1)}`).join("L")}`;
}

/** A scale of epochs, each of which has a cell around it. */
export function epochCells(run, { left, width }) {
  const half = run.numLooks > 1 ? (run.epochs.at(-1) - run.epochs[0]) / (run.numLooks - 1) / 2 : 0.5;
  return linear([run.epochs[0] - half, run.epochs.at(-1) + half], [left, left + width]);
}

/** What takes the pointer over a box: `onmove` and `onclick` are called with the event and the place in the drawing. */
export function target({ left, top, width, height }, { onmove, onleave, onclick, ...attributes }) {
  const placed = (callback) => (event) => {
    const corner = element.getBoundingClientRect();
    callback(event, event.clientX - corner.left + left, event.clientY - corner.top + top);
  };
  const element = svg("rect", {
    x: left,
    y: top,
    width,
    height,
    fill: "transparent",
    "data-transient": true,
    onpointermove: placed(onmove),
    onpointerleave: onleave,
    ...(onclick && { onclick: placed(onclick) }),
    ...attributes,
  });
  return element;
}

/** The index of the cell at a place, of so many. */
export function cellAt(place, start, size, count) {
  return Math.min(count - 1, Math.max(0, Math.floor((place - start) / size)));
}

/** A title above a box. */
export function title(words, x, y) {
  return text(words, x, y, { "font-size": 13, "font-weight": 500 });
}

/** How many boxes stand beside each other. */
export function numColumns(count, width, narrowest = 620) {
  return Math.max(1, Math.min(count, Math.floor(width / narrowest)));
}

/** Boxes of a height beside and below each other, as many as there are items. */
export function boxes(items, width, height, narrowest = 620) {
  const columns = numColumns(items.length, width, narrowest);
  const each = Math.floor(width / columns);
  const placed = items.map((item, index) => ({
    item,
    x: (index % columns) * each,
    y: Math.floor(index / columns) * height,
    width: each,
    height,
  }));
  return { placed, height: Math.ceil(items.length / columns) * height };
}

/** Places moved apart, in their order, so that words there do not overlap. */
export function apart(places, distance, lowest) {
  const order = places.map((place, index) => ({ place, index })).sort((one, other) => one.place - other.place);
  for (let index = 1; index < order.length; index += 1)
    order[index].place = Math.max(order[index].place, order[index - 1].place + distance);
  let limit = lowest;
  for (const each of order.toReversed()) {
    each.place = Math.min(each.place, limit);
    limit = each.place - distance;
  }
  const found = [];
  for (const each of order) found[each.index] = each.place;
  return found;
}

/** A box of words beside the pointer. */
export class Tooltip {
  constructor() {
    this.element = html("div", { class: "tooltip", hidden: true });
  }

  /** Show lines of [colour or null, words, number]. */
  show(event, heading, lines) {
    const rows = lines.map(([colour, words, value]) =>
      html(
        "tr",
        {},
        html("td", {}, swatch(colour ?? "transparent")),
        html("td", { class: "name" }, words),
        html("td", { class: "value" }, value),
      ),
    );
    this.element.replaceChildren(html("b", {}, heading), html("table", {}, ...rows));
    this.element.hidden = false;
    const { clientX, clientY } = event;
    const { offsetWidth, offsetHeight } = this.element;
    const left = clientX + 16 + offsetWidth > window.innerWidth ? clientX - 16 - offsetWidth : clientX + 16;
    this.element.style.left = `${Math.max(4, left)}px`;
    this.element.style.top = `${Math.max(4, Math.min(clientY + 12, window.innerHeight - offsetHeight - 4))}px`;
  }

  hide() {
    this.element.hidden = true;
  }
}
