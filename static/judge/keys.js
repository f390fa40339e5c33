// Keys press the visible buttons. The table of keys in the page is their one registry.

import { $ } from "./sending.js";

function readRegistry() {
  const actions = new Map();
  for (const key of document.querySelectorAll("[data-key]")) {
    actions.set(key.dataset.key, key.dataset.keyAction);
  }
  return actions;
}

function press(action, key) {
  const selector = action === "pick" ? `[data-digit="${key}"]` : `[data-action="${action}"]`;
  const target = $(selector);
  if (!target || target.disabled || target.closest("fieldset:disabled")) return;
  target.click();
  if (action === "skip" && $("#skip").open) $("#skip [name=reason]").focus();
}

function isTyping(target) {
  return Boolean(target.closest("textarea, select, input:not([type=checkbox], [type=radio])"));
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if ($("#dialog").open || !$("#keys-on").checked) return;
  if (isTyping(event.target)) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  // While the reasons are open, digits choose one of them.
  if ($("#skip[open]") && /^[1-9]$/.test(event.key)) {
    event.preventDefault();
    document.querySelectorAll("#skip [name=reason]")[Number(event.key) - 1]?.click();
    return;
  }
  // Enter on a button, link or summary is that element's own.
  if (event.key === "Enter" && event.target.closest("button, a, summary")) return;
  const action = readRegistry().get(event.key);
  if (!action) return;
  event.preventDefault();
  if (!event.repeat || action === "previous" || action === "next") press(action, event.key);
}

// Escape leaves the reasons for the item, not for their button: Enter is to submit again.
function onEscape(event) {
  const skip = $("#skip[open]");
  if (event.key !== "Escape" || !skip) return;
  event.stopPropagation();
  skip.open = false;
  $("#question").focus({ preventScroll: true });
}

// A click with the mouse leaves no focus on a button, where Enter would press it again.
function leaveButton(event) {
  const pressed = event.target.closest(".judge button, .judge summary");
  if (!pressed || event.detail === 0 || $("#dialog").open) return;
  if (pressed.closest(".menu__panel, [data-action=comment]")) return;
  $("#question")?.focus({ preventScroll: true });
}

export function listenForKeys() {
  document.addEventListener("keydown", onEscape, { capture: true });
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", leaveButton);
}
