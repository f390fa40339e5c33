// What could not be sent stays in this browser until our server took it or refused it for good.

import { Refused, Unreachable } from "./send.js";

/** Answers that were not acknowledged, per judgement, with what was meant to happen to them. */
export class Outbox {
  /**
   * `owner` is the account whose answers these are; `memory` has recall(name) and remember(name, text).
   * `send(id, act, body)` asks the server; stored(act) and refused(error) hear what it said of each.
   */
  constructor(owner, memory, { send, stored, refused }) {
    this.name = `outbox.${owner}`;
    this.memory = memory;
    this.send = send;
    this.stored = stored;
    this.refused = refused;
    this.isBusy = false;
  }

  /** All entries, by the id of their judgement. */
  read() {
    try {
      return JSON.parse(this.memory.recall(this.name)) || {};
    } catch {
      return {};
    }
  }

  write(entries) {
    // Where storage is full or forbidden, the page itself still holds the answer.
    const isEmpty = !Object.keys(entries).length;
    this.memory.remember(this.name, isEmpty ? null : JSON.stringify(entries));
  }

  /** `act` is "draft", "marks", "submit" or "skip"; `n` is how many clicks wait. */
  put(id, body, act, n) {
    this.write({ ...this.read(), [id]: { body: body.toString(), act, n } });
  }

  drop(id) {
    const entries = this.read();
    delete entries[id];
    this.write(entries);
  }

  /**
   * Send what an earlier visit could not; what is refused for good is told and dropped.
   * Returns what stopped it, if anything did.
   */
  async empty(exceptId) {
    if (this.isBusy) return null;
    this.isBusy = true;
    try {
      for (const [id, entry] of Object.entries(this.read())) {
        if (id !== exceptId) await this.deliver(id, entry);
      }
    } catch (problem) {
      if (problem instanceof Unreachable || problem instanceof Refused) return problem;
      throw problem;
    } finally {
      this.isBusy = false;
    }
    return null;
  }

  async deliver(id, { body, act }) {
    try {
      await this.send(id, act, new URLSearchParams(body));
      this.stored(act);
    } catch (error) {
      if (!(error instanceof Refused) || error.status === 401) throw error;
      this.refused(error);
    }
    // Another tab may have put something newer there meanwhile.
    if (this.read()[id]?.body === body) this.drop(id);
  }
}
