/** What the user has chosen; a link brings it along. */

export const START = {
  view: "trajectories",
  runs: null, // names; null: the newest
  features: null, // names; null: the most important
  top: 10, // so many; 0: all
  sort: "importance",
  log: false,
  epoch: null, // null: the newest
  feature: null, // whose runs are compared
  pair: null, // the two runs whose difference is drawn
  explained: null, // a run of explanations
  sample: 0,
};

/** A state with what of a linked one is of the right kind. */
export function stateOf(linked) {
  const state = { ...START };
  for (const [key, value] of Object.entries(linked ?? {})) {
    if (key in CHECKS && CHECKS[key](value)) state[key] = value;
  }
  return state;
}

const isNames = (value) => Array.isArray(value) && value.every((name) => typeof name === "string");
const isCount = (value) => Number.isInteger(value) && value >= 0;
const isName = (value) => typeof value === "string";

const CHECKS = {
  view: isName,
  runs: isNames,
  features: isNames,
  top: isCount,
  sort: isName,
  log: (value) => typeof value === "boolean",
  epoch: isCount,
  feature: isName,
  pair: (value) => isNames(value) && value.length === 2,
  explained: isName,
  sample: isCount,
};

/** What differs from the start: links stay short. */
export function changed(state) {
  const same = (key) => JSON.stringify(state[key]) === JSON.stringify(START[key]);
  return Object.fromEntries(Object.entries(state).filter(([key]) => !same(key)));
}
