// One item in front of one person: its clicks, its version, its way to the server.

import { keepApart } from "./facts.js";
import { $, _, Outbox, parse, Refused, send, toast, Unreachable } from "./sending.js";

const IDLE_MS = 60_000; // longer gaps do not count as working time
const AWAY_MS = 180_000; // after this long without a sign of life the lease is left to run out
const COMMENT_MS = 600;
const BUSY_MS = 150;
const RETRY_MS = [1000, 2000, 5000, 10_000, 20_000];

export class Item {
  /** `page` shows what comes back: swap(html), showDialog(content), signedOut(), signedIn(). */
  constructor(form, page) {
    this.form = form;
    this.page = page;
    this.id = form.dataset.judgementId;
    this.isEditable = form.dataset.editable === "yes";
    this.activeMs = Number(form.elements.active_ms.value);
    this.lastSign = performance.now();
    this.isDirty = false;
    this.isSubmitting = false;
    this.wantsSubmit = false;
    this.isGone = false;
    this.saving = null;
    this.failures = 0;
    this.nWaiting = 0; // clicks that the server has not acknowledged
    this.retryTimer = 0;
    this.commentTimer = 0;
    // Several signs of life within one lease, but not so many that they cost anything.
    const lease = Number(form.dataset.leaseSeconds) * 1000;
    const beat = Math.min(Math.max(lease / 4, 2000), 60_000);
    this.beatTimer = this.isEditable ? setInterval(() => this.heartbeat(), beat) : 0;
  }

  /** The page goes on to something else. */
  leave() {
    this.isGone = true;
    clearInterval(this.beatTimer);
    clearTimeout(this.commentTimer);
    clearTimeout(this.retryTimer);
  }

  // --- What is chosen

  body() {
    this.form.elements.active_ms.value = Math.round(this.activeMs);
    return new URLSearchParams(new FormData(this.form));
  }

  saysSomething() {
    const { none_fits: none, answer_is_wrong: wrong } = this.form.elements;
    return none.checked || wrong.checked || Boolean($("[name=picked]:checked", this.form));
  }

  keepApart(changed) {
    keepApart(this.form, changed);
  }

  /** Put back what an earlier visit to this page had chosen and could not send. */
  restore() {
    const entry = Outbox.read()[this.id];
    if (!entry || !this.isEditable) return;
    const kept = new URLSearchParams(entry.body);
    const picked = new Set(kept.getAll("picked"));
    for (const box of this.form.querySelectorAll("[name=picked]")) {
      box.checked = picked.has(box.value);
    }
    const faults = new Set(kept.getAll("fault"));
    for (const box of this.form.querySelectorAll("[name=fault]")) {
      box.checked = faults.has(box.value);
    }
    const edits = kept.getAll("edit");
    for (const [place, id] of kept.getAll("edited").entries()) {
      const text = $(`#edit-${id}`, this.form);
      if (text) text.value = edits[place] || "";
    }
    for (const name of ["none_fits", "answer_is_wrong", "is_flagged"]) {
      this.form.elements[name].checked = kept.has(name);
    }
    const { comment } = this.form.elements;
    comment.value = kept.get("comment") || "";
    if (comment.value) $("#remark").open = true;
    toast(_("What you had chosen before the interruption is back."), "info");
    this.changed(entry.n || 1);
  }

  // --- Saving

  show(state, text) {
    const saved = $("#saved");
    if (!saved || this.isGone) return;
    saved.className = `saved ${state}`;
    saved.textContent = text;
  }

  typed() {
    this.show("is-waiting", _("Saving…"));
    clearTimeout(this.commentTimer);
    this.commentTimer = setTimeout(() => this.changed(), COMMENT_MS);
  }

  changed(nClicks = 1) {
    clearTimeout(this.commentTimer);
    this.commentTimer = 0;
    if (!this.isEditable || this.isGone) return;
    this.isDirty = true;
    this.nWaiting += nClicks;
    Outbox.put(this.id, this.body(), "draft", this.nWaiting);
    this.show("is-waiting", _("Saving…"));
    this.save();
  }

  /** Wait until everything is on its way or known to have failed. */
  async settle() {
    if (this.commentTimer) this.changed();
    if (this.saving) await this.saving;
  }

  /** One request at a time; clicks during it are sent together afterwards. */
  save() {
    this.saving ||= this.saveAll().finally(() => {
      this.saving = null;
    });
    return this.saving;
  }

