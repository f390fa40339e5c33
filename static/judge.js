// The judging page. It sends the forms that the page has, and swaps #work with what comes back.
//
// Every change is saved at once, always with the whole state (judge/item.js). What could not be sent
// stays in the page and in this browser's storage until it was (judge/sending.js).

import { listenForGuidelines, swapGuidelines } from "./judge/guide.js";
import { checkLength, Item } from "./judge/item.js";
import { listenForKeys } from "./judge/keys.js";
import { Presence } from "./judge/presence.js";
import { $, _, address, Outbox, pageData, parse, Refused, retryDelay, send, toast, Unreachable } from "./judge/sending.js";
import { listenForSelecting } from "./judge/selecting.js";
import { showDialog, signedIn, signedOut, signInHere } from "./judge/signing-in.js";
import { listenForZoom } from "./judge/zoom.js";

const LEAVING_MS = 10_000; // a link that was clicked has led away by then, or never does

let item = null;
let refreshTimer = 0;
let keptTimer = 0;
let errand = null; // a form beside the answer that was sent and not acknowledged
let staysHere = false; // the next page is one of ours

const page = { arrive, showDialog, signedOut, signedIn };

function start() {
  clearTimeout(refreshTimer);
  const work = $("#work");
  const form = $("#answer");
  item = form ? new Item(form, page) : null;
  if (!item) Presence.forget();
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

/** An answer that holds another #work, or says where to go on. */
function arrive({ html, movedTo }) {
  endErrand();
  if (movedTo) location.assign(movedTo);
  else swap(html);
}

function swap(html) {
  const answered = parse(html);
  swapGuidelines(answered);
  item?.leave();
  $("#work").replaceWith(document.adoptNode($("#work", answered)));
  start();
  window.scrollTo(0, 0);
  const heading = $("#question");
  heading.focus({ preventScroll: true });
  const question = heading.textContent;
  $("#announce").textContent = item ? _("Next: %(question)s", { question }) : question;
}

// An empty queue: look again, but take nothing while nobody is looking at the page.
async function lookForItems() {
  const isBusy = errand || $("#dialog").open || document.activeElement?.closest("#work a, #work button");
  if (document.visibilityState === "visible" && !isBusy) {
    try {
      const url = address(`/rounds/${pageData().roundId}/judge`);
      const reply = await send(url, undefined, { method: "GET", carries: "#work" });
      const isNews = $("#work", parse(reply.html))?.textContent !== $("#work").textContent;
      if (reply.movedTo || isNews) {
        arrive(reply);
        return;
      }
    } catch (error) {
      if (error instanceof Refused) location.reload();
      else if (!(error instanceof Unreachable)) throw error;
    }
  }
  start();
}

// --- Forms beside the answer whose reply is another #work: skip, take back, take up again

function sendForm(form, submitter) {
  begin(form.getAttribute("action"), new URLSearchParams(new FormData(form, submitter)));
}

function begin(url, body) {
  endErrand();
  errand = { url, body, timer: 0, notice: null, isSent: false };
  runErrand();
}

function endErrand() {
  clearTimeout(errand?.timer);
  errand?.notice?.remove();
  errand = null;
}

/** What was asked for is tried until our server has answered, unless something else is asked for. */
async function runErrand() {
  const mine = errand;
  if (!mine || mine.isSent) return;
  clearTimeout(mine.timer);
  mine.isSent = true;
  try {
    await item?.settle();
    if (item?.isDirty) throw item.trouble; // first what was chosen, then the rest
    const reply = await send(mine.url, mine.body, { carries: "#work" });
    if (errand !== mine) return;
    if (isSkip(mine)) Outbox.drop(item.id);
    signedIn();
    arrive(reply);
  } catch (error) {
    if (errand === mine) errandFailed(mine, error);
  } finally {
    mine.isSent = false;
  }
}

function errandFailed(mine, error) {
  if (error instanceof Unreachable) {
    // A reason for skipping is kept like an answer.
    if (isSkip(mine)) Outbox.put(item.id, mine.body, "skip", 1);
    mine.notice ||= toast(
      _("Not done yet: the server cannot be reached. It is tried again by itself."),
      "bad",
    );
    mine.timer = setTimeout(runErrand, retryDelay(error));
  } else if (error instanceof Refused && error.status === 401) {
    signedOut(error);
  } else if (error instanceof Refused) {
    if (isSkip(mine) && error.status !== 404) Outbox.drop(item.id);
    endErrand();
    toast(error.sentence, "bad");
  } else {
    throw error;
  }
}

const isSkip = ({ url }) => item?.isEditable && url === skipUrl(item.id);
const skipUrl = (id) => $(`#skip-form[action="${address(`/judgements/${id}/skip`)}"]`)?.getAttribute("action");

// ------------------------------------------------------------------------------------ what waits

function sendAgain() {
  item?.again();
  runErrand();
  sendKept();
}

/** Answers of an earlier visit, until they were taken or refused. */
async function sendKept() {
  clearTimeout(keptTimer);
  const problem = await Outbox.empty(item?.isEditable ? item.id : undefined);
  if (problem instanceof Unreachable) keptTimer = setTimeout(sendKept, retryDelay(problem));
}

/** Of the item that is shown again: what was chosen is put back, and a skip is done. */
function takeUpKept() {
  const kept = item?.isEditable && Outbox.read()[item.id];
  if (kept?.act === "skip") begin(skipUrl(item.id), new URLSearchParams(kept.body));
  else item?.restore();
}

// ------------------------------------------------------------------------------------ listening

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.id === "answer") {
    event.preventDefault();
    endErrand();
    item.submit();
  } else if (form.matches("[data-signs-in]")) {
    event.preventDefault();
    signInHere(form, sendAgain);
  } else if (form.matches("[data-swaps-work]")) {
    event.preventDefault();
    sendForm(form, event.submitter);
  } else if (form.matches(`#pause, [action="${address("/sign-out")}"]`)) {
    giveUp(event, form);
  }
});

