// Keeps the item for the person who is at the page, and lets others have it when they leave.

import { $, address, pageData, parse, toast } from "./dom.js";
import { recallHere, rememberHere, storedName } from "./memory.js";
import { Refused, send, Unreachable } from "./send.js";

const BEAT_MS = 15_000; // less than the server leaves of a lease whose page was closed
const SHORTEST_BEAT_MS = 2000;
const BEGUN = "begun";

/**
 * Keeps an item for who works on it: signs of life while they are there, and a last message when the
 * page is closed. That names the newest end of the lease that this page knows of, so that it counts
 * only where no other page and no later heartbeat has the item.
 */
export class Presence {
  /** `id` is that of a judgement, or the path of something else that is held. */
  constructor(id, lease, clock, leaseSeconds) {
    this.id = id;
    this.place = id.startsWith("/") ? address(id) : address(`/judgements/${id}`);
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
      const { html } = await send(`${this.place}/heartbeat`, body, {
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
    navigator.sendBeacon(`${this.place}/leave`, body);
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
