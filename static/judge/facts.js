// Three different facts about an item: some fit, none fits, the answer is wrong.

const APART = ["picked", "none_fits", "answer_is_wrong"];

/**
 * Says whether two choices exclude each other. A choice is `{ name, offer }`: its field, and the
 * rationale that it is about.
 */
export function contradict(one, other) {
  const names = [one.name, other.name];
  // What fits has no fault.
  if (names.includes("picked") && names.includes("fault")) return one.offer === other.offer;
  return one.name !== other.name && names.every((name) => APART.includes(name));
}

const choiceOf = (box) => ({ name: box.name, offer: box.closest(".offer") });

/** Choosing one thing takes away what it excludes. */
export function keepApart(form, changed) {
  if (!changed.checked) return;
  const chosen = choiceOf(changed);
  for (const box of form.elements) {
    if (box.type === "checkbox" && contradict(chosen, choiceOf(box))) box.checked = false;
  }
}
