// What this browser remembers of the judging page between visits.

export function remember(name, value) {
  try {
    localStorage.setItem(`illume.${name}`, value);
  } catch {
    // Not remembered, then.
  }
}

export function recall(name) {
  try {
    return localStorage.getItem(`illume.${name}`);
  } catch {
    return null;
  }
}

/** In this tab, until it is closed. */
export function rememberHere(name, value) {
  try {
    if (value === null) sessionStorage.removeItem(`illume.${name}`);
    else sessionStorage.setItem(`illume.${name}`, JSON.stringify(value));
  } catch {
    // Not remembered, then.
  }
}

export function recallHere(name) {
  try {
    return JSON.parse(sessionStorage.getItem(`illume.${name}`));
  } catch {
    return null;
  }
}
