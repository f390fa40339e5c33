// One item in front of one person: what they choose is saved, submitted, and tried again.

import { Branches } from "./branches.js";
import { Clock } from "./clock.js";
import { Content } from "./content.js";
import { $, _, parse, toast } from "./dom.js";
import { Maps } from "./maps.js";
import { Presence } from "./presence.js";
import { Saving } from "./saving.js";
import { Refused, retryDelay, send, sendJudgement, Unreachable } from "./send.js";
import { showDialog, signedIn, signedOut } from "./signing-in.js";
import { showSaved, waitingFor, waitingForSignIn } from "./waiting.js";

const BUSY_MS = 150;

export class Item {
  /** `page` takes what comes back with arrive(reply); its `outbox` keeps what was not acknowledged. */
  constructor(form, page) {
    const { judgementId, editable, lease, leaseSeconds } = form.dataset;
    this.form = form;
    this.page = page;
    this.id = judgementId;
    this.isEditable = editable === "yes";
    // What is judged stays; what is said of how it came about is saved like a draft.
    this.saves = this.isEditable ? "draft" : "marks" in form.dataset ? "marks" : "";
    this.content = new Content(form);
    this.saving = new Saving(this, page.outbox);
    this.clock = new Clock(Number(form.elements.active_ms.value));
    this.branches = new Branches(this);
    this.maps = new Maps(this);
    this.isSubmitting = false;
    this.wantsSubmit = false;
    this.isGone = false;
    this.trouble = null; // why the last request brought nothing
    this.retryTimer = 0;
    // Looking back at another item does not give away the one that is begun.
    this.presence = this.isEditable
      ? new Presence(judgementId, lease, this.clock, Number(leaseSeconds))
      : Presence.ofBegun(this.clock, Number(leaseSeconds), judgementId);
  }

  /** The page goes on to something else. */
  leave() {
    this.isGone = true;
    this.presence?.stop();
    this.saving.stop();
    this.branches.stop();
    this.maps.stop();
    clearTimeout(this.retryTimer);
  }

  body() {
    return this.content.body(this.clock.count());
  }

  show(state = "is-waiting", text = _("Saving…")) {
    if (!this.isGone) showSaved(state, text);
  }

  typed() {
    if (this.saves) this.saving.typed();
  }

  changed(nClicks = 1) {
    if (this.saves) this.saving.changed(nClicks);
  }

  /** Put back what an earlier visit to this page had chosen and could not send. */
  restore() {
    const entry = this.page.outbox.read()[this.id];
    if (!entry || !this.isEditable) return;
    this.content.restore(new URLSearchParams(entry.body));
    toast(_("What you had chosen before the interruption is back."), "info");
    this.changed(entry.n || 1);
  }

  /** Wait until what was chosen is stored; throws what stands in its way. */
  async delivered() {
    await this.saving.settle();
    if (this.saving.isDirty) throw this.trouble;
  }

  // --- What saving asks for, and what it tells

  /** Send it, unless it is for good; returns the server's line about it. */
  async store(body) {
    const { html } = await sendJudgement(this.id, this.saves, body);
    const saved = $("[data-version]", parse(html));
    this.content.setVersion(saved.dataset.version);
    return saved;
  }

  stored(saved, isNewest) {
    this.trouble = null;
    signedIn();
    if (this.isGone) return;
    if (this.isEditable) this.presence?.renewed(saved.dataset.lease);
    if (isNewest) $("#saved").replaceWith(document.adoptNode(saved));
  }

  // --- Submitting

  async submit() {
    if (!this.isEditable || this.isSubmitting || this.isGone) return;
    if (!this.content.isSomething) {
      toast(
        _("Nothing is chosen yet: pick what fits, or say that none fits or that the answer is wrong."),
        "warn",
      );
      return;
    }
    if (this.content.showUnsendable()) return;
    this.isSubmitting = true;
    const work = $("#work");
    const busy = setTimeout(() => work.classList.add("is-busy"), BUSY_MS);
    try {
      this.page.arrive(await this.sendAnswer());
    } catch (error) {
      this.isSubmitting = false;
      this.wantsSubmit = true;
      this.failed(error);
    } finally {
      clearTimeout(busy);
      work.classList.remove("is-busy");
    }
  }

  async sendAnswer() {
    const { saving, page } = this;
    // The version is known once the save before has been answered.
    await saving.settle();
    if (!saving.isDirty) await saving.makeSure();
    const body = this.body();
    page.outbox.put(this.id, body, "submit", saving.nWaiting);
    if (saving.isDirty) throw this.trouble; // it has just been tried
    const reply = await send(this.form.getAttribute("action"), body, { carries: "#work" });
    page.outbox.drop(this.id);
    signedIn();
    return reply;
  }

  // --- Trouble

  failed(error) {
    const isNew = !this.trouble;
    this.trouble = error;
    if (error instanceof Unreachable) {
      const text = waitingFor(error.why, this.saving.nWaiting, this.wantsSubmit);
      this.show("is-unsaved", text);
      if (isNew) $("#announce").textContent = text;
      clearTimeout(this.retryTimer);
      this.retryTimer = setTimeout(() => this.again(), retryDelay(error));
    } else if (error instanceof Refused && error.status === 401) {
      this.show("is-unsaved", waitingForSignIn(this.saving.nWaiting, this.wantsSubmit));
      signedOut(error);
    } else if (error instanceof Refused) {
      this.refused(error);
    } else {
      throw error;
    }
  }

  refused(error) {
    // Not found: most likely somebody else is signed in here by now. It is kept for its author.
    if (error.status !== 404) this.page.outbox.drop(this.id);
    this.saving.giveUp();
    this.wantsSubmit = false;
    this.show("is-unsaved", _("Not saved."));
    const conflict = $("#conflict", parse(error.html));
    if (conflict) showDialog(document.adoptNode(conflict));
    else toast(error.sentence, "bad");
  }

  /** After a network failure or a sign-in: what was meant to happen, again. */
  again() {
    if (this.isGone || this.isSubmitting || this.saving.running) return;
    clearTimeout(this.retryTimer);
    if (this.wantsSubmit) {
      this.wantsSubmit = false;
      this.saving.isDirty = false;
      this.submit();
    } else if (this.saving.isDirty) {
      this.saving.save();
    }
  }
}
