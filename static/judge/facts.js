// Three different facts about an item: some fit, none fits, the answer is wrong.

/** Choosing one of them takes the others away; and what fits has no fault. */
export function keepApart(form, changed) {
  if (!changed.checked) return;
  const { none_fits: none, answer_is_wrong: wrong } = form.elements;
  const picks = form.querySelectorAll("[name=picked]");
  const offer = changed.closest(".offer");
  const others = {
    fault: offer ? offer.querySelectorAll("[name=picked]") : [],
    picked: [none, wrong, ...(offer ? offer.querySelectorAll("[name=fault]") : [])],
    none_fits: [wrong, ...picks],
    answer_is_wrong: [none, ...picks],
  };
  for (const box of others[changed.name] || []) box.checked = false;
}
