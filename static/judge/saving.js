// Saves every change at once, always the whole content, one request at a time.

const TYPING_MS = 600;

export class Saving {
  /**
   * `owner` is the item: its `id`, its `body()`, what it `saves` ("draft" or "marks"), `show(state)`
   * while something is under way. It sends with `store(body)`, and hears stored(reply, isNewest) or failed(error) of each save.
   */
  constructor(owner, outbox) {
    this.owner = owner;
    this.outbox = outbox;
    this.isDirty = false;
    this.isStopped = false;
    this.running = null;
    this.unsure = null; // a save that may be stored although no reply said so
    this.nWaiting = 0; // clicks that the server has not acknowledged
    this.typingTimer = 0;
  }

  /** The page goes on to something else. What is kept for it stays kept. */
  stop() {
    this.isStopped = true;
    clearTimeout(this.typingTimer);
  }

  get isUnsaved() {
    return Boolean(this.typingTimer || this.running || this.isDirty);
  }

  /** Somebody is writing: saved when they pause. */
  typed() {
    this.owner.show();
    clearTimeout(this.typingTimer);
    this.typingTimer = setTimeout(() => this.changed(), TYPING_MS);
  }

  changed(nClicks = 1) {
    clearTimeout(this.typingTimer);
    this.typingTimer = 0;
    if (this.isStopped) return;
    this.isDirty = true;
    this.nWaiting += nClicks;
    this.outbox.put(this.owner.id, this.owner.body(), this.owner.saves, this.nWaiting);
    this.owner.show();
    this.save();
  }

  /** Wait until everything is on its way or known to have failed. */
  async settle() {
    if (this.typingTimer) this.changed();
    if (this.running) await this.running;
  }

  /** One request at a time; clicks during it are sent together afterwards. */
  save() {
    this.running ||= this.saveAll().finally(() => {
      this.running = null;
    });
    return this.running;
  }

  async saveAll() {
    while (this.isDirty && !this.isStopped) {
      this.isDirty = false;
      try {
        await this.makeSure();
        this.unsure = this.owner.body();
        const reply = await this.owner.store(this.unsure);
        this.unsure = null;
        this.acknowledge(reply);
      } catch (error) {
        this.isDirty = true;
        this.owner.failed(error);
        return;
      }
    }
  }

  /**
   * Send the save of which nothing is known again, unchanged: the server tells it by its content from
   * what another tab stored, and says which version came of it.
   */
  async makeSure() {
    if (!this.unsure) return;
    await this.owner.store(this.unsure);
    this.unsure = null;
  }

  acknowledge(reply) {
    if (!this.isDirty) {
      this.nWaiting = 0;
      this.outbox.drop(this.owner.id);
    }
    this.owner.stored(reply, !this.isDirty);
  }

  /** The server said no: there is nothing to send again. */
  giveUp() {
    this.unsure = null;
    this.isDirty = false;
  }
}
