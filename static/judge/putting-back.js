// What was sent of a form, or should have been, is put back after a visit that could not send it.

/**
 * Put it back into fields of the same names. Texts of which there is one for each candidate, or question, are told
 * apart by the ids that were sent as `edited`; the page's own hidden fields stay as they are.
 */
export function putBack(fields, kept) {
  const places = new Map(kept.getAll("edited").map((id, place) => [id, place]));
  for (const field of fields) {
    if (field.type === "checkbox" || field.type === "radio") {
      field.checked = kept.getAll(field.name).includes(field.value);
    } else if (field.name === "edit" || field.name === "answer") {
      const place = places.get(field.id.slice(`${field.name}-`.length));
      if (place !== undefined) field.value = kept.getAll(field.name)[place] || "";
    } else if (field.type !== "hidden" && kept.has(field.name)) {
      field.value = kept.get(field.name);
    }
  }
}
