// From a look that was corrected the model continues: asked for here, and looked for until it is there.

import { checkLength } from "./content.js";
import { $, _, parse, toast } from "./dom.js";
import { Looking } from "./looking.js";
import { Refused, send, Unreachable } from "./send.js";
import { showDialog, signedIn, signedOut } from "./signing-in.js";

/** The branches of one item; `item` has its body(), delivered() and isGone. */
export class Branches {
  constructor(item) {
    this.item = item;
    this.looking = new Looking((look, n) => this.lookFor(look, n));
    this.asking = new Set();
    for (const { dataset } of document.querySelectorAll("[data-look-again]")) this.looking.later(dataset.look);
  }

  stop() {
    this.looking.stop();
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

  async lookFor(look, n) {
    const branch = $(`#branch-${look}`);
    if (this.item.isGone || !branch?.dataset.lookAgain) return;
    const { html } = await send(branch.dataset.lookAgain, undefined, { method: "GET", carries: ".branch" });
    this.put(look, html, n);
  }

  put(look, html, n = 0) {
    const old = $(`#branch-${look}`);
    if (this.item.isGone || !old) return;
    const fresh = document.adoptNode($(".branch", parse(html)));
    const hadFocus = old.contains(document.activeElement);
    old.replaceWith(fresh);
    if (hadFocus) fresh.focus({ preventScroll: true });
    if (fresh.dataset.said !== old.dataset.said) $("#announce").textContent = fresh.dataset.said;
    if (fresh.dataset.lookAgain) this.looking.later(look, n);
    else fresh.scrollIntoView({ block: "nearest" });
  }

  // --- Other words, and the text

  /** What came of other words than stand in `field` now is put away, until they stand there again. */
  typed(field) {
    const look = field.name.replace("correction-", "");
    const branch = $(`#branch-${look}`);
    if (branch?.dataset.look !== look) return; // nobody has asked
    branch.hidden = field.value.trim() !== branch.dataset.correction;
    if (!branch.hidden && branch.dataset.lookAgain) this.looking.later(look);
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
