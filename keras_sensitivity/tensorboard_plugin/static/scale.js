/** From numbers to places, and to words. */

/** The largest of many numbers, but for NaN; 0 of none. */
export function largest(values) {
  let most = 0;
  for (const value of values) if (value > most) most = value;
  return most;
}

/** A linear scale from a domain to places. */
export function linear([from, to], [start, end]) {
  const span = to - from || 1;
  const scale = (value) => start + ((value - from) / span) * (end - start);
  scale.invert = (place) => from + ((place - start) / (end - start)) * span;
  scale.ticks = ticksBetween(from, to, 6);
  return scale;
}

/** A logarithmic one; what is too small for it lies at its lower end. */
export function logarithmic([from, to], [start, end]) {
  const inner = linear([Math.log10(from), Math.log10(to)], [start, end]);
  const scale = (value) => inner(Math.log10(Math.max(value, from)));
  scale.ticks = [];
  for (let power = Math.floor(Math.log10(from)); power <= Math.log10(to); power += 1)
    for (const factor of [1, 2, 5]) {
      const tick = factor * 10 ** power;
      if (tick >= from * 0.999 && tick <= to * 1.001) scale.ticks.push(tick);
    }
  return scale;
}

function ticksBetween(from, to, count) {
  const raw = (to - from) / count || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= raw * 0.999);
  const ticks = [];
  for (let index = Math.ceil(from / step - 1e-9); index * step <= to + step * 1e-9; index += 1)
    ticks.push(Number((index * step).toPrecision(12)));
  return ticks;
}

/** The same for whole numbers, such as epochs. */
export function wholeTicks(scale) {
  return scale.ticks.filter(Number.isInteger);
}

/** A number with so many significant digits, without an exponent where it is of a common size. */
export function number(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(digits - 1);
  return String(Number(value.toPrecision(digits)));
}

export function percent(value) {
  return value === null || value === undefined || Number.isNaN(value) ? "–" : `${number(value)} %`;
}
