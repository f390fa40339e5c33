// Questions that the model asked of an image. Every change is saved as a draft; the decision itself is
// sent when it is submitted, and what could not be sent is sent again from here.

import { Clock } from "./clock.js";
import { $, _, address, parse, toast } from "./dom.js";
import { keepApart } from "./facts.js";
import { listenForKeys } from "./keys.js";
import { Presence } from "./presence.js";
import { Saving } from "./saving.js";
import { listenForSelecting } from "./selecting.js";
import { Refused, retryDelay, send, Unreachable } from "./send.js";
import { signedIn, signedOut, signInHere } from "./signing-in.js";
import { showSaved, waitingFor, waitingForSignIn } from "./waiting.js";
import { listenForZoom } from "./zoom.js";

/** The page itself holds what was not acknowledged. */
const noOutbox = { put() {}, drop() {} };

class AskedImage {
  constructor(form) {
    const { base, lease, leaseSeconds } = form.dataset;
    this.form = form;
    this.id = base;
    this.clock = new Clock(Number(form.elements.active_ms.value));
    this.saving = new Saving(this, noOutbox);
    this.presence = new Presence(base, lease, this.clock, Number(leaseSeconds));
    this.wantsSubmit = false;
    this.isSending = false;
    this.trouble = null;
    this.retryTimer = 0;
  }

  body() {
    this.form.elements.active_ms.value = this.clock.count();
    return new URLSearchParams(new FormData(this.form));
  }

  show() {
    showSaved("is-waiting", _("Saving…"));
  }

  async store(body) {
    const { html } = await send(address(`${this.id}/draft`), body, { carries: "[data-version]" });
    const saved = $("[data-version]", parse(html));
    this.form.elements.version.value = saved.dataset.version;
    return saved;
  }

  stored(saved, isNewest) {
    this.trouble = null;
    signedIn();
    this.presence.renewed(saved.dataset.lease);
    if (isNewest) $("#saved").replaceWith(document.adoptNode(saved));
  }

  async submit() {
    if (this.isSending) return;
    this.isSending = true;
    this.wantsSubmit = true;
    clearTimeout(this.retryTimer);
    try {
      await this.saving.settle();
      if (this.saving.isDirty) throw this.trouble;
      await this.saving.makeSure();
      const { movedTo } = await send(this.form.getAttribute("action"), this.body(), { carries: "#work" });
      signedIn();
      this.presence.end();
      if (movedTo) location.assign(movedTo);
      else location.reload();
    } catch (error) {
      this.isSending = false;
      this.failed(error);
    }
  }

  failed(error) {
    const isNew = !this.trouble;
    this.trouble = error;
    const { nWaiting } = this.saving;
    if (error instanceof Unreachable) {
      const text = waitingFor(error.why, nWaiting, this.wantsSubmit);
      showSaved("is-unsaved", text);
      if (isNew) $("#announce").textContent = text;
      clearTimeout(this.retryTimer);
      this.retryTimer = setTimeout(() => this.again(), retryDelay(error));
    } else if (error instanceof Refused && error.status === 401) {
      showSaved("is-unsaved", waitingForSignIn(nWaiting, this.wantsSubmit));
      signedOut(error);
    } else if (error instanceof Refused) {
      this.saving.giveUp();
      this.wantsSubmit = false;
      this.trouble = null;
      showSaved("is-unsaved", "");
      toast(error.sentence, "bad");
    } else {
      throw error;
    }
  }

  /** After a network failure or a sign-in: what was meant to happen, again. */
  again() {
    if (this.isSending || this.saving.running) return;
    clearTimeout(this.retryTimer);
    if (this.wantsSubmit) {
      this.saving.isDirty = false;
      this.submit();
    } else if (this.saving.isDirty) {
      this.saving.save();
    }
  }
}

const form = $("form#answer[data-base]");
const image = form && new AskedImage(form);
let isStaying = false; // the next page is one of ours

/** Somebody who words a question anew keeps it. */
function keepReworded(edit) {
  const offer = edit.closest(".offer");
  const box = $("[name=picked]", offer);
  if (box.checked || !edit.value.trim() || edit.value.trim() === $(".choice__text", offer).textContent) return;
  box.checked = true;
  keepApart(form, box);
}

document.addEventListener("change", (event) => {
  if (!image || event.target.form !== form) return;
  if (!/^(checkbox|radio)$/.test(event.target.type)) return;
  keepApart(form, event.target);
  image.saving.changed();
});

document.addEventListener("input", (event) => {
  if (!image || !event.target.matches("[name=edit], [name=answer]")) return;
  if (event.target.name === "edit") keepReworded(event.target);
  image.saving.typed();
});

// Another wording begins as the question that it changes; left as that, it is none.
document.addEventListener(
  "toggle",
  (event) => {
    if (!event.target.matches?.(".mend")) return;
    const edit = $("[name=edit]", event.target);
    if (event.target.open && !edit.value && !edit.disabled) {
      edit.value = $(".choice__text", event.target.parentElement).textContent;
    }
  },
  { capture: true },
);

// In a field, Enter leaves it: the next one submits.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing || !event.target.matches("[name=edit], [name=answer]")) return;
  event.preventDefault();
  event.target.blur();
  $("#question").focus({ preventScroll: true });
});

document.addEventListener("submit", async (event) => {
  if (event.target === form && !event.submitter?.hasAttribute("formaction")) {
    event.preventDefault();
    image.submit();
  } else if (event.target.matches("[data-signs-in]")) {
    event.preventDefault();
    signInHere(event.target, () => image?.again());
  } else if (image?.saving.isUnsaved && !event.target.dataset.isSettled) {
    // Skipped or paused: not before what was chosen is on its way.
    event.preventDefault();
    event.target.dataset.isSettled = "yes";
    await image.saving.settle();
    event.target.requestSubmit();
  }
});

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-send-again]")) return;
  signedIn();
  image?.again();
});

window.addEventListener("click", (event) => {
  if (event.target.closest("a[href]")) isStaying = true;
});
window.addEventListener("submit", () => {
  isStaying = true;
});

function comeBack() {
  image?.clock.turned();
  if (document.visibilityState !== "visible") return;
  image?.presence.beatNow();
  image?.again();
}

document.addEventListener("visibilitychange", comeBack);
window.addEventListener("focus", comeBack);
window.addEventListener("online", comeBack);
window.addEventListener("blur", () => image?.clock.turned());
window.addEventListener("pagehide", () => {
  image?.saving.settle();
  image?.presence.leave({ staysHere: isStaying });
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
for (const name of ["pointermove", "pointerdown", "keydown", "scroll", "touchstart"]) {
  document.addEventListener(name, () => image?.clock.sign(), { passive: true, capture: true });
}

listenForKeys();
listenForSelecting();
listenForZoom();
$("#question").focus({ preventScroll: true });
image?.presence.beatNow();
