/** Elements, with text that is never read as markup. Drawings carry all their colours, so that they stand by themselves. */

import { theme } from "./theme.js";

const SVG = "http://www.w3.org/2000/svg";

/** An element of a page. */
export function html(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** An element of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A drawing of this size. */
export function drawing(width, height, label, ...children) {
  const size = { width, height, viewBox: `0 0 ${width} ${height}` };
  const font = { "font-family": "Roboto, sans-serif", "font-size": 12 };
  const background = svg("rect", { width, height, fill: theme.page });
  return svg("svg", { ...size, ...font, role: "img", "aria-label": label }, background, ...children);
}

/** Words cut to a number of letters. */
export function cut(words, most) {
  return words.length > most ? `${words.slice(0, most - 1)}…` : words;
}

/** A spot of a colour. */
export function swatch(colour) {
  const found = html("span", { class: "swatch" });
  found.style.background = colour;
  return found;
}

/** Words in a drawing; those that are too long are cut, and whole in a tooltip. */
export function text(words, x, y, attributes = {}, most = Infinity) {
  const shown = cut(words, most);
  const title = shown === words ? null : svg("title", {}, words);
  return svg("text", { x, y, fill: theme.text, ...attributes }, shown, title);
}
