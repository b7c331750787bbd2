/** What the backend answers: JSON and typed arrays, see bundle.py. */

const TYPES = { f4: Float32Array, f8: Float64Array };

/** Ask for something under the tab's own prefix; throws an error with the backend's words. */
export async function ask(path, parameters = {}) {
  const url = new URL(path, import.meta.url);
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  const answer = await fetch(url);
  let found;
  try {
    found = unpacked(await answer.arrayBuffer());
  } catch {
    throw new Error(`TensorBoard answered with status ${answer.status}.`);
  }
  if (found.error) throw new Error(found.error);
  return found;
}

function unpacked(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const { arrays, ...described } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const found = { ...described, arrays: {} };
  for (const [name, { type, shape, offset }] of Object.entries(arrays)) {
    const size = shape.reduce((product, count) => product * count, 1);
    found.arrays[name] = { shape, values: new TYPES[type](buffer, 4 + length + offset, size) };
  }
  return found;
}

/** A table of the importances of some features in some runs, with its head. */
export function importances(runs, names) {
  const lines = runs.flatMap((run) =>
    run.epochs.map((epoch, look) => [run.run, epoch, ...names.map((name) => run.at("importance", look, name))]),
  );
  return [["run", "epoch", ...names], ...lines];
}

/** All looks of a run. */
export class Run {
  constructor(found) {
    Object.assign(this, found);
    this.columns = new Map(this.features.map((name, column) => [name, column]));
  }

  get numLooks() {
    return this.epochs.length;
  }

  get hasLags() {
    return "lags" in this.arrays;
  }

  /** A number of a feature at a look; undefined of a feature that the run has not. */
  at(array, look, name) {
    const column = this.columns.get(name);
    return column === undefined ? undefined : this.arrays[array].values[look * this.features.length + column];
  }

  /** The importances of a feature, look by look. */
  trajectory(name) {
    return this.epochs.map((_, look) => this.at("importance", look, name));
  }

  scalar(key, look) {
    return this.scalars[key]?.[look] ?? null;
  }

  /** The look nearest to a place between epochs. */
  nearestLook(epoch) {
    const distance = (look) => Math.abs(this.epochs[look] - epoch);
    return this.epochs.reduce((best, _, look) => (distance(look) < distance(best) ? look : best), 0);
  }

  /** The last look at an epoch or before; the newest for null, the first where there is none before. */
  lookAt(epoch) {
    if (epoch === null) return this.numLooks - 1;
    let look = 0;
    while (look + 1 < this.numLooks && this.epochs[look + 1] <= epoch) look += 1;
    return look;
  }
}
