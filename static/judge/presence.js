// Somebody is at the page: how long they work on an item, and that it stays theirs meanwhile.

import { recallHere, rememberHere, storedName } from "./memory.js";
import { $, _, address, pageData, parse, Refused, send, toast, Unreachable } from "./sending.js";

const AWAY_MS = 180_000; // after this long without a sign of life nobody is thought to be there
const BEAT_MS = 15_000; // less than the server leaves of a lease whose page was closed
const SHORTEST_BEAT_MS = 2000;
const BEGUN = "begun";

/** How long somebody looked at the page: reading counts, being elsewhere does not. */
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

/**
 * Keeps an item for who works on it: signs of life while they are there, and a last message when the
 * page is closed. That names the newest end of the lease that this page knows of, so that it counts
 * only where no other page and no later heartbeat has the item.
 */
export class Presence {
  constructor(id, lease, clock, leaseSeconds) {
    this.id = id;
    this.lease = lease;
    this.clock = clock;
    this.isOver = false;
    this.hasOthers = false; // the same item stands in another tab
    this.beatAt = -Infinity;
    const beat = Math.max(Math.min((leaseSeconds * 1000) / 4, BEAT_MS), SHORTEST_BEAT_MS);
    this.timer = setInterval(() => this.beat(), beat);
    this.tabs = "BroadcastChannel" in window ? new BroadcastChannel(storedName("items")) : null;
    this.tabs?.addEventListener("message", (event) => this.hear(event.data));
    this.tell("here");
    this.renewed(lease);
  }

  /** What this tab has begun and not finished, while it shows something else. */
  static ofBegun(clock, leaseSeconds, shownId) {
    const { id, lease, userId } = recallHere(BEGUN) || {};
    if (!id || userId !== pageData().userId) return null;
    if (id !== shownId) return new Presence(id, lease, clock, leaseSeconds);
    Presence.forget(); // it was submitted, skipped or lost since
    return null;
  }

  static forget() {
    rememberHere(BEGUN, null);
  }

  renewed(lease) {
    if (!lease || this.isOver) return;
    if (lease > this.lease) this.lease = lease; // written so that they compare as texts
    rememberHere(BEGUN, { id: this.id, lease: this.lease, userId: pageData().userId });
  }

  /** The page goes on to something else, or the item is over. */
  stop() {
    this.isOver = true;
    clearInterval(this.timer);
    this.tabs?.close();
  }

  /** Soon: somebody has just come, or come back. */
  beatNow() {
    if (performance.now() - this.beatAt > SHORTEST_BEAT_MS) this.beat();
  }

  async beat({ isHidden = false } = {}) {
    if (this.isOver || this.clock.isAway) return;
    if (document.visibilityState !== "visible" && !isHidden) return;
    this.beatAt = performance.now();
    const body = new URLSearchParams({ active_ms: this.clock.count() });
    try {
      const { html } = await send(address(`/judgements/${this.id}/heartbeat`), body, {
        carries: "[data-lease]",
      });
      const { lease } = $("[data-lease]", parse(html)).dataset;
      if (lease) this.renewed(lease);
      else this.end(); // it was submitted or skipped elsewhere
    } catch (error) {
      if (error instanceof Refused) this.refused(error);
      // Unreachable is told when there is something to save.
      else if (!(error instanceof Unreachable)) throw error;
    }
  }

  refused(error) {
    if (error.status === 401) return; // told when there is something to save
    if (error.status === 409 && !this.isOver) toast(error.sentence, "warn");
    this.end();
  }

  end() {
    this.stop();
    if (recallHere(BEGUN)?.id === this.id) Presence.forget();
  }

  /**
   * The page is closed. Others need not wait for the whole lease; a reload takes the item up again.
   * Who goes to another page of ours may come back from it after a while.
   */
  leave({ staysHere }) {
    if (this.isOver) return;
    this.tell("left");
    if (staysHere || this.hasOthers) return;
    const body = new URLSearchParams({ lease: this.lease });
    navigator.sendBeacon(address(`/judgements/${this.id}/leave`), body);
  }

  // --- The same item in another tab of this browser

  tell(says) {
    this.tabs?.postMessage({ says, id: this.id });
  }

  hear({ says, id }) {
    if (id !== this.id || this.isOver) return;
    this.hasOthers = says !== "left";
    if (says === "here") this.tell("too");
    if (says === "left") {
      this.tell("here"); // is there a third one?
      this.beat({ isHidden: true });
    }
  }
}
