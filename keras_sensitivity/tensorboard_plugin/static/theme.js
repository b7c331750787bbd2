/** Colours: of the page, in light and dark, and of features, each of which has one everywhere. */

const LIGHT = {
  text: "#212121",
  faint: "#616161",
  line: "#e0e0e0",
  page: "#ffffff",
  band: "#9e9e9e",
  died: "#c62828",
  revived: "#2e7d32",
  heat: [
    [247, 249, 252],
    [190, 215, 236],
    [66, 141, 198],
    [8, 48, 107],
  ],
  positive: "#c2571a",
  negative: "#2b6cb0",
};
const DARK = {
  text: "#ffffff",
  faint: "#b0b0b0",
  line: "#4a4a4a",
  page: "#303030",
  band: "#9e9e9e",
  died: "#ff8a80",
  revived: "#9ccc65",
  heat: [
    [54, 54, 54],
    [36, 76, 116],
    [66, 141, 198],
    [214, 234, 255],
  ],
  positive: "#ffab70",
  negative: "#8cc4ff",
};

export const theme = { ...LIGHT, isDark: false };

export function setDark(isDark) {
  Object.assign(theme, isDark ? DARK : LIGHT, { isDark });
}

// Hues far apart; each has two lightnesses, which stand out from white and from dark grey, before they are turned a bit.
const HUES = [212, 24, 146, 340, 268, 46, 186, 4, 96, 300];
const TURN = 16;

/** The colour of the n-th feature of a log directory, or of a run. */
export function colourOf(index) {
  const hue = (HUES[index % HUES.length] + TURN * Math.floor(index / HUES.length / 2)) % 360;
  const isSecond = Math.floor(index / HUES.length) % 2;
  const lightness = theme.isDark ? (isSecond ? 78 : 64) : isSecond ? 32 : 46;
  return `hsl(${hue.toFixed(0)}, ${isSecond ? 45 : 68}%, ${lightness}%)`;
}

/** The colour of a part from 0 to 1 in a heat map, as red, green, blue. */
export function heat(part) {
  const place = part * (theme.heat.length - 1);
  const stop = Math.min(Math.floor(place), theme.heat.length - 2);
  const next = theme.heat[stop + 1];
  return theme.heat[stop].map((value, index) => Math.round(value + (next[index] - value) * (place - stop)));
}
