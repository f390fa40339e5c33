// Zoom into the image at the point that was clicked; drag it with the mouse, or scroll by touch.

import { $ } from "./sending.js";

const FIRM_PX = 4; // less movement than this is a click with an unsteady hand

let drag = null;

function toggle(view, at) {
  const frame = $(".view__frame", view);
  const image = $(".view__image", view);
  const isZoomed = view.classList.toggle("is-zoomed");
  $("[data-action=zoom]", view).setAttribute("aria-pressed", String(isZoomed));
  // Enlarged, more pixels are worth their bytes.
  image.dataset.sizes ||= image.sizes;
  image.sizes = isZoomed ? "250vw" : image.dataset.sizes;
  frame.scrollLeft = frame.scrollWidth * at[0] - frame.clientWidth / 2;
  frame.scrollTop = frame.scrollHeight * at[1] - frame.clientHeight / 2;
}

function onClick(event) {
  const view = $("#view");
  if (!view) return;
  if (event.target.closest("[data-action=zoom]")) {
    toggle(view, [0.5, 0.5]);
  } else if (event.target.closest(".view__image")) {
    const wasDrag = view.dataset.moved;
    delete view.dataset.moved;
    if (wasDrag) return;
    const box = $(".view__frame", view).getBoundingClientRect();
    toggle(view, [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]);
  }
}

function onDown(event) {
  if (event.pointerType !== "mouse" || !event.target.closest(".is-zoomed .view__image")) return;
  const frame = event.target.closest(".view__frame");
  const { clientX: x, clientY: y } = event;
  drag = { frame, x, y, left: frame.scrollLeft, top: frame.scrollTop };
  $("#view").classList.add("is-panning");
}

function onMove(event) {
  if (!drag) return;
  const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
  if (Math.abs(dx) + Math.abs(dy) > FIRM_PX) $("#view").dataset.moved = "yes";
  drag.frame.scrollLeft = drag.left - dx;
  drag.frame.scrollTop = drag.top - dy;
}

function onUp() {
  drag = null;
  $("#view")?.classList.remove("is-panning");
}

export function listenForZoom() {
  document.addEventListener("click", onClick);
  document.addEventListener("pointerdown", onDown);
  document.addEventListener("pointermove", onMove);
  document.addEventListener("pointerup", onUp);
}
