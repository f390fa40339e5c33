// Keys press the visible buttons. The table of keys in the page is their one registry.

import { $, _, toast } from "./dom.js";
import { isChord, keyNames } from "./layouts.js";
import { recall, remember } from "./memory.js";
import { zoomByKey } from "./zoom.js";

/** What keys open of one rationale. */
const OPENS = {
  mend: openMend,
  trace: toggleTrace,
  continue: continueFrom,
  box: drawBox,
  answer: correctAnswer,
};

/** What keys do that no one button of the page does. */
const DOES = { layer: () => document.dispatchEvent(new Event("nextlayer")) };

let choosing = null; // after such a key: what it opens, and the hint that the next one says of which

function readRegistry() {
  const actions = new Map();
  for (const key of document.querySelectorAll("[data-key]")) {
    actions.set(key.dataset.key, key.dataset.keyAction);
  }
  return actions;
}

function press(action) {
  const target = $(`[data-action="${action}"]`);
  // Of an item that was judged blind, the key shows how all of it came about; then that of each.
  if (action in OPENS && !target) {
    chooseOffer(OPENS[action]);
    return;
  }
  if (action in DOES) {
    DOES[action]();
    return;
  }
  if (!target || target.disabled || target.closest("fieldset:disabled")) return;
  target.click();
  if (action === "skip" && $("#skip")?.open) $("#skip [name=reason]").focus();
}

// --- Faults and a better text; how a rationale came about

/** Of the rationale that has the focus; else the next key says of which. */
function chooseOffer(open) {
  const focused = document.activeElement?.closest(".offer");
  if (focused) {
    open(focused);
  } else if ($(".offer")) {
    const hint = $("[data-number-hint]")?.dataset.numberHint || _("Press the number of the rationale.");
    choosing = { open, hint: toast(hint, "info") };
  }
}

function openMend(offer) {
  const mend = $(".mend", offer);
  if (mend.open && mend.contains(document.activeElement)) {
    $("[name=edit]", mend).focus();
    return;
  }
  for (const other of document.querySelectorAll(".mend[open]")) other.open = other === mend;
  mend.open = true;
  mend.scrollIntoView({ block: "nearest" });
  $("[name=fault]", mend).focus();
}

/** Closed, it leaves the focus to the item: Enter is to submit again. */
function toggleTrace(offer) {
  const trace = $(".trace", offer);
  if (!trace) return;
  trace.open = !trace.open;
  if (trace.open) {
    trace.scrollIntoView({ block: "nearest" });
    // Where there is nothing to mark, or no longer: on what closes it again.
    ($(".marking input:checked:enabled", trace) || $("summary", trace)).focus();
  } else {
    $("#question").focus({ preventScroll: true });
  }
}

/** Where questions have answers of their own. */
function correctAnswer(offer) {
  const answer = $("[name=answer]", offer);
  answer.focus();
  answer.select();
}

/** From the look with the focus, else from the last one that is corrected; where the new way is there, to its text. */
function continueFrom(offer) {
  const corrected = [...offer.querySelectorAll("[name^=correction-]")].filter((field) => field.value.trim());
  const turn = (document.activeElement.closest(".turn") || corrected.at(-1) || $(".turn", offer))?.closest(".turn");
  if (!turn) return;
  turn.closest(".trace").open = true;
  const use = $(".branch:not([hidden]) [data-uses-branch]", turn);
  const button = use || $("[data-continues]", turn);
  if (!button) return; // to look at only
  button.scrollIntoView({ block: "nearest" });
  button.focus();
  if (!use) button.click();
}

/** Of the look with the focus, else of the first one. */
function drawBox(offer) {
  const turn = document.activeElement.closest(".turn") || $(".trace .turn", offer);
  const button = turn && $("[data-draws]", turn);
  if (!button) return; // to look at only
  $(".trace", offer).open = true;
  button.click();
}

/** In what is open, digits choose by place. True when there was something to choose. */
function chooseInOpened(event) {
  const digit = keyNames(event).find((name) => /^[1-9]$/.test(name));
  if (!digit) return false;
  const opened = $("#skip[open]") || event.target.closest(".mend[open], .marking");
  const choice = opened?.querySelectorAll("[name=reason], [name=fault], [type=radio]")[Number(digit) - 1];
  if (!choice) return Boolean($("#skip[open]"));
  choice.click();
  if (choice.type === "radio") choice.focus();
  return true;
}

// --- Listening

function isTyping(target) {
  return Boolean(target.closest("textarea, select, input:not([type=checkbox], [type=radio])"));
}

function onKey(event) {
  if (isChord(event) || event.isComposing) return;
  if ($("#dialog").open || !$("#keys-on").checked) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  // Among the values of a mark, arrows choose, as browsers have it.
  if (event.target.type === "radio" && event.key.startsWith("Arrow")) return;
  const wasChoosing = choosing;
  choosing?.hint.remove();
  choosing = null;
  if (chooseInOpened(event)) {
    event.preventDefault();
    return;
  }
  // Enter on a button, link or summary is that element's own.
  if (event.key === "Enter" && event.target.closest("button, a, summary")) return;
  const actions = readRegistry();
  const action = actions.get(keyNames(event).find((name) => actions.has(name)));
  const isTaken = Boolean(action) && (action in OPENS || action in DOES || Boolean($(`[data-action="${action}"]`)));
  if (zoomByKey(event, isTaken)) {
    event.preventDefault();
    return;
  }
  if (!action) return;
  event.preventDefault();
  if (wasChoosing && action.startsWith("pick-")) {
    const offer = $(`[data-action="${action}"]`)?.closest(".offer");
    if (offer) wasChoosing.open(offer);
  } else if (!event.repeat || action === "previous" || action === "next") {
    press(action);
  }
}

// Escape leaves what is open for the item, not for its button: Enter is to submit again.
function onEscape(event) {
  if (event.key !== "Escape" || $("#dialog").open) return;
  const opened = $("#skip[open]") || event.target.closest(".mend[open], .trace[open]");
  if (!opened) return;
  event.stopPropagation();
  opened.open = false;
  $("#question").focus({ preventScroll: true });
}

// A click with the mouse leaves no focus on a button, where Enter would press it again.
function leaveButton(event) {
  const pressed = event.target.closest(".judge button, .judge summary");
  if (!pressed || event.detail === 0 || $("#dialog").open) return;
  if (pressed.closest(".menu__panel, [data-action=comment], .mend, .trace")) return;
  $("#question")?.focus({ preventScroll: true });
}

export function listenForKeys() {
  const keysOn = $("#keys-on"); // remembered for this browser
  keysOn.checked = recall("keys") !== "off";
  keysOn.addEventListener("change", () => remember("keys", keysOn.checked ? "on" : "off"));
  document.addEventListener("keydown", onEscape, { capture: true });
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", leaveButton);
}
