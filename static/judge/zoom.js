// Zoom into the image up to its own pixels and beyond: click, wheel, pinch, keys, buttons. Drag it with
// the mouse, scroll it by touch, move it with the arrows.

import { $ } from "./dom.js";

const FIRM_PX = 4; // less movement than this is a click with an unsteady hand
const FIRST_SCALE = 2.5;
const STEP = 1.25;
const BEYOND = 4; // times the picture's own pixels
const LEAST_MAX = 8; // small pictures too
const WHEEL_PX = 300; // for a factor of e
const WHEEL_LINE_PX = 30;
const ARROW_SHARE = 0.2; // of the frame, per press

const scales = new WeakMap(); // of each picture; 1 is the whole of it in the frame
let drag = null;
let pinch = null;

const scaleOf = (view) => scales.get(view) || 1;

/** The picture as a whole in its frame, in pixels of the page. */
function fitted(view) {
  const frame = $(".view__frame", view);
  const image = $(".view__image", view);
  const [width, height] = [Number(image.getAttribute("width")), Number(image.getAttribute("height"))];
  const fit = Math.min(frame.clientWidth / width, frame.clientHeight / height);
  return { frame, image, width: width * fit, height: height * fit, ownScale: 1 / fit };
}

/** Enlarge to `wanted` times the fitted size; the place under `at` (in the window) stays there. */
function zoomTo(view, wanted, at) {
  const { frame, image, width, height, ownScale } = fitted(view);
  const own = ownScale / window.devicePixelRatio;
  const scale = Math.min(Math.max(wanted, 1), Math.max(own * BEYOND, LEAST_MAX));
  const old = shownBox(image, width, height, scaleOf(view));
  const box = frame.getBoundingClientRect();
  const point = at || { x: box.left + box.width / 2, y: box.top + box.height / 2 };
  const share = {
    x: clamp((point.x - old.left) / old.width),
    y: clamp((point.y - old.top) / old.height),
  };
  const isZoomed = scale > 1.001;
  scales.set(view, isZoomed ? scale : 1);
  view.classList.toggle("is-zoomed", isZoomed);
  image.style.width = isZoomed ? `${width * scale}px` : "";
  image.style.height = isZoomed ? `${height * scale}px` : "";
  // Enlarged, more pixels are worth their bytes.
  image.dataset.sizes ||= image.sizes;
  image.sizes = isZoomed ? `${image.getAttribute("width")}px` : image.dataset.sizes;
  if (isZoomed) {
    const now = image.getBoundingClientRect();
    frame.scrollLeft += now.left + now.width * share.x - point.x;
    frame.scrollTop += now.top + now.height * share.y - point.y;
  }
  tell(view, frame, isZoomed, (100 * scale) / own);
}

const clamp = (share) => Math.min(Math.max(share, 0), 1);

/** Where the pixels are: as a whole the picture is smaller than its element, at the top or the middle. */
function shownBox(image, width, height, scale) {
  const box = image.getBoundingClientRect();
  if (scale > 1) return box;
  const isMiddle = getComputedStyle(image).objectPosition.endsWith("50%");
  return {
    left: box.left + (box.width - width) / 2,
    top: box.top + (isMiddle ? (box.height - height) / 2 : 0),
    width,
    height,
  };
}

function tell(view, frame, isZoomed, percent) {
  $("[data-action=zoom]", view).setAttribute("aria-pressed", String(isZoomed));
  for (const only of view.querySelectorAll("[data-only-zoomed]")) only.hidden = !isZoomed;
  $(".view__scale", view).textContent = isZoomed ? `${Math.round(percent)} %` : "";
  if (isZoomed) frame.tabIndex = 0;
  else frame.removeAttribute("tabindex");
}

const toggle = (view, at) => zoomTo(view, scaleOf(view) > 1 ? 1 : FIRST_SCALE, at);

// --- Click and buttons

