// The practice round: the keys, the zoom and the guidelines of the judging page. An answer is a plain
// form; with script it is sent as on the judging page, so that only our server can take it.

import { putBack } from "./content.js";
import { $, _, pageData, toast } from "./dom.js";
import { keepApart } from "./facts.js";
import { listenForGuidelines } from "./guide.js";
import { listenForKeys } from "./keys.js";
import { recall, remember } from "./memory.js";
import { listenForSelecting } from "./selecting.js";
import { Refused, retryDelay, send, Unreachable } from "./send.js";
import { signedIn, signedOut, signInHere } from "./signing-in.js";
import { showSaved, waitingFor, waitingForSignIn } from "./waiting.js";
import { listenForZoom } from "./zoom.js";

/** The answer that was sent and not acknowledged; of the item that is shown, or of none. */
const Kept = {
  name: () => `practice.${pageData().userId}`,

  // The same item comes again in another try, where nothing was said about it yet.
  place: (form) => `${form.dataset.try} ${form.getAttribute("action")}`,

  read(form) {
    const kept = JSON.parse(recall(this.name()));
    return kept?.place === this.place(form) ? new URLSearchParams(kept.body) : null;
  },

  put(form, body) {
    // Where storage is full or forbidden, the page itself still holds the answer.
    remember(this.name(), JSON.stringify({ place: this.place(form), body: body.toString() }));
  },

  drop() {
    remember(this.name(), null);
  },
};

const form = $("form#answer");
let isSending = false;
let isWaiting = false;
let retryTimer = 0;

async function sendAnswer() {
  if (isSending) return;
  isSending = true;
  clearTimeout(retryTimer);
  const body = new URLSearchParams(new FormData(form));
  Kept.put(form, body);
  if (!isWaiting) showSaved("is-waiting", _("Saving…"));
  try {
    const { movedTo } = await send(form.getAttribute("action"), body, { carries: "#work" });
    Kept.drop();
    signedIn();
    isWaiting = false;
    if (movedTo) location.assign(movedTo);
    else location.reload();
    return; // the page is on its way: nothing more is sent from this one
  } catch (error) {
    isSending = false;
    failed(error);
  }
}

function failed(error) {
  isWaiting = true;
  if (error instanceof Unreachable) {
    wait(waitingFor(error.why, 0, true));
    retryTimer = setTimeout(sendAnswer, retryDelay(error));
  } else if (error instanceof Refused && error.status === 401) {
    wait(waitingForSignIn(0, true));
    signedOut(error);
  } else if (error instanceof Refused) {
    isWaiting = false;
    Kept.drop();
    showSaved("is-unsaved", "");
    toast(error.sentence, "bad");
  } else {
    throw error;
  }
}

function wait(text) {
  if ($("#saved").textContent === text) return;
  showSaved("is-unsaved", text);
  $("#announce").textContent = text;
}

/** Out of the browser's storage, after the reload that signed in at a network, for example. */
function takeUpKept() {
  const kept = form && Kept.read(form);
  if (!kept) {
    Kept.drop(); // its item was answered by now
    return;
  }
  putBack(form.elements, kept);
  sendAnswer();
}

function sendAgain() {
  if (isWaiting && document.visibilityState === "visible") sendAnswer();
}

document.addEventListener("change", (event) => {
  if (form && event.target.form === form) keepApart(form, event.target);
});

document.addEventListener("submit", (event) => {
  if (event.target === form) {
    event.preventDefault();
    sendAnswer();
  } else if (event.target.matches("[data-signs-in]")) {
    event.preventDefault();
    signInHere(event.target, sendAgain);
  }
});

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-send-again]")) return;
  signedIn();
  sendAgain();
});

document.addEventListener("visibilitychange", sendAgain);
window.addEventListener("focus", sendAgain);
window.addEventListener("online", sendAgain);
// A page out of the browser's history has sent its answer.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

listenForGuidelines();
listenForKeys();
listenForSelecting();
listenForZoom();
// A screen reader begins with the question, or with how it went.
$("#question").focus({ preventScroll: true });
takeUpKept();
