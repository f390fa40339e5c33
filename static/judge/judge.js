// The judging page begins here. It sends the forms that the page has, and swaps #work with what comes
// back (page.js).
//
// Every change is saved at once, always with the whole state (saving.js). What could not be sent stays
// in the page and in this browser's storage until it was (outbox.js).

import { listenForBoxes, showFields } from "./boxes.js";
import { checkLength } from "./content.js";
import { $, address } from "./dom.js";
import { keepApart } from "./facts.js";
import { listenForGuidelines } from "./guide.js";
import { listenForKeys } from "./keys.js";
import { listenForLayers } from "./layers.js";
import { JudgingPage } from "./page.js";
import { listenForSelecting } from "./selecting.js";
import { signedIn, signInHere } from "./signing-in.js";
import { listenForZoom } from "./zoom.js";

const page = new JudgingPage();

// ------------------------------------------------------------------------------------ forms

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.id === "answer") {
    event.preventDefault();
    const { branches } = page.item;
    if (event.submitter?.matches("[data-continues]")) {
      branches.ask(event.submitter);
    } else if (event.submitter?.matches("[data-uses-branch]")) {
      branches.use(event.submitter);
    } else if (page.item.isEditable) {
      page.endErrand();
      page.item.submit();
    } else {
      page.item.saving.settle();
    }
  } else if (form.matches("[data-signs-in]")) {
    event.preventDefault();
    signInHere(form, () => page.sendAgain());
  } else if (form.matches("[data-swaps-work]")) {
    event.preventDefault();
    page.begin(form.getAttribute("action"), new URLSearchParams(new FormData(form, event.submitter)));
  } else if (form.matches(`#pause, [action="${address("/sign-out")}"]`)) {
    page.giveUp(event, form);
  }
});

document.addEventListener("change", (event) => {
  const { item } = page;
  if (!item || !/^(checkbox|radio)$/.test(event.target.type) || event.target.form !== item.form) return;
  keepApart(item.form, event.target);
  item.changed();
});

document.addEventListener("input", (event) => {
  if (event.target.matches("[name=edit]")) checkLength(event.target);
  if (event.target.matches("[name^=correction-]")) page.item.branches.typed(event.target);
  if (event.target.matches("[name^=box-]")) showFields(event.target.closest("[data-boxing]"));
  if (event.target.matches("#comment, [name=edit], [name^=correction-], [name^=box-]")) page.item.typed();
});

// A better text begins as the text that it corrects; left as that, it is none. What is still being
// measured of a look is asked for while somebody looks at it.
document.addEventListener(
  "toggle",
  (event) => {
    if (event.target.matches?.(".trace")) page.item?.maps.lookLater();
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
  const next = event.target.closest("[data-goes-on]");
  if (next && !(event.ctrlKey || event.metaKey || event.shiftKey || event.button > 0)) {
    event.preventDefault();
    page.goOn(next.getAttribute("href"));
  }
  if (event.target.closest("[data-send-again]")) {
    signedIn();
    page.sendAgain();
  }
});

// ------------------------------------------------------------------------------------ coming, going

// Links and forms that lead to another page of ours.
function leadsOn(event) {
  const link = event.type === "click" ? event.target.closest("a[href]") : event.target;
  const hasModifier = event.ctrlKey || event.metaKey || event.shiftKey || event.button > 0;
  if (!link || event.defaultPrevented || hasModifier || link.target) return;
  if (event.type === "click" && link.origin !== location.origin) return;
  page.stays();
}
window.addEventListener("click", leadsOn);
window.addEventListener("submit", leadsOn);

const comeBack = () => page.comeBack();
document.addEventListener("visibilitychange", comeBack);
window.addEventListener("focus", comeBack);
window.addEventListener("online", comeBack);
window.addEventListener("blur", () => page.item?.clock.turned());
// What is needed now goes first.
window.addEventListener("load", () => page.loadUpcoming());
window.addEventListener("pagehide", () => page.leave());
// A page out of the browser's history may show an answer of long ago.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

for (const name of ["pointermove", "pointerdown", "keydown", "scroll", "touchstart"]) {
  document.addEventListener(name, () => page.item?.clock.sign(), { passive: true, capture: true });
}

// ------------------------------------------------------------------------------------- begin

listenForGuidelines();
listenForBoxes();
listenForKeys();
listenForLayers();
listenForSelecting();
listenForZoom();
page.start();
// The page before this one may have said that it leaves; it is this one now that has the item.
page.item?.presence?.beatNow();
page.takeUpKept();
page.sendKept();
