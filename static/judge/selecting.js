// Rationales are there to be read and copied: to select one is not to pick it.

const STEADY_PX = 4; // less movement than this is a click with an unsteady hand

let pressedAt = null;

function rememberPress(event) {
  pressedAt = { x: event.clientX, y: event.clientY };
}

/** A click that ends a drag over a text, or over what is selected of it, chooses nothing. */
function keepSelection(event) {
  const choice = event.target.closest(".choice");
  if (!choice || event.detail === 0 || !pressedAt) return;
  const { x, y } = pressedAt;
  const isDrag = Math.hypot(event.clientX - x, event.clientY - y) > STEADY_PX;
  const selection = window.getSelection();
  const isSelected = !selection.isCollapsed && selection.containsNode(choice, true);
  if (isDrag && isSelected) event.preventDefault();
}

export function listenForSelecting() {
  document.addEventListener("pointerdown", rememberPress, { passive: true });
  document.addEventListener("click", keepSelection);
}
