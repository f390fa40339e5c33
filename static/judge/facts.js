// Three different facts about an item: some fit, none fits, the answer is wrong.

/** Choosing one of them takes the others away. */
export function keepApart(form, changed) {
  if (!changed.checked) return;
  const { none_fits: none, answer_is_wrong: wrong } = form.elements;
  const picks = form.querySelectorAll("[name=picked]");
  const others = {
    picked: [none, wrong],
    none_fits: [wrong, ...picks],
    answer_is_wrong: [none, ...picks],
  };
  for (const box of others[changed.name] || []) box.checked = false;
}
