// Which name of the registry a key has, on the keyboards of the world.

import assert from "node:assert/strict";
import { test } from "node:test";

import { isChord, keyNames } from "../../static/judge/layouts.js";

const press = (key, code, shiftKey = false) => keyNames({ key, code, shiftKey });

test("what the key writes comes first, then the place of the key", () => {
  assert.equal(press("q", "KeyA")[0], "q"); // French: q is where others have a
  assert.ok(!press("q", "KeyA").includes("a"));
  assert.deepEqual(press("ф", "KeyA"), ["ф", "ф", "a"]); // Russian
});

test("a capital letter is its small one", () => {
  assert.equal(press("S", "KeyS", true)[0], "s");
});

test("a letter of another script stands for the Latin one on its key", () => {
  for (const [key, code, latin] of [
    ["ש", "KeyA", "a"],
    ["ض", "KeyQ", "q"],
    ["ν", "KeyN", "n"],
    ["ㅁ", "KeyA", "a"],
  ]) {
    assert.ok(press(key, code).includes(latin), `${key} on ${code}`);
  }
});

test("a letter with an accent is no letter of another script", () => {
  assert.ok(!press("ö", "Semicolon").includes("o"));
  assert.ok(!press("é", "Digit2").includes("e"));
});

test("what an input method or a dead key holds back is told by the place of the key", () => {
  for (const key of ["Process", "Unidentified", "Dead"]) {
    assert.ok(press(key, "KeyN").includes("n"));
  }
});

test("digits of every script are digits", () => {
  for (const [key, digit] of [["3", "3"], ["٣", "3"], ["۳", "3"], ["३", "3"], ["３", "3"], ["९", "9"], ["០", "0"]]) {
    assert.ok(press(key, "Digit3").includes(digit), key);
  }
});

test("the row of digits writes digits with Shift only in France, and means them without", () => {
  assert.ok(press("&", "Digit1").includes("1"));
  assert.ok(press("é", "Digit2").includes("2"));
  assert.ok(press("1", "Digit1", true).includes("1"));
});

test("with Shift the row of digits means what it writes", () => {
  assert.ok(!press("!", "Digit1", true).includes("1"));
  assert.ok(!press('"', "Digit2", true).includes("2"));
  assert.equal(press("?", "Minus", true)[0], "?");
});

test("the pad of digits writes its digits", () => {
  assert.ok(press("4", "Numpad4").includes("4"));
});

test("question marks of other scripts are one", () => {
  for (const key of ["\u061f", "\u055e", "\u037e", "\uff1f"]) {
    assert.ok(press(key, "Slash", true).includes("?"));
  }
});

test("keys with names keep them, whatever stands on the key", () => {
  for (const key of ["Enter", "Escape", "Backspace", "ArrowLeft"]) {
    assert.ok(press(key, key).includes(key.toLowerCase()));
  }
});

test("chords are the browser's: AltGr is Ctrl and Alt on Windows, Shift alone is none", () => {
  const held = { ctrlKey: false, metaKey: false, altKey: false, shiftKey: false };
  assert.ok(isChord({ ...held, ctrlKey: true, altKey: true }));
  for (const name of ["ctrlKey", "metaKey", "altKey"]) assert.ok(isChord({ ...held, [name]: true }));
  assert.ok(!isChord({ ...held, shiftKey: true }));
  assert.ok(!isChord(held));
});

test("what AltGr writes where it is no chord goes by what it writes", () => {
  assert.deepEqual(press("@", "KeyQ"), ["@", "@"]); // German, on Linux
  assert.deepEqual(press("€", "KeyE"), ["€", "€"]);
});
