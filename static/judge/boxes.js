// Boxes on the pictures of looks: drawn with mouse, finger or pen, moved and sized by keys, or told in numbers.
// The fields hold what is sent; the picture shows what they hold.

import { $, _ } from "./dom.js";

const NUDGE = 0.02; // of the picture, per press of an arrow
const LEAST_SIDE = 0.02; // of the picture, as the server has it
const FIRST_BOX = { left: 0.35, top: 0.35, right: 0.65, bottom: 0.65 };
const WHOLE_PICTURE = { left: 0, top: 0, right: 1, bottom: 1 };
const EDGES = Object.keys(WHOLE_PICTURE);

let boxDrag = null; // where the pointer went down, on which picture

const clampShare = (share) => Math.min(Math.max(share, 0), 1);
const roundShare = (share) => Math.round(share * 1e4) / 1e4;

const boxingOf = (frame) => $(`[data-boxing="${frame.id.replace("frame-", "")}"]`);
const frameOf = (boxing) => $(`#frame-${boxing.dataset.boxing}`);
const fieldOf = (boxing, edge) => $(`[data-edge=${edge}]`, boxing);

// --- What the fields hold

/** The box; null where nothing is written, undefined where what is written is none. */
export function readBox(texts) {
  if (!EDGES.some((edge) => texts[edge].trim())) return null;
  const box = {};
  for (const edge of EDGES) {
    const text = texts[edge].trim().replace(",", ".");
    box[edge] = text ? roundShare(Number(text) / 100) : WHOLE_PICTURE[edge];
  }
  const isWithin = EDGES.every((edge) => box[edge] >= 0 && box[edge] <= 1);
  const isWide = box.right - box.left >= LEAST_SIDE - 1e-9 && box.bottom - box.top >= LEAST_SIDE - 1e-9;
  return isWithin && isWide ? box : undefined;
}

/** A box moved, or with `isSizing` made larger or smaller from its right lower corner. */
export function nudgeBox(box, [x, y], isSizing) {
  const moved = { ...box };
  if (isSizing) {
    moved.right = Math.min(Math.max(box.right + x, box.left + LEAST_SIDE), 1);
    moved.bottom = Math.min(Math.max(box.bottom + y, box.top + LEAST_SIDE), 1);
  } else {
    const dx = Math.min(Math.max(x, -box.left), 1 - box.right);
    const dy = Math.min(Math.max(y, -box.top), 1 - box.bottom);
    moved.left += dx;
    moved.right += dx;
    moved.top += dy;
    moved.bottom += dy;
  }
  for (const edge of EDGES) moved[edge] = roundShare(moved[edge]);
  return moved;
}

/** The box between two places of the picture; null where they are too near to each other. */
export function boxBetween(a, b) {
  const box = {
    left: roundShare(clampShare(Math.min(a.x, b.x))),
    top: roundShare(clampShare(Math.min(a.y, b.y))),
    right: roundShare(clampShare(Math.max(a.x, b.x))),
    bottom: roundShare(clampShare(Math.max(a.y, b.y))),
  };
  return box.right - box.left >= LEAST_SIDE && box.bottom - box.top >= LEAST_SIDE ? box : null;
}

function boxOf(boxing) {
  return readBox(Object.fromEntries(EDGES.map((edge) => [edge, fieldOf(boxing, edge).value])));
}

/** Leaves out of what is sent what is no box (yet). */
export function dropUnfinished(form, data) {
  for (const boxing of form.querySelectorAll("[data-boxing]")) {
    if (boxOf(boxing) !== undefined) continue;
    for (const edge of EDGES) data.delete(fieldOf(boxing, edge).name);
  }
}

/** Leads to the first box that is none. True when there is one. */
export function showUnfinished(form) {
  const boxing = [...form.querySelectorAll("[data-boxing]")].find((one) => boxOf(one) === undefined);
  if (!boxing) return false;
  boxing.closest(".trace").open = true;
  $(".boxing__numbers", boxing).open = true;
  fieldOf(boxing, "left").focus();
  return true;
}

// --- What the picture shows

function showBox(boxing, box) {
  for (const rect of frameOf(boxing).querySelectorAll(".sight__drawn rect")) {
    const { left, top, right, bottom } = box || { left: 0, top: 0, right: 0, bottom: 0 };
    rect.setAttribute("x", left);
    rect.setAttribute("y", top);
    rect.setAttribute("width", roundShare(right - left));
    rect.setAttribute("height", roundShare(bottom - top));
  }
  const remove = $("[data-undraws]", boxing);
  if (remove) remove.hidden = !box;
}

/** Shows what a field was changed to, and says beside it where it is no box. */
export function showFields(boxing) {
  const box = boxOf(boxing);
  showBox(boxing, box);
  const bad = $(".boxing__bad", boxing);
  bad.hidden = box !== undefined;
  for (const edge of EDGES) {
    const field = fieldOf(boxing, edge);
    if (bad.hidden) field.removeAttribute("aria-invalid");
    else field.setAttribute("aria-invalid", "true");
    if (bad.hidden) field.removeAttribute("aria-describedby");
    else field.setAttribute("aria-describedby", bad.id);
  }
}