function onZoomClick(event) {
  const view = $("#view");
  const action = event.target.closest("#view [data-action]")?.dataset.action;
  if (!view) return;
  if (action === "zoom") {
    toggle(view);
    // By key: then the arrows move the picture, and afterwards the answer goes on.
    const place = scaleOf(view) > 1 ? $(".view__frame", view) : $("#question");
    if (event.detail === 0) place.focus({ preventScroll: true });
  } else if (action === "zoom-in") {
    zoomTo(view, scaleOf(view) * STEP);
  } else if (action === "zoom-out") {
    zoomTo(view, scaleOf(view) / STEP);
    if (scaleOf(view) === 1 && event.detail === 0) $("[data-action=zoom]", view).focus();
  } else if (event.target.closest(".view__image")) {
    const wasDrag = view.dataset.moved;
    delete view.dataset.moved;
    if (!wasDrag) toggle(view, { x: event.clientX, y: event.clientY });
  }
}

// --- Wheel and pinch

function onWheel(event) {
  const view = event.target.closest(".view__frame")?.closest("#view");
  if (!view || event.deltaY === 0) return;
  // The whole picture gets no smaller: then the page scrolls.
  if (scaleOf(view) === 1 && event.deltaY > 0 && !event.ctrlKey) return;
  event.preventDefault();
  const pixels = event.deltaY * (event.deltaMode === 0 ? 1 : WHEEL_LINE_PX);
  // A pinch on a touchpad comes as a wheel with Ctrl, in small steps.
  const power = -pixels / (event.ctrlKey ? WHEEL_PX / 3 : WHEEL_PX);
  zoomTo(view, scaleOf(view) * Math.exp(power), { x: event.clientX, y: event.clientY });
}

function spread({ touches: [a, b] }) {
  return {
    distance: Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY),
    x: (a.clientX + b.clientX) / 2,
    y: (a.clientY + b.clientY) / 2,
  };
}

function onTouch(event) {
  const view = event.target.closest(".view__frame")?.closest("#view");
  if (!view || event.touches.length !== 2) {
    pinch = null;
    return;
  }
  event.preventDefault();
  const now = spread(event);
  if (event.type === "touchstart" || !pinch) {
    pinch = { distance: now.distance || 1, scale: scaleOf(view), at: now };
    return;
  }
  const { frame } = fitted(view);
  frame.scrollLeft += pinch.at.x - now.x;
  frame.scrollTop += pinch.at.y - now.y;
  pinch.at = now;
  zoomTo(view, (pinch.scale * now.distance) / pinch.distance, now);
}

// --- Drag with the mouse

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

// --- Keys

const ARROWS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/**
 * Plus, minus and zero, where the page has no other use for them, and the arrows and Escape while the
 * enlarged picture has the focus. True when the key was for the picture.
 */
export function zoomByKey({ key, code, target }, isTaken) {
  const view = $("#view");
  if (!view) return false;
  const frame = $(".view__frame", view);
  const isZoomed = scaleOf(view) > 1;
  const hasFocus = isZoomed && target === frame;
  if (hasFocus && ARROWS[key]) {
    const [x, y] = ARROWS[key];
    frame.scrollBy(x * frame.clientWidth * ARROW_SHARE, y * frame.clientHeight * ARROW_SHARE);
  } else if (hasFocus && (key === "Escape" || key === "0")) {
    zoomTo(view, 1);
    $("#question").focus({ preventScroll: true });
  } else if (isTaken && !hasFocus) {
    return false;
  } else if (key === "+" || key === "=" || code === "NumpadAdd") {
    zoomTo(view, scaleOf(view) * STEP);
    frame.focus({ preventScroll: true });
  } else if (isZoomed && (key === "-" || key === "_" || code === "NumpadSubtract" || code === "Minus")) {
    zoomTo(view, scaleOf(view) / STEP);
    if (scaleOf(view) === 1) $("#question").focus({ preventScroll: true });
  } else if (isZoomed && key === "0") {
    zoomTo(view, 1);
  } else {
    return false;
  }
  return true;
}

export function listenForZoom() {
  document.addEventListener("click", onZoomClick);
  document.addEventListener("wheel", onWheel, { passive: false });
  document.addEventListener("touchstart", onTouch, { passive: false });
  document.addEventListener("touchmove", onTouch, { passive: false });
  document.addEventListener("touchend", onTouch, { passive: true });
  document.addEventListener("pointerdown", onDown);
  document.addEventListener("pointermove", onMove);
  document.addEventListener("pointerup", onUp);
  // The frame has another size: the picture keeps its own.
  window.addEventListener("resize", () => {
    const view = $("#view.is-zoomed");
    if (view) zoomTo(view, scaleOf(view));
  });
}
