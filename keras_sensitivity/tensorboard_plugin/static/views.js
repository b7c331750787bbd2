/** The views of the tab, in their order. Each draws, and tells its numbers for a download. */

import { compare } from "./compare.js";
import { events } from "./events.js";
import { explanations } from "./explanations.js";
import { heatMap } from "./heatmap.js";
import { lags } from "./lags.js";
import { ranking } from "./ranking.js";
import { trajectories } from "./trajectories.js";

export const VIEWS = { trajectories, ranking, heatmap: heatMap, lags, events, compare, explanations };
