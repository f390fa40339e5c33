// One item in front of one person: its clicks, its version, its way to the server.

import { keepApart } from "./facts.js";
import { Clock, Presence } from "./presence.js";
import { $, _, address, Outbox, parse, Refused, retryDelay, send, toast, Unreachable } from "./sending.js";

const COMMENT_MS = 600;
const BUSY_MS = 150;

const collapse = (text) => text.normalize("NFC").replace(/\s+/g, " ").trim();

function isSameText(edit) {
  const text = $(".choice__text", edit.closest(".offer")).textContent;
  return collapse(edit.value) === collapse(text);
}

/** Says next to the field that it is too long; counted as the server counts. */
export function checkLength(edit) {
  const isTooLong = [...edit.value.trim()].length > Number(edit.dataset.limit);
  $(`#${edit.getAttribute("aria-describedby")}`).hidden = !isTooLong;
  if (isTooLong) edit.setAttribute("aria-invalid", "true");
  else edit.removeAttribute("aria-invalid");
}

export class Item {
  /** `page` shows what comes back: arrive(reply), showDialog(content), signedOut(error), signedIn(). */
  constructor(form, page) {
    const { judgementId, editable, lease, leaseSeconds } = form.dataset;
    this.form = form;
    this.page = page;
    this.id = judgementId;
    this.isEditable = editable === "yes";
    this.clock = new Clock(Number(form.elements.active_ms.value));
    this.isDirty = false;
    this.isSubmitting = false;
    this.wantsSubmit = false;
    this.isGone = false;
    this.saving = null;
    this.unsure = null; // a save that may be stored although no reply said so
    this.trouble = null; // why the last request brought nothing
    this.nWaiting = 0; // clicks that the server has not acknowledged
    this.retryTimer = 0;
    this.commentTimer = 0;
    // Looking back at another item does not give away the one that is begun.
    this.presence = this.isEditable
      ? new Presence(judgementId, lease, this.clock, Number(leaseSeconds))
      : Presence.ofBegun(this.clock, Number(leaseSeconds), judgementId);
  }

  /** The page goes on to something else. */
  leave() {
    this.isGone = true;
    this.presence?.stop();
    clearTimeout(this.commentTimer);
    clearTimeout(this.retryTimer);
  }

  // --- What is chosen

  body() {
    this.form.elements.active_ms.value = this.clock.count();
    const data = new FormData(this.form);
    // Opened and left as the text that it would correct, a better text is none.
    const edits = [...this.form.querySelectorAll("[name=edit]")];
    data.delete("edit");
    for (const edit of edits) data.append("edit", isSameText(edit) ? "" : edit.value);
    return new URLSearchParams(data);
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
    for (const field of this.form.elements) {
      if (field.type === "checkbox") field.checked = kept.getAll(field.name).includes(field.value);
      else if (field.matches("textarea:not([name=edit])")) field.value = kept.get(field.name) || "";
    }
    const edits = kept.getAll("edit");
    for (const [place, id] of kept.getAll("edited").entries()) {
      const text = $(`#edit-${id}`, this.form);
      if (text) text.value = edits[place] || "";
    }
    if (this.form.elements.comment.value) $("#remark").open = true;
    toast(_("What you had chosen before the interruption is back."), "info");
    this.changed(entry.n || 1);
  }

  // --- Saving

  get isUnsaved() {
    return Boolean(this.commentTimer || this.saving || this.isDirty);
  }

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
        await this.makeSure();
        const body = this.body();
        this.unsure = body;
        const reply = await this.sendDraft(body);
        this.unsure = null;
        this.acknowledge(reply);
      } catch (error) {
        this.isDirty = true;
        this.failed(error);
        return;
      }
    }
  }

  sendDraft(body) {
    return send(address(`/judgements/${this.id}/draft`), body, { carries: "[data-version]" });
  }

  /**
   * Send the save of which nothing is known again, unchanged: the server tells it by its content from
   * what another tab stored, and says which version came of it.
   */
  async makeSure() {
    if (!this.unsure) return;
    const { html } = await this.sendDraft(this.unsure);
    this.unsure = null;
    this.form.elements.version.value = $("[data-version]", parse(html)).dataset.version;
  }

  acknowledge({ html }) {
    this.trouble = null;
    this.page.signedIn();
    if (!this.isDirty) {
      this.nWaiting = 0;
      Outbox.drop(this.id);
    }
    if (this.isGone) return;
    const saved = $("[data-version]", parse(html));
    this.form.elements.version.value = saved.dataset.version;
    this.presence?.renewed(saved.dataset.lease);
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
    const tooLong = $("[name=edit][aria-invalid]", this.form);
    if (tooLong) {
      tooLong.closest(".mend").open = true;
      tooLong.focus();
      return;
    }
    this.isSubmitting = true;
    const work = $("#work");
    const busy = setTimeout(() => work.classList.add("is-busy"), BUSY_MS);
    try {
      // The version is known once the save before has been answered.
      await this.settle();
      if (!this.isDirty) await this.makeSure();
      const body = this.body();
      Outbox.put(this.id, body, "submit", this.nWaiting);
      if (this.isDirty) throw this.trouble; // it has just been tried
      const reply = await send(this.form.getAttribute("action"), body, { carries: "#work" });
      Outbox.drop(this.id);
      this.page.signedIn();
      this.page.arrive(reply);
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
    const isNew = !this.trouble;
    this.trouble = error;
    if (error instanceof Unreachable) {
      const text = this.waitingFor(error.why);
      this.show("is-unsaved", text);
      if (isNew) $("#announce").textContent = text;
      clearTimeout(this.retryTimer);
      this.retryTimer = setTimeout(() => this.again(), retryDelay(error));
    } else if (error instanceof Refused && error.status === 401) {
      this.show("is-unsaved", this.waitingForSignIn());
      this.page.signedOut(error);
    } else if (error instanceof Refused) {
      this.refused(error);
    } else {
      throw error;
    }
  }

  waitingFor(why) {
    const n = this.nWaiting;
    if (why === "unable") {
      if (this.wantsSubmit) {
        return _("Not saved yet: the server cannot store anything at the moment. Your answer waits and is sent by itself.");
      }
      if (n === 1) {
        return _("Not saved yet: the server cannot store anything at the moment. 1 click waits and is sent by itself.");
      }
      return _("Not saved yet: the server cannot store anything at the moment. %(n)s clicks wait and are sent by themselves.", { n });
    }
    if (this.wantsSubmit) {
      return _("Not saved yet: your answer waits for the connection and is sent by itself.");
    }
    if (n === 1) return _("Not saved yet: 1 click waits for the connection and is sent by itself.");
    return _("Not saved yet: %(n)s clicks wait for the connection and are sent by themselves.", { n });
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
    this.unsure = null;
    this.wantsSubmit = false;
    this.isDirty = false;
    this.show("is-unsaved", _("Not saved."));
    const conflict = $("#conflict", parse(error.html));
    if (conflict) this.page.showDialog(document.adoptNode(conflict));
    else toast(error.sentence, "bad");
  }

  /** After a network failure or a sign-in: what was meant to happen, again. */
  again() {
    if (this.isGone || this.isSubmitting || this.saving) return;
    clearTimeout(this.retryTimer);
    if (this.wantsSubmit) {
      this.wantsSubmit = false;
      this.isDirty = false;
      this.submit();
    } else if (this.isDirty) {
      this.save();
    }
  }
}
