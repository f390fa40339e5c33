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
