/** What can be taken along: numbers, pictures, a link. */

import { linkTo } from "./host.js";
import { changed } from "./state.js";
import { html } from "./svg.js";

/** Let the buttons be active that have something to take along. */
export function updateButtons(element, app) {
  const there = { rows: Boolean(app.drawn.rows), drawing: Boolean(app.page.querySelector("svg")) };
  for (const button of element.querySelectorAll("[data-needs]")) button.disabled = !there[button.dataset.needs];
}

export function buttons(app) {
  const make = (words, title, onclick, needs) =>
    html("button", { class: "small", title, onclick, "data-needs": needs }, words);
  const link = make("Copy link", "Copy a link to what is chosen", () => copyLink(app, link));
  return html(
    "div",
    { class: "downloads" },
    make("CSV", "Download the numbers of this view", () => save(app, "csv", "text/csv", csv(app.drawn.rows())), "rows"),
    make("SVG", "Download the drawing", () => savePictures(app, "svg"), "drawing"),
    make("PNG", "Download the drawing", () => savePictures(app, "png"), "drawing"),
    link,
  );
}

/** Lines of values, quoted where they must be. */
function csv(rows) {
  const cell = (value) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "";
    const words = String(value);
    return /[",\r\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words;
  };
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

async function copyLink(app, button) {
  const url = linkTo(changed(app.state));
  try {
    await navigator.clipboard.writeText(url);
    button.textContent = "Copied";
  } catch {
    window.prompt("Copy this link:", url); // where the page may not write to the clipboard
  }
  setTimeout(() => (button.textContent = "Copy link"), 1500);
}

function savePictures(app, kind) {
  const pictures = [...app.page.querySelectorAll("svg")];
  for (const [index, picture] of pictures.entries()) {
    const name = pictures.length > 1 ? `-${index + 1}` : "";
    if (kind === "svg") save(app, "svg", "image/svg+xml", serialised(picture), name);
    else savePixels(app, picture, name);
  }
}

function serialised(picture) {
  const copy = picture.cloneNode(true);
  copy.querySelectorAll("[data-transient]").forEach((element) => element.remove());
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return new XMLSerializer().serializeToString(copy);
}

async function savePixels(app, picture, name) {
  const image = new Image();
  image.src = URL.createObjectURL(new Blob([serialised(picture)], { type: "image/svg+xml" }));
  await image.decode();
  const canvas = html("canvas", { width: 2 * picture.clientWidth, height: 2 * picture.clientHeight });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  URL.revokeObjectURL(image.src);
  canvas.toBlob((blob) => save(app, "png", "image/png", blob, name));
}

function save(app, extension, type, content, suffix = "") {
  const url = URL.createObjectURL(new Blob([content], { type }));
  html("a", { href: url, download: `sensitivity-${app.state.view}${suffix}.${extension}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
