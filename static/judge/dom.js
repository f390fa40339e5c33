// Short names for what the page holds: its elements, its sentences, its addresses.

export const $ = (selector, root = document) => root.querySelector(selector);
export const pageData = () => $("#judge-data").dataset;
/** A sentence in the language of the page; `parts` fill its %(name)s. */
export const _ = (text, parts) => window.illume.say(text, parts);
/** The address of one of our paths. */
export const address = (path) => window.illume.address(path);
export const toast = (text, kind) => window.illume.showToast(text, kind);

export function parse(html) {
  return new DOMParser().parseFromString(html, "text/html");
}
