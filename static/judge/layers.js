// What lies over the pictures of looks: what hiding changes, attention, or nothing. Each
// look has its buttons, one key is for all of them; what it chose stays for the next item.

import { $, _ } from "./dom.js";
import { recall, remember } from "./memory.js";

const KINDS = ["occlusion", "attention", "none"];

const sights = () => document.querySelectorAll(".sight");
const layersOf = (sight) => sight.querySelectorAll(".layer");

function kindOf(sight) {
  const open = $(".layer[open]", sight);
  return KINDS.find((kind) => open?.matches(`.layer--${kind}`)) || "none";
}

function show(kind) {
  for (const sight of sights()) {
    for (const layer of layersOf(sight)) layer.open = layer.matches(`.layer--${kind}`);
  }
}

/** The layer that was chosen before, on an item that has just come. */
export function showChosenLayer() {
  const kind = recall("layer");
  if (KINDS.includes(kind)) show(kind);
}

/** Leaves a look whose map has just come at the layer that was chosen, or else at what came. */
export function keepLayer(sight) {
  const chosen = recall("layer");
  const kind = KINDS.includes(chosen) ? chosen : "occlusion";
  for (const layer of layersOf(sight)) layer.open = layer.matches(`.layer--${kind}`);
}

/** The next one: of the look with the focus, else of the first one that is to be seen. */
function showNext() {
  const near = document.activeElement.closest(".turn")?.querySelector(".sight");
  const sight = near || $(".trace[open] .sight") || $(".sight");
  if (!sight) return;
  const kind = KINDS[(KINDS.indexOf(kindOf(sight)) + 1) % KINDS.length];
  show(kind);
  remember("layer", kind);
  const words = $(`.layer--${kind} .layer__words`, sight)?.textContent;
  $("#announce").textContent = words || _("The picture alone.");
}

export function listenForLayers() {
  document.addEventListener("nextlayer", showNext); // by key
}
