/** Heat maps: cells of numbers on a scale of colours. */

import { number } from "./scale.js";
import { html, svg, text } from "./svg.js";
import { heat, theme } from "./theme.js";

/** From a number to a colour: linear, or logarithmic so that small numbers can be told apart. */
export function colours(most, isLog, decades = 3) {
  const least = isLog ? most / 10 ** decades : 0;
  const part = (value) => {
    if (!isLog) return Math.min(value / (most || 1), 1);
    return value <= least ? 0 : Math.log10(value / least) / decades;
  };
  const ticks = isLog ? Array.from({ length: decades + 1 }, (_, power) => least * 10 ** power) : [0, most / 2, most];
  return { part, ticks };
}

/** Cells as a picture in a drawing: rows of numbers, NaN transparent. */
export function cells(values, { left, top, width, height }, { part }) {
  const [numRows, numColumns] = [values.length, values[0]?.length ?? 0];
  if (!numRows || !numColumns) return svg("g", {});
  const canvas = html("canvas", { width: numColumns, height: numRows });
  const context = canvas.getContext("2d");
  const image = context.createImageData(numColumns, numRows);
  values.forEach((row, index) =>
    row.forEach((value, column) => {
      if (value === undefined || Number.isNaN(value)) return;
      image.data.set([...heat(part(value)), 255], 4 * (index * numColumns + column));
    }),
  );
  context.putImageData(image, 0, 0);
  const style = "image-rendering: pixelated";
  return svg("image", { href: canvas.toDataURL(), x: left, y: top, width, height, preserveAspectRatio: "none", style });
}

/** What the colours mean. */
export function legend({ part, ticks }, x, y, title) {
  const group = svg("g", {}, text(title, x, y + 11, { fill: theme.faint }));
  const start = x + 8 + 6.2 * title.length;
  const width = 160;
  for (let step = 0; step < 32; step += 1)
    group.append(
      svg("rect", {
        x: start + (step * width) / 32,
        y,
        width: width / 32 + 0.5,
        height: 12,
        fill: `rgb(${heat((step + 0.5) / 32)})`,
      }),
    );
  for (const tick of ticks)
    group.append(
      text(number(tick, 2), start + part(tick) * width, y + 26, { "text-anchor": "middle", fill: theme.faint }),
    );
  return group;
}
