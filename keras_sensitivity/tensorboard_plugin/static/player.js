/** The slider of epochs below the drawing. */

import { html } from "./svg.js";

const MILLISECONDS = 250;

export class Player {
  constructor(app) {
    this.app = app;
    this.button = html("button", { class: "play", onclick: () => this.toggle() });
    this.slider = html("input", { type: "range", min: 0, step: 1, "aria-label": "Epoch", oninput: () => this.slide() });
    this.words = html("output", {});
    this.element = html("footer", {}, this.button, this.slider, this.words);
  }

  /** The epochs of the chosen runs. */
  get epochs() {
    return [...new Set(this.app.chosen.flatMap((run) => run.epochs))].sort((one, other) => one - other);
  }

  get position() {
    const { epoch } = this.app.state;
    const index = this.epochs.findLastIndex((each) => epoch === null || each <= epoch);
    return Math.max(index, 0);
  }

  update(isShown) {
    this.element.hidden = !isShown;
    if (!isShown) return this.stop();
    const { epochs, position } = this;
    this.slider.max = epochs.length - 1;
    this.slider.value = position;
    this.slider.setAttribute("aria-valuetext", `epoch ${epochs[position]}`);
    this.words.value = `epoch ${epochs[position]} of ${epochs.at(-1)}`;
    this.button.textContent = this.timer ? "❚❚" : "▶";
    this.button.setAttribute("aria-label", this.timer ? "Pause" : "Play the epochs");
  }

  /** Go to a position; the last one is the newest, whatever comes. */
  go(position) {
    const { epochs } = this;
    const within = Math.min(Math.max(position, 0), epochs.length - 1);
    this.app.set({ epoch: within === epochs.length - 1 ? null : epochs[within] });
  }

  slide() {
    this.stop();
    this.go(Number(this.slider.value));
  }

  toggle() {
    if (this.timer) this.stop();
    else {
      if (this.position === this.epochs.length - 1) this.go(0);
      this.timer = setInterval(() => {
        this.go(this.position + 1);
        if (this.position === this.epochs.length - 1) this.stop();
      }, MILLISECONDS);
    }
    this.app.draw();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
  }

  onKey(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity }[event.key];
    if (!step || this.element.hidden || event.target !== this.app.page) return;
    event.preventDefault();
    this.go(this.position + step);
  }
}