  async saveAll() {
    while (this.isDirty && !this.isGone) {
      this.isDirty = false;
      try {
        this.acknowledge(await send(`/judgements/${this.id}/draft`, this.body()));
      } catch (error) {
        this.isDirty = true;
        this.failed(error);
        return;
      }
    }
  }

  acknowledge(html) {
    this.failures = 0;
    this.page.signedIn();
    if (!this.isDirty) {
      this.nWaiting = 0;
      Outbox.drop(this.id);
    }
    const saved = $("#saved", parse(html));
    if (this.isGone || !saved) return;
    this.form.elements.version.value = saved.dataset.version;
    if (!this.isDirty) $("#saved").replaceWith(document.adoptNode(saved));
  }

  // --- Submitting

  async submit() {
    if (!this.isEditable || this.isSubmitting || this.isGone) return;
    if (!this.saysSomething()) {
      toast(
        _("Nothing is chosen yet: pick what fits, or say that none fits or that the answer is wrong."),
        "warn",
      );
      return;
    }
    this.isSubmitting = true;
    const work = $("#work");
    const busy = setTimeout(() => work.classList.add("is-busy"), BUSY_MS);
    try {
      // The version is known once the save before has been answered.
      await this.settle();
      const body = this.body();
      Outbox.put(this.id, body, "submit", this.nWaiting);
      const html = await send(this.form.getAttribute("action"), body);
      Outbox.drop(this.id);
      this.page.signedIn();
      this.page.swap(html);
    } catch (error) {
      this.isSubmitting = false;
      this.wantsSubmit = true;
      this.failed(error);
    } finally {
      clearTimeout(busy);
      work.classList.remove("is-busy");
    }
  }

  // --- Trouble

  failed(error) {
    if (error instanceof Unreachable) {
      const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
      this.failures += 1;
      this.show("is-unsaved", this.waitingForConnection());
      clearTimeout(this.retryTimer);
      this.retryTimer = setTimeout(() => this.again(), wait);
    } else if (error instanceof Refused && error.status === 401) {
      this.show("is-unsaved", this.waitingForSignIn());
      this.page.signedOut();
    } else if (error instanceof Refused) {
      this.refused(error);
    } else {
      throw error;
    }
  }

  waitingForConnection() {
    const n = this.nWaiting;
    if (this.wantsSubmit) return _("Not saved yet: your answer waits for the connection.");
    if (n === 1) return _("Not saved yet: 1 click waits for the connection.");
    return _("Not saved yet: %(n)s clicks wait for the connection.", { n });
  }

  waitingForSignIn() {
    const n = this.nWaiting;
    if (this.wantsSubmit) return _("Not saved yet: your answer waits until you sign in.");
    if (n === 1) return _("Not saved yet: 1 click waits until you sign in.");
    return _("Not saved yet: %(n)s clicks wait until you sign in.", { n });
  }

  refused(error) {
    // Not found: most likely somebody else is signed in here by now. It is kept for its author.
    if (error.status !== 404) Outbox.drop(this.id);
    this.wantsSubmit = false;
    this.isDirty = false;
    this.show("is-unsaved", _("Not saved."));
    const conflict = $("#conflict", parse(error.html));
    if (conflict) this.page.showDialog(document.adoptNode(conflict));
    else toast(error.sentence, "bad");
  }

  /** After a network failure or a sign-in: what was meant to happen, again. */
  again() {
    if (this.isGone) return;
    clearTimeout(this.retryTimer);
    if (this.wantsSubmit) {
      this.wantsSubmit = false;
      this.isDirty = false;
      this.submit();
    } else if (this.isDirty) {
      this.save();
    }
  }

  // --- Signs of life

  sign() {
    const now = performance.now();
    if (document.visibilityState === "visible") {
      this.activeMs += Math.min(now - this.lastSign, IDLE_MS);
    }
    this.lastSign = now;
  }

  async heartbeat() {
    if (this.isGone || document.visibilityState !== "visible") return;
    if (performance.now() - this.lastSign > AWAY_MS) return;
    const body = new URLSearchParams({ active_ms: Math.round(this.activeMs) });
    try {
      await send(`/judgements/${this.id}/heartbeat`, body);
    } catch (error) {
      // Unreachable or signed out is told when there is something to save.
      if (error instanceof Refused && error.status === 409) toast(error.sentence, "warn");
    }
  }
}
