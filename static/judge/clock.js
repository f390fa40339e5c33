// How long somebody looks at the page: reading counts, being elsewhere does not.

const AWAY_MS = 180_000; // after this long without a sign of life nobody is thought to be there

export class Clock {
  constructor(ms) {
    this.ms = ms;
    this.lastSign = performance.now();
    this.countedTo = this.lastSign;
    this.isLookedAt = isInFront();
  }

  get isAway() {
    return performance.now() - this.lastSign > AWAY_MS;
  }

  /** A key, a movement: somebody is there now. */
  sign() {
    this.count();
    this.lastSign = this.countedTo;
    this.isLookedAt = document.visibilityState === "visible";
  }

  /** The page came to the front, or left it. */
  turned() {
    this.count();
    if (isInFront() && !this.isLookedAt) this.lastSign = this.countedTo;
    this.isLookedAt = isInFront();
  }

  /** Add the time since it was added last; returns the whole in milliseconds. */
  count() {
    const now = performance.now();
    const until = Math.min(now, this.lastSign + AWAY_MS);
    if (this.isLookedAt) this.ms += Math.max(until - this.countedTo, 0);
    this.countedTo = now;
    return Math.round(this.ms);
  }
}

function isInFront() {
  return document.visibilityState === "visible" && document.hasFocus();
}
