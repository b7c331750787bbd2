/** What TensorBoard's page around the frame tells: its theme, its fonts, its address, and when data were read anew. */

/** Call back whenever TensorBoard has read the log directory again. */
export function onReload(callback) {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.isReply) return;
    port1.postMessage(JSON.stringify({ ...message, payload: null, error: null, isReply: true }));
    if (message.type === "experimental.DataReloaded") callback();
  };
  window.parent.postMessage("experimental.bootstrap", "*", [port2]);
}

/** Call back with whether TensorBoard is dark, now and whenever that changes. */
export function onTheme(callback) {
  const body = window.parent.document.body;
  const tell = () => callback(body.classList.contains("dark-mode"));
  new MutationObserver(tell).observe(body, { attributes: true, attributeFilter: ["class"] });
  tell();
}

/** Take over the fonts that TensorBoard brings. */
export function takeFonts(document) {
  const outer = window.parent.document;
  const rules = [...outer.styleSheets]
    .flatMap(sheetRules)
    .filter((rule) => rule instanceof window.parent.CSSFontFaceRule);
  const style = document.createElement("style");
  style.textContent = rules
    .map((rule) => rule.cssText.replace(/url\("([^"]+)"\)/g, (_, path) => `url("${new URL(path, outer.baseURI)}")`))
    .join("\n");
  document.head.append(style);
}

function sheetRules(sheet) {
  try {
    return [...sheet.cssRules];
  } catch {
    return []; // of another origin
  }
}

const KEY = "p.sensitivity.state";

/** The state that a link brought along; null where there is none. */
export function linkedState() {
  const parts = window.parent.location.hash.replace(/^#/, "").split("&");
  const part = parts.find((each) => each.startsWith(`${KEY}=`));
  if (!part) return null;
  try {
    return JSON.parse(decodeURIComponent(part.slice(KEY.length + 1)));
  } catch {
    return null;
  }
}

/** A link to the tab with this state. */
export function linkTo(state) {
  const url = new URL(window.parent.location.href);
  url.hash = `sensitivity&${KEY}=${encodeURIComponent(JSON.stringify(state))}`;
  return url.href;
}
