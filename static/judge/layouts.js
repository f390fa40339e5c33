// Which key of the registry was pressed, whatever the layout of the keyboard.

const QUESTION_MARKS = /^[\u061f\u055e\u037e\uff1f]$/; // Arabic, Armenian, Greek, full width
const LATIN = /^[\p{Script=Latin}\p{Script=Common}]$/u;

/** A digit of any script as one of ours; else nothing. */
function asDigit(character) {
  if (!/^\p{Decimal_Number}$/u.test(character)) return "";
  const code = character.codePointAt(0);
  let zero = code;
  while (code - zero < 9 && /^\p{Decimal_Number}$/u.test(String.fromCodePoint(zero - 1))) zero -= 1;
  return String(code - zero);
}

/** Says whether the press belongs to the browser or the system; AltGr is Ctrl and Alt in one on Windows. */
export const isChord = ({ ctrlKey, metaKey, altKey }) => ctrlKey || metaKey || altKey;

/**
 * The names under which the registry may know what was pressed, the nearest first: what the key
 * writes, then the place of the key. A letter of another script stands for the Latin one on the same
 * key, and the row of digits for digits where it writes them with Shift only.
 */
export function keyNames({ key, code, shiftKey }) {
  const written = key.normalize("NFKC").toLowerCase();
  const names = [key.length === 1 ? key.toLowerCase() : key, written];
  if (QUESTION_MARKS.test(key)) names.push("?");
  const digit = asDigit(written) || (!shiftKey && /^Digit(\d)$/.exec(code)?.[1]);
  if (digit) names.push(digit);
  const letter = /^Key([A-Z])$/.exec(code)?.[1].toLowerCase();
  const isForeign = [...written].length === 1 ? !LATIN.test(written) : isUnnamed(key);
  if (letter && isForeign) names.push(letter);
  return names;
}

const isUnnamed = (key) => key === "Process" || key === "Unidentified" || key === "Dead";
