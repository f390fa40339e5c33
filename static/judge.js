// The judging page. It sends the forms that the page has, and swaps #work with what comes back.
//
// Every change is saved at once, always with the whole state (judge/item.js). What could not be sent
// stays in the page and in this browser's storage until it was (judge/sending.js).

import { listenForGuidelines, swapGuidelines } from "./judge/guide.js";
import { Item } from "./judge/item.js";
import { listenForKeys } from "./judge/keys.js";
import { $, _, Outbox, pageData, parse, Refused, send, toast, Unreachable } from "./judge/sending.js";
import { signInAgain } from "./judge/signing-in.js";
import { listenForZoom } from "./judge/zoom.js";

let item = null;
let refreshTimer = 0;

const page = { swap, showDialog, signedOut, signedIn };

function showDialog(content) {
  $("#dialog-body").replaceChildren(content);
  if (!$("#dialog").open) $("#dialog").showModal();
}

function signedOut() {
  // Somebody may be typing in it already.
  if ($("#dialog[open] [data-send-again]")) return;
  showDialog($("#signed-out").content.cloneNode(true));
}

function signedIn() {
  if ($("#dialog[open] [data-send-again]")) $("#dialog").close();
}

function start() {
  clearTimeout(refreshTimer);
  const work = $("#work");
  const form = $("#answer");
  item = form ? new Item(form, page) : null;
  const seconds = Number(work.dataset.refreshSeconds);
  if (seconds) refreshTimer = setTimeout(lookForItems, seconds * 1000);
  if (document.readyState === "complete") loadUpcoming();
}

/** The images of the items after this one, in the size that this screen will ask for. */
function loadUpcoming() {
  for (const { dataset } of document.querySelectorAll("#work [data-upcoming]")) {
    const image = new Image();
    image.fetchPriority = "low";
    image.sizes = $(".view__image").sizes;
    image.srcset = dataset.srcset;
    image.src = dataset.upcoming;
  }
}

function swap(html) {
  const answered = parse(html);
  const fresh = $("#work", answered);
  if (!fresh) {
    location.reload();
    return;
  }
  swapGuidelines(answered);
  item?.leave();
  $("#work").replaceWith(document.adoptNode(fresh));
  start();
  window.scrollTo(0, 0);
  const heading = $("#question");
  heading.focus({ preventScroll: true });
  const question = heading.textContent;
  $("#announce").textContent = item ? _("Next: %(question)s", { question }) : question;
}

// An empty queue: look again, but take nothing while nobody is looking at the page.
async function lookForItems() {
  const isBusy = $("#dialog").open || document.activeElement?.closest("#work a, #work button");
  if (document.visibilityState === "visible" && !isBusy) {
    try {
      const html = await send(`/rounds/${pageData().roundId}/judge`, undefined, { method: "GET" });
      const fresh = $("#work", parse(html));
      if (fresh?.textContent !== $("#work").textContent) {
        swap(html);
        return;
      }
    } catch (error) {
      if (error instanceof Refused) location.reload();
      else if (!(error instanceof Unreachable)) throw error;
    }
  }
  start();
}

// Forms beside the answer whose reply is another #work: skip, take back, take up again.
async function sendForm(form, submitter) {
  const body = new URLSearchParams(new FormData(form, submitter));
  await item?.settle();
  try {
    swap(await send(form.getAttribute("action"), body));
  } catch (error) {
    if (error instanceof Refused && error.status === 401) signedOut();
    else if (error instanceof Refused) toast(error.sentence, "bad");
    else if (error instanceof Unreachable) toast(_("No connection: nothing was changed."), "bad");
    else throw error;
  }
}

async function signInHere(form) {
  const button = $("button", form);
  button.disabled = true;
  const isBack = await signInAgain(form);
  button.disabled = false;
  if (!isBack) return;
  signedIn();
  $("#question").focus({ preventScroll: true });
  item?.again();
  Outbox.empty(item?.isEditable ? item.id : undefined);
}

// ------------------------------------------------------------------------------------ listening

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.id === "answer") {
    event.preventDefault();
    item.submit();
  } else if (form.matches("[data-signs-in]")) {
    event.preventDefault();
    signInHere(form);
  } else if (form.matches("[data-swaps-work]")) {
    event.preventDefault();
    sendForm(form, event.submitter);
  }
});

document.addEventListener("change", (event) => {
  if (!item || event.target.type !== "checkbox" || event.target.form !== item.form) return;
  item.keepApart(event.target);
  item.changed();
});

document.addEventListener("input", (event) => {
  if (event.target.matches("#comment, [name=edit]")) item.typed();
});

// A better text begins as the text that it corrects; left as that, it is none.
document.addEventListener(
  "toggle",
  (event) => {
    if (!event.target.matches?.(".mend")) return;
    const text = $(".choice__text", event.target.parentElement).textContent;
    const better = $("[name=edit]", event.target);
    if (event.target.open && !better.value && !better.disabled) better.value = text;
    else if (!event.target.open && better.value === text) better.value = "";
  },
  { capture: true },
);

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-action=comment]")) {
    $("#remark").open = true;
    $("#comment").focus();
  }
  if (event.target.closest("[data-send-again]")) {
    signedIn();
    item?.again();
  }
});

// Back in this tab, after signing in in another one, or when the network returns.
function comeBack() {
  if (document.visibilityState !== "visible") return;
  item?.again();
}
document.addEventListener("visibilitychange", comeBack);
window.addEventListener("focus", comeBack);
window.addEventListener("online", comeBack);
// What is needed now goes first.
window.addEventListener("load", loadUpcoming);
// A comment that is still being typed leaves with the page.
window.addEventListener("pagehide", () => {
  item?.settle();
  // Others need not wait for the whole lease; a reload takes the item up again.
  if (item?.isEditable) navigator.sendBeacon(`/judgements/${item.id}/leave`);
});
// A page out of the browser's history may show an answer of long ago.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

for (const name of ["pointermove", "pointerdown", "keydown", "scroll", "touchstart"]) {
  document.addEventListener(name, () => item?.sign(), { passive: true, capture: true });
}

// ------------------------------------------------------------------------------------- begin

listenForGuidelines();
listenForKeys();
listenForZoom();
start();
item?.restore();
Outbox.empty(item?.isEditable ? item.id : undefined);
