// Questions that the model asked of an image. Every change is saved as a draft; the decision itself is
// sent when it is submitted, and what could not be sent is kept in this browser until it was (outbox.js).

import { Clock } from "./clock.js";
import { $, _, address, pageData, parse, toast } from "./dom.js";
import { keepApart } from "./facts.js";
import { listenForKeys } from "./keys.js";
import { recall, remember } from "./memory.js";
import { Outbox } from "./outbox.js";
import { Presence } from "./presence.js";
import { putBack } from "./putting-back.js";
import { Saving } from "./saving.js";
import { listenForSelecting } from "./selecting.js";
import { Refused, retryDelay, send, Unreachable } from "./send.js";
import { signedIn, signedOut, signInHere } from "./signing-in.js";
import { showSaved, tellOfKept, waitingFor, waitingForSignIn } from "./waiting.js";
import { listenForZoom } from "./zoom.js";

/** Asks the server: `id` is the address of somebody's place at an image, `act` "draft" or "submit". */
function sendChoices(id, act, body) {
  return send(address(`${id}/${act}`), body, { carries: act === "draft" ? "[data-version]" : "#work" });
}

const outbox = new Outbox(
  `questions.${pageData().userId}`,
  { recall, remember },
  { send: sendChoices, ...tellOfKept },
);
let keptTimer = 0;

/** Choices of an earlier visit about other images, until they were taken or refused. */
async function sendKept() {
  clearTimeout(keptTimer);
  const problem = await outbox.empty(image?.id);
  if (problem instanceof Unreachable) keptTimer = setTimeout(sendKept, retryDelay(problem));
}

class AskedImage {
  constructor(form) {
    const { base, lease, leaseSeconds } = form.dataset;
    this.form = form;
    this.id = base;
    this.saves = "draft";
    this.clock = new Clock(Number(form.elements.active_ms.value));
    this.saving = new Saving(this, outbox);
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

  /** Put back what an earlier visit to this page had chosen and could not send. */
  restore() {
    const entry = outbox.read()[this.id];
    if (!entry) return;
    putBack(this.form.elements, new URLSearchParams(entry.body));
    for (const mend of this.form.querySelectorAll(".mend")) {
      if ($("[name=edit]", mend).value || $("[name=fault]:checked", mend)) mend.open = true;
    }
    toast(_("What you had chosen before the interruption is back."), "info");
    this.saving.changed(entry.n || 1);
  }

  async store(body) {
    const { html } = await sendChoices(this.id, "draft", body);
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
      if (!this.saving.isDirty) await this.saving.makeSure();
      const body = this.body();
      outbox.put(this.id, body, "submit", this.saving.nWaiting);
      if (this.saving.isDirty) throw this.trouble; // it has just been tried
      const { movedTo } = await sendChoices(this.id, "submit", body);
      outbox.drop(this.id);
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
      // Not found: most likely somebody else is signed in here by now. It is kept for its author.
      if (error.status !== 404) outbox.drop(this.id);
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
    signInHere(event.target, sendAgain);
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
  sendAgain();
});

window.addEventListener("click", (event) => {
  if (event.target.closest("a[href]")) isStaying = true;
});
window.addEventListener("submit", () => {
  isStaying = true;
});

function sendAgain() {
  image?.again();
  sendKept();
}

function comeBack() {
  image?.clock.turned();
  if (document.visibilityState !== "visible") return;
  image?.presence.beatNow();
  sendAgain();
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
image?.restore();
sendKept();
