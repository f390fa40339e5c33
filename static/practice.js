// The practice round: the keys, the zoom and the guidelines of the judging page, on plain forms.

import { keepApart } from "./judge/facts.js";
import { listenForGuidelines } from "./judge/guide.js";
import { listenForKeys } from "./judge/keys.js";
import { listenForSelecting } from "./judge/selecting.js";
import { $ } from "./judge/sending.js";
import { listenForZoom } from "./judge/zoom.js";

document.addEventListener("change", (event) => {
  const form = $("form#answer");
  if (form && event.target.form === form) keepApart(form, event.target);
});

listenForGuidelines();
listenForKeys();
listenForSelecting();
listenForZoom();
// A screen reader begins with the question, or with how it went.
$("#question").focus({ preventScroll: true });
