// What a form of the judging page says: what excludes what, and how it is put back.

import assert from "node:assert/strict";
import { test } from "node:test";

import { contradict, keepApart } from "../../static/judge/facts.js";
import { putBack } from "../../static/judge/putting-back.js";

/** A form of two rationales, each with a fault, and the two facts of the whole. */
function formOf(checked) {
  const box = (name, value, offer = null) => ({
    type: "checkbox",
    name,
    value,
    checked: checked.includes(`${name}=${value}`),
    closest: () => offer,
  });
  const elements = [
    { type: "fieldset", name: "", closest: () => null },
    ...["1", "2"].flatMap((id) => [box("picked", id, id), box("fault", `${id}:wrong`, id)]),
    box("none_fits", "true"),
    box("answer_is_wrong", "true"),
    box("is_flagged", "true"),
  ];
  return { elements };
}

const chosen = ({ elements }) =>
  elements.filter((field) => field.checked).map(({ name, value }) => `${name}=${value}`);

function choose(start, name) {
  const form = formOf([...start, name]);
  const changed = form.elements.find((field) => `${field.name}=${field.value}` === name);
  keepApart(form, changed);
  return chosen(form);
}

test("picking a rationale takes none fits and a wrong answer away", () => {
  assert.deepEqual(choose(["picked=1", "none_fits=true"], "picked=2"), ["picked=1", "picked=2"]);
  assert.deepEqual(choose(["answer_is_wrong=true"], "picked=2"), ["picked=2"]);
});

test("none fits takes every pick and a wrong answer away, and leaves faults", () => {
  const before = ["picked=1", "fault=2:wrong", "answer_is_wrong=true"];
  assert.deepEqual(choose(before, "none_fits=true"), ["fault=2:wrong", "none_fits=true"]);
});

test("a wrong answer takes every pick and none fits away, and leaves the flag", () => {
  const before = ["picked=1", "picked=2", "is_flagged=true"];
  assert.deepEqual(choose(before, "answer_is_wrong=true"), ["answer_is_wrong=true", "is_flagged=true"]);
});

test("a fault takes the pick of its own rationale away, and no other", () => {
  const before = ["picked=1", "picked=2"];
  assert.deepEqual(choose(before, "fault=1:wrong"), ["fault=1:wrong", "picked=2"]);
  assert.deepEqual(choose(["fault=1:wrong", "fault=2:wrong"], "picked=1"), ["picked=1", "fault=2:wrong"]);
});

test("taking a choice back leaves the others", () => {
  const form = formOf(["picked=1", "picked=2"]);
  keepApart(form, { ...form.elements.at(-3), checked: false });
  assert.deepEqual(chosen(form), ["picked=1", "picked=2"]);
});

test("choices exclude each other both ways", () => {
  const choices = formOf([]).elements.slice(1).map(({ name, closest }) => ({ name, offer: closest() }));
  for (const one of choices) {
    for (const other of choices) assert.equal(contradict(one, other), contradict(other, one));
    assert.ok(!contradict(one, one));
  }
});

test("what was kept is put back by name and value", () => {
  const form = formOf(["picked=1", "is_flagged=true"]);
  const kept = "picked=2&fault=1%3Awrong&none_fits=true";
  putBack(form.elements, new URLSearchParams(kept));
  assert.deepEqual(chosen(form), ["fault=1:wrong", "picked=2", "none_fits=true"]);
});

test("texts are put back, better ones to the rationale that they are of", () => {
  const fields = [
    { type: "textarea", name: "edit", id: "edit-1", value: "" },
    { type: "textarea", name: "edit", id: "edit-2", value: "" },
    { type: "textarea", name: "edit", id: "edit-3", value: "typed since" },
    { type: "textarea", name: "comment", id: "comment", value: "" },
  ];
  const kept = new URLSearchParams({ comment: "Ein Satz\nmit zwei Zeilen" });
  for (const [id, text] of [["2", "of two"], ["1", ""]]) {
    kept.append("edited", id);
    kept.append("edit", text);
  }
  putBack(fields, kept);
  assert.deepEqual(fields.map(({ value }) => value), ["", "of two", "typed since", "Ein Satz\nmit zwei Zeilen"]);
});

test("a field that nobody here knows yet is put back all the same", () => {
  const fields = [
    { type: "checkbox", name: "is_unsure", value: "true", checked: false },
    { type: "radio", name: "how_sure", value: "2", checked: false },
    { type: "radio", name: "how_sure", value: "3", checked: true },
    { type: "select-one", name: "why", value: "" },
  ];
  putBack(fields, new URLSearchParams("is_unsure=true&how_sure=2&why=dark"));
  assert.deepEqual(fields.map(({ checked, value }) => checked ?? value), [true, true, false, "dark"]);
});

test("the version and the time of the page that is there now stay", () => {
  const fields = [
    { type: "hidden", name: "version", value: "9" },
    { type: "hidden", name: "active_ms", value: "70" },
    { type: "submit", name: "", value: "" },
  ];
  putBack(fields, new URLSearchParams("version=4&active_ms=10"));
  assert.deepEqual(fields.map(({ value }) => value), ["9", "70", ""]);
});
