// What this browser remembers of the judging page between visits.

/** Each site of a host has names of its own. */
export const storedName = (name) => window.illume.storedName(name);

/** Text, or null to forget it. */
export function remember(name, value) {
  try {
    if (value === null) localStorage.removeItem(storedName(name));
    else localStorage.setItem(storedName(name), value);
  } catch {
    // Not remembered, then.
  }
}

export function recall(name) {
  try {
    return localStorage.getItem(storedName(name));
  } catch {
    return null;
  }
}

/** In this tab, until it is closed. */
export function rememberHere(name, value) {
  try {
    if (value === null) sessionStorage.removeItem(storedName(name));
    else sessionStorage.setItem(storedName(name), JSON.stringify(value));
  } catch {
    // Not remembered, then.
  }
}

export function recallHere(name) {
  try {
    return JSON.parse(sessionStorage.getItem(storedName(name)));
  } catch {
    return null;
  }
}
