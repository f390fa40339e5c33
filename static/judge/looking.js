// Looks again and again for what a worker is making, as long as the page is in front.

import { Refused, retryDelay, Unreachable } from "./send.js";

const LOOK_MS = 1000;
const LATER_LOOK_MS = 5000; // a worker that has other work may need minutes
const N_QUICK_LOOKS = 20;

const lookDelay = (n) => (n < N_QUICK_LOOKS ? LOOK_MS : LATER_LOOK_MS);

export class Looking {
  /** `lookFor(what, n)` asks the server, and asks for another look where it is not there yet. */
  constructor(lookFor) {
    this.lookFor = lookFor;
    this.timers = new Map();
  }

  stop() {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
  }

  later(what, n = 0, delay = lookDelay(n)) {
    clearTimeout(this.timers.get(what));
    this.timers.set(
      what,
      setTimeout(() => this.look(what, n + 1), delay),
    );
  }

  async look(what, n) {
    this.timers.delete(what);
    if (document.visibilityState !== "visible") {
      this.later(what, n);
      return;
    }
    try {
      await this.lookFor(what, n);
    } catch (error) {
      if (error instanceof Unreachable) this.later(what, n, retryDelay(error));
      // Refused: nothing is made of it any more, or somebody else is signed in.
      else if (!(error instanceof Refused)) throw error;
    }
  }
}
