// What is chosen and written in the form of an item: read for the server, put back after a visit.

import { dropUnfinished, showAllFields, showUnfinished } from "./boxes.js";
import { $ } from "./dom.js";
import { putBack } from "./putting-back.js";

const collapse = (text) => text.normalize("NFC").replace(/\s+/g, " ").trim();

function isSameText(edit) {
  const text = $(".choice__text", edit.closest(".offer")).textContent;
  return collapse(edit.value) === collapse(text);
}

/** Says next to the field that it is too long; counted as the server counts. */
export function checkLength(edit) {
  const isTooLong = [...edit.value.trim()].length > Number(edit.dataset.limit);
  $(`#${edit.getAttribute("aria-describedby")}`).hidden = !isTooLong;
  if (isTooLong) edit.setAttribute("aria-invalid", "true");
  else edit.removeAttribute("aria-invalid");
}

/** The fields of one item's form. */
export class Content {
  constructor(form) {
    this.form = form;
  }

  /** All of it, as the server wants it. */
  body(activeMs) {
    this.form.elements.active_ms.value = activeMs;
    const data = new FormData(this.form);
    // Opened and left as the text that it would correct, a better text is none.
    const edits = [...this.form.querySelectorAll("[name=edit]")];
    data.delete("edit");
    for (const edit of edits) data.append("edit", isSameText(edit) ? "" : edit.value);
    dropUnfinished(this.form, data);
    return new URLSearchParams(data);
  }

  /** Something is chosen that can be submitted. */
  get isSomething() {
    const { none_fits: none, answer_is_wrong: wrong } = this.form.elements;
    return none.checked || wrong.checked || Boolean($("[name=picked]:checked", this.form));
  }

  /** Leads to the first better text that is too long, or box that is none. True when there is one. */
  showUnsendable() {
    const tooLong = $("[name=edit][aria-invalid]", this.form);
    if (!tooLong) return showUnfinished(this.form);
    tooLong.closest(".mend").open = true;
    tooLong.focus();
    return true;
  }

  restore(kept) {
    putBack(this.form.elements, kept);
    showAllFields(this.form);
    if (this.form.elements.comment.value) $("#remark").open = true;
  }

  /** The version that the server stored; the next save says that it changes this one. */
  setVersion(version) {
    this.form.elements.version.value = version;
  }
}
