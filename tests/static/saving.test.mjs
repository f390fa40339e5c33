// Every change is saved: one request at a time, and nothing is taken for stored that was not said to be.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { Saving } from "../../static/judge/saving.js";
import { Unreachable } from "../../static/judge/send.js";

/** An item whose content is `item.text`; the server answers as `answers` say, one after the other. */
function itemWith(...answers) {
  const kept = new Map();
  const outbox = {
    put: (id, body, act, n) => kept.set(id, { body, act, n }),
    drop: (id) => kept.delete(id),
  };
  const item = {
    id: "7",
    saves: "draft",
    text: "",
    sent: [],
    heard: [],
    kept,
    body: () => item.text,
    show: () => {},
    store: async (body) => {
      item.sent.push(body);
      return (answers.shift() ?? (() => `stored ${body}`))(body);
    },
    stored: (reply, isNewest) => item.heard.push([reply, isNewest]),
    failed: (error) => item.heard.push(error),
  };
  item.saving = new Saving(item, outbox);
  return item;
}

const silent = () => {
  throw new Unreachable("silent");
};

function change(item, text) {
  item.text = text;
  item.saving.changed();
}

test("a change is kept, sent, and forgotten once it is acknowledged", async () => {
  const item = itemWith();
  change(item, "a");
  assert.deepEqual(item.kept.get("7"), { body: "a", act: "draft", n: 1 });
  assert.ok(item.saving.isUnsaved);
  await item.saving.settle();
  assert.deepEqual(item.sent, ["a"]);
  assert.deepEqual(item.heard, [["stored a", true]]);
  assert.equal(item.kept.size, 0);
  assert.ok(!item.saving.isUnsaved);
});

test("clicks during a save are sent together after it", async () => {
  let answer;
  const item = itemWith(() => new Promise((resolve) => (answer = resolve)));
  change(item, "a");
  await new Promise(setImmediate);
  change(item, "ab");
  change(item, "abc");
  answer("stored a");
  await item.saving.settle();
  assert.deepEqual(item.sent, ["a", "abc"]);
  assert.deepEqual(item.heard, [["stored a", false], ["stored abc", true]]);
  assert.equal(item.kept.size, 0);
});

test("a save without an answer stays, and says how many clicks wait", async () => {
  const item = itemWith(silent);
  change(item, "a");
  change(item, "ab");
  await item.saving.settle();
  assert.ok(item.heard[0] instanceof Unreachable);
  assert.deepEqual(item.kept.get("7"), { body: "ab", act: "draft", n: 2 });
  assert.ok(item.saving.isDirty);
});

test("a save of which nothing is known is sent again as it was, before what came after", async () => {
  const item = itemWith(silent);
  change(item, "a");
  await item.saving.settle();
  change(item, "ab");
  await item.saving.settle();
  assert.deepEqual(item.sent, ["a", "a", "ab"]);
  assert.equal(item.kept.size, 0);
});

test("after a refusal nothing is sent again", async () => {
  const item = itemWith(silent);
  change(item, "a");
  await item.saving.settle();
  item.saving.giveUp();
  await item.saving.makeSure();
  assert.deepEqual(item.sent, ["a"]);
  assert.ok(!item.saving.isUnsaved);
});

test("what is typed is saved when the writer pauses, or when it is asked for", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const item = itemWith();
  item.text = "a";
  item.saving.typed();
  mock.timers.tick(500);
  item.saving.typed();
  mock.timers.tick(500);
  assert.deepEqual(item.sent, []);
  mock.timers.tick(100);
  await item.saving.settle();
  assert.deepEqual(item.sent, ["a"]);
  item.text = "ab";
  item.saving.typed();
  await item.saving.settle();
  assert.deepEqual(item.sent, ["a", "ab"]);
  mock.timers.reset();
});

test("when the page goes on, nothing new is sent, and what waits stays kept", async () => {
  const item = itemWith(silent);
  change(item, "a");
  await item.saving.settle();
  item.saving.stop();
  change(item, "ab");
  await item.saving.save();
  assert.deepEqual(item.sent, ["a"]);
  assert.equal(item.kept.get("7").body, "a");
});
