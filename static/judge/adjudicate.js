// Adjudication: the keys and the zoom of the judging page. A number decides its rationale: it fits, and
// once more, it does not. The decision itself is a plain form.

import { $ } from "./dom.js";
import { listenForKeys } from "./keys.js";
import { listenForSelecting } from "./selecting.js";
import { listenForZoom } from "./zoom.js";

/** A key presses the number of a rationale, as a click on it does. */
function turn(event) {
  const dispute = event.target.closest("[data-action^=pick-]")?.closest("[data-dispute]");
  if (!dispute || dispute.disabled) return;
  const [fits, misfit] = dispute.querySelectorAll("[type=radio]");
  const chosen = fits.checked ? misfit : fits;
  chosen.checked = true;
  chosen.focus({ preventScroll: true });
  dispute.scrollIntoView({ block: "nearest" });
}

document.addEventListener("click", turn);
listenForKeys();
listenForSelecting();
listenForZoom();
$("#question").focus({ preventScroll: true });