/** The item is given back with this form: not before what was chosen is on its way. */
async function giveUp(event, form) {
  if (item?.isUnsaved && !form.dataset.isSettled) {
    event.preventDefault();
    form.dataset.isSettled = "yes";
    await item.settle();
    form.requestSubmit();
    return;
  }
  item?.presence?.end();
}

// Links and forms that lead to another page of ours.
function leadsOn(event) {
  const link = event.type === "click" ? event.target.closest("a[href]") : event.target;
  const hasModifier = event.ctrlKey || event.metaKey || event.shiftKey || event.button > 0;
  if (!link || event.defaultPrevented || hasModifier || link.target) return;
  if (event.type === "click" && link.origin !== location.origin) return;
  staysHere = true;
  setTimeout(() => {
    staysHere = false;
  }, LEAVING_MS);
}
window.addEventListener("click", leadsOn);
window.addEventListener("submit", leadsOn);

document.addEventListener("change", (event) => {
  if (!item || event.target.type !== "checkbox" || event.target.form !== item.form) return;
  item.keepApart(event.target);
  item.changed();
});

document.addEventListener("input", (event) => {
  if (event.target.matches("[name=edit]")) checkLength(event.target);
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
    sendAgain();
  }
});

// Back in this tab, after signing in in another one, or when the network returns.
function comeBack() {
  item?.clock.turned();
  if (document.visibilityState !== "visible") return;
  item?.presence?.beatNow();
  sendAgain();
}
document.addEventListener("visibilitychange", comeBack);
window.addEventListener("focus", comeBack);
window.addEventListener("online", comeBack);
window.addEventListener("blur", () => item?.clock.turned());
// What is needed now goes first.
window.addEventListener("load", loadUpcoming);
// A comment that is still being typed leaves with the page.
window.addEventListener("pagehide", () => {
  item?.settle();
  item?.presence?.leave({ staysHere });
});
// A page out of the browser's history may show an answer of long ago.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

for (const name of ["pointermove", "pointerdown", "keydown", "scroll", "touchstart"]) {
  document.addEventListener(name, () => item?.clock.sign(), { passive: true, capture: true });
}

// ------------------------------------------------------------------------------------- begin

listenForGuidelines();
listenForKeys();
listenForSelecting();
listenForZoom();
start();
// The page before this one may have said that it leaves; it is this one now that has the item.
item?.presence?.beatNow();
takeUpKept();
sendKept();
