// From a look that was corrected the model continues: asked for here, and looked for until it is there.

import { checkLength } from "./content.js";
import { $, _, parse, toast } from "./dom.js";
import { Refused, retryDelay, send, Unreachable } from "./send.js";
import { showDialog, signedIn, signedOut } from "./signing-in.js";

const LOOK_MS = 1000;
const LATER_LOOK_MS = 5000; // a worker that has other work may need minutes
const N_QUICK_LOOKS = 20;

/** The branches of one item; `item` has its body(), delivered() and isGone. */
export class Branches {
  constructor(item) {
    this.item = item;
    this.timers = new Map();
    this.asking = new Set();
    for (const { dataset } of document.querySelectorAll("[data-look-again]")) this.lookLater(dataset.look);
  }

  stop() {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
  }

  // --- Asking

  /** `button` stands beside the look; what was chosen and written goes first. */
  async ask(button) {
    const look = button.value;
    const field = $(`[name="correction-${look}"]`);
    if (!field.value.trim()) {
      field.focus();
      toast(_("Write what you see instead first."), "warn");
      return;
    }
    if (this.asking.has(look)) return;
    this.asking.add(look);
    try {
      await this.item.delivered();
      const body = this.item.body();
      body.set("look", look);
      const { html } = await send(button.getAttribute("formaction"), body, { carries: ".branch" });
      signedIn();
      this.put(look, html);
    } catch (error) {
      this.failed(error);
    } finally {
      this.asking.delete(look);
    }
  }

  failed(error) {
    if (error === this.item.trouble) return; // told where saving is told
    if (error instanceof Unreachable) {
      toast(_("The server cannot be reached. What you wrote is kept: continue again in a moment."), "bad");
    } else if (error instanceof Refused && error.status === 401) {
      signedOut(error);
    } else if (error instanceof Refused) {
      const conflict = $("#conflict", parse(error.html));
      if (conflict) showDialog(document.adoptNode(conflict));
      else toast(error.sentence, "warn");
    } else {
      throw error;
    }
  }

  // --- Looking

  lookLater(look, n = 0, delay = n < N_QUICK_LOOKS ? LOOK_MS : LATER_LOOK_MS) {
    clearTimeout(this.timers.get(look));
    this.timers.set(
      look,
      setTimeout(() => this.lookFor(look, n + 1), delay),
    );
  }

  async lookFor(look, n) {
    this.timers.delete(look);
    const branch = $(`#branch-${look}`);
    if (this.item.isGone || !branch?.dataset.lookAgain) return;
    if (document.visibilityState !== "visible") {
      this.lookLater(look, n);
      return;
    }
    try {
      const { html } = await send(branch.dataset.lookAgain, undefined, { method: "GET", carries: ".branch" });
      this.put(look, html, n);
    } catch (error) {
      if (error instanceof Unreachable) this.lookLater(look, n, retryDelay(error));
      // Refused: the look is corrected otherwise by now, or somebody else is signed in.
      else if (!(error instanceof Refused)) throw error;
    }
  }

  put(look, html, n = 0) {
    const old = $(`#branch-${look}`);
    if (this.item.isGone || !old) return;
    const fresh = document.adoptNode($(".branch", parse(html)));
    const hadFocus = old.contains(document.activeElement);
    old.replaceWith(fresh);
    if (hadFocus) fresh.focus({ preventScroll: true });
    if (fresh.dataset.said !== old.dataset.said) $("#announce").textContent = fresh.dataset.said;
    if (fresh.dataset.lookAgain) this.lookLater(look, n);
    else fresh.scrollIntoView({ block: "nearest" });
  }

  // --- Other words, and the text

  /** What came of other words than stand in `field` now is put away, until they stand there again. */
  typed(field) {
    const look = field.name.replace("correction-", "");
    const branch = $(`#branch-${look}`);
    if (branch?.dataset.look !== look) return; // nobody has asked
    branch.hidden = field.value.trim() !== branch.dataset.correction;
    if (!branch.hidden && branch.dataset.lookAgain) this.lookLater(look);
  }

  /** The text becomes the better text of the rationale, to be changed or left as it is. */
  use(button) {
    const mend = $(".mend", button.closest(".offer"));
    const better = $("[name=edit]", mend);
    better.value = $("[data-branch-text]", button.closest(".branch")).textContent;
    checkLength(better);
    mend.open = true;
    better.focus();
    this.item.typed();
    $("#announce").textContent = _("It is your better text of this rationale now.");
  }
}
