// Says beside the button whether all is saved, and what waits for what.

import { $, _, toast } from "./dom.js";

/** `state` is "is-waiting" or "is-unsaved". */
export function showSaved(state, text) {
  const saved = $("#saved");
  if (!saved) return;
  saved.className = `saved ${state}`;
  saved.textContent = text;
}

/** `n` clicks, or a whole answer, could not be sent: nobody answers, or the server is "unable" to. */
export function waitingFor(why, n, isAnswer) {
  if (why === "unable") {
    if (isAnswer) {
      return _("Not saved yet: the server cannot store anything at the moment. Your answer waits and is sent by itself.");
    }
    if (n === 1) {
      return _("Not saved yet: the server cannot store anything at the moment. 1 click waits and is sent by itself.");
    }
    return _("Not saved yet: the server cannot store anything at the moment. %(n)s clicks wait and are sent by themselves.", { n });
  }
  if (isAnswer) {
    return _("Not saved yet: your answer waits for the connection and is sent by itself.");
  }
  if (n === 1) return _("Not saved yet: 1 click waits for the connection and is sent by itself.");
  return _("Not saved yet: %(n)s clicks wait for the connection and are sent by themselves.", { n });
}

export function waitingForSignIn(n, isAnswer) {
  if (isAnswer) return _("Not saved yet: your answer waits until you sign in.");
  if (n === 1) return _("Not saved yet: 1 click waits until you sign in.");
  return _("Not saved yet: %(n)s clicks wait until you sign in.", { n });
}

/** Says what became of an answer that an earlier visit had kept. */
export const tellOfKept = {
  stored(act) {
    if (act === "submit") toast(_("An answer from before the interruption was stored."), "ok");
  },

  refused(error) {
    const said = _("An answer from before the interruption was not stored: %(reason)s", {
      reason: error.sentence,
    });
    toast(said, "bad");
  },
};