export function showAllFields(form) {
  for (const boxing of form.querySelectorAll("[data-boxing]")) showFields(boxing);
}

/** Write a box, or with null none, into its fields; whoever listens there hears of it. */
function writeBox(boxing, box) {
  for (const edge of EDGES) {
    fieldOf(boxing, edge).value = box ? String(Math.round(box[edge] * 1e4) / 100) : "";
  }
  fieldOf(boxing, "left").dispatchEvent(new Event("input", { bubbles: true }));
}

function tellBox(box) {
  const percent = (share) => Math.round(share * 100);
  $("#announce").textContent = box
    ? _("Box from %(left)s to %(right)s percent of the width, from %(top)s to %(bottom)s percent of the height.", {
        left: percent(box.left),
        right: percent(box.right),
        top: percent(box.top),
        bottom: percent(box.bottom),
      })
    : _("No box.");
}

// --- Drawing begins and ends

const drawing = () => $(".sight__frame.is-drawing");

function beginDrawing(boxing) {
  endDrawing();
  const frame = frameOf(boxing);
  frame.classList.add("is-drawing");
  frame.tabIndex = 0;
  frame.setAttribute("role", "application");
  frame.setAttribute("aria-label", _("Box on the picture"));
  frame.setAttribute("aria-describedby", `how-${boxing.dataset.boxing}`);
  $(".boxing__how", boxing).hidden = false;
  $("[data-draws]", boxing).setAttribute("aria-pressed", "true");
  frame.scrollIntoView({ block: "center" });
  frame.focus({ preventScroll: true });
}

function endDrawing() {
  const frame = drawing();
  if (!frame) return;
  const boxing = boxingOf(frame);
  frame.classList.remove("is-drawing");
  for (const name of ["tabindex", "role", "aria-label", "aria-describedby"]) frame.removeAttribute(name);
  $(".boxing__how", boxing).hidden = true;
  const button = $("[data-draws]", boxing);
  button.setAttribute("aria-pressed", "false");
  if (document.activeElement === document.body || document.activeElement === frame) button.focus();
}

function onBoxClick(event) {
  const boxing = event.target.closest("[data-boxing]");
  if (event.target.closest("[data-draws]")) {
    if (frameOf(boxing) === drawing()) endDrawing();
    else beginDrawing(boxing);
  } else if (event.target.closest("[data-undraws]")) {
    writeBox(boxing, null);
    tellBox(null);
    $("[data-draws]", boxing).focus();
  }
}

// --- By pointer

function placeOn(frame, event) {
  const box = frame.getBoundingClientRect();
  return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
}

function onBoxDown(event) {
  const frame = event.target.closest(".sight__frame.is-drawing");
  if (!frame || event.button > 0) return;
  event.preventDefault();
  frame.setPointerCapture(event.pointerId);
  boxDrag = { frame, from: placeOn(frame, event), id: event.pointerId };
}

function onBoxMove(event) {
  if (boxDrag?.id !== event.pointerId) return;
  showBox(boxingOf(boxDrag.frame), boxBetween(boxDrag.from, placeOn(boxDrag.frame, event)));
}

function onBoxUp(event) {
  if (boxDrag?.id !== event.pointerId) return;
  const { frame, from } = boxDrag;
  boxDrag = null;
  const boxing = boxingOf(frame);
  const box = event.type === "pointerup" ? boxBetween(from, placeOn(frame, event)) : null;
  if (box) {
    writeBox(boxing, box);
    tellBox(box);
  } else {
    showFields(boxing); // a click, or called off: as it was
  }
}

// --- By keys

const NUDGES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** While a box is drawn, its keys are the box's own. */
function onBoxKey(event) {
  const frame = drawing();
  if (!frame || event.target !== frame || event.ctrlKey || event.metaKey || event.altKey) return;
  const boxing = boxingOf(frame);
  const box = boxOf(boxing);
  const arrow = NUDGES[event.key];
  if (event.key === "Tab") return;
  event.stopImmediatePropagation();
  if (arrow) {
    const moved = box ? nudgeBox(box, [arrow[0] * NUDGE, arrow[1] * NUDGE], event.shiftKey) : FIRST_BOX;
    writeBox(boxing, moved);
    tellBox(moved);
  } else if (event.key === "Delete" || event.key === "Backspace") {
    writeBox(boxing, null);
    tellBox(null);
  } else if (event.key === "Enter" || event.key === "Escape") {
    endDrawing();
  } else {
    return;
  }
  event.preventDefault();
}

export function listenForBoxes() {
  document.addEventListener("click", onBoxClick);
  document.addEventListener("pointerdown", onBoxDown);
  document.addEventListener("pointermove", onBoxMove);
  document.addEventListener("pointerup", onBoxUp);
  document.addEventListener("pointercancel", onBoxUp);
  // Before the keys of the page hear of it.
  document.addEventListener("keydown", onBoxKey, { capture: true });
}
