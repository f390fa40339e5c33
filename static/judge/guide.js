// The guidelines beside the item: open or closed as they were left, and new ones shown until read.

import { $ } from "./dom.js";
import { recall, remember } from "./memory.js";
import { send } from "./send.js";

/** What an answer of the server brings of them; it brings something only while it is unread. */
export function swapGuidelines(answered) {
  const fresh = $("#guide-place", answered);
  const isShown = fresh && $("#guidelines")?.dataset.unread === $("#guidelines", fresh)?.dataset.unread;
  if (!fresh || isShown) return;
  $("#guide-place").replaceWith(document.adoptNode(fresh));
  const changed = $("#guidelines-changed h2");
  if (changed) $("#announce").textContent = changed.textContent;
}

// Closing them says that they were read. Should it not arrive, the next page shows them again.
function markRead(guidelines) {
  const form = $("[data-guidelines-read]", guidelines);
  delete guidelines.dataset.unread;
  send(form.getAttribute("action"), new URLSearchParams(new FormData(form))).catch(() => {});
  $("#guidelines-changed").remove();
}

function onToggle(event) {
  const guidelines = event.target;
  if (guidelines.id !== "guidelines") return;
  // Open because of a change is not open by choice.
  if (guidelines.dataset.unread && guidelines.open) return;
  if (guidelines.dataset.unread) markRead(guidelines);
  remember("guidelines", guidelines.open ? "open" : "closed");
}

function onSubmit(event) {
  if (!event.target.matches("[data-guidelines-read]")) return;
  event.preventDefault();
  $("#guidelines").open = false;
}

function closeGuidelines(event) {
  if (event.target.closest("button[data-action=guidelines]")) $("#guidelines").open = false;
}

export function listenForGuidelines() {
  const guidelines = $("#guidelines");
  const kept = recall("guidelines");
  if (guidelines && kept && !guidelines.dataset.unread) guidelines.open = kept === "open";
  // Toggles do not bubble; the element is exchanged when its text changes.
  document.addEventListener("toggle", onToggle, { capture: true });
  document.addEventListener("submit", onSubmit);
  document.addEventListener("click", closeGuidelines);
}
