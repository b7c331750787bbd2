/** What TensorBoard calls in the frame of the tab. */

import { start } from "./app.js";

export function render() {
  return start(document);
}
