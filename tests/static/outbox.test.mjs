// What waits in the browser: kept until our server took it, or refused it for good.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Outbox } from "../../static/judge/outbox.js";
import { Refused, Unreachable } from "../../static/judge/send.js";

/** An outbox over a map, whose server answers as `answer(id, act)` says. */
function outboxWith(answer = () => {}, kept = new Map()) {
  const sent = [];
  const told = [];
  const memory = {
    recall: (name) => kept.get(name) ?? null,
    remember: (name, text) => (text === null ? kept.delete(name) : kept.set(name, text)),
  };
  const outbox = new Outbox("3", memory, {
    send: async (id, act, body) => {
      sent.push([id, act, body.toString()]);
      return answer(id, act);
    },
    stored: (act) => told.push(`stored ${act}`),
    refused: (error) => told.push(`refused ${error.status}`),
  });
  return { outbox, sent, told, kept };
}

const throwing = (error) => () => {
  throw error;
};

test("what is put is kept under its owner until it is dropped", () => {
  const { outbox, kept } = outboxWith();
  outbox.put("7", new URLSearchParams("picked=1&picked=2"), "draft", 2);
  assert.deepEqual([...kept.keys()], ["outbox.3"]);
  assert.deepEqual(outbox.read(), { 7: { body: "picked=1&picked=2", act: "draft", n: 2 } });
  outbox.drop("7");
  assert.equal(kept.size, 0);
});

test("what is put later of the same judgement takes the place of what was there", () => {
  const { outbox } = outboxWith();
  outbox.put("7", "picked=1", "draft", 1);
  outbox.put("8", "picked=5", "draft", 1);
  outbox.put("7", "picked=2", "submit", 2);
  assert.equal(outbox.read()["7"].act, "submit");
  assert.equal(outbox.read()["8"].body, "picked=5");
});

test("what is acknowledged leaves the outbox", async () => {
  const { outbox, sent, told } = outboxWith();
  outbox.put("7", "picked=1", "draft", 1);
  outbox.put("8", "none_fits=true", "submit", 1);
  assert.equal(await outbox.empty(), null);
  assert.deepEqual(sent, [["7", "draft", "picked=1"], ["8", "submit", "none_fits=true"]]);
  assert.deepEqual(told, ["stored draft", "stored submit"]);
  assert.deepEqual(outbox.read(), {});
});

test("the item that is shown sends its own", async () => {
  const { outbox, sent } = outboxWith();
  outbox.put("7", "picked=1", "draft", 1);
  outbox.put("8", "picked=2", "draft", 1);
  await outbox.empty("7");
  assert.deepEqual(sent, [["8", "draft", "picked=2"]]);
  assert.deepEqual(Object.keys(outbox.read()), ["7"]);
});

test("without an acknowledgement everything stays, and the next one is not tried", async () => {
  for (const why of ["silent", "unable", "foreign"]) {
    const problem = new Unreachable(why);
    const { outbox, sent, told } = outboxWith(throwing(problem));
    outbox.put("7", "picked=1", "draft", 1);
    outbox.put("8", "picked=2", "draft", 1);
    assert.equal(await outbox.empty(), problem);
    assert.equal(sent.length, 1);
    assert.deepEqual(told, []);
    assert.deepEqual(Object.keys(outbox.read()), ["7", "8"]);
  }
});

test("what our server refuses is told and dropped, and the next one is tried", async () => {
  for (const status of [403, 404, 409, 422]) {
    const { outbox, told } = outboxWith((id) => {
      if (id === "7") throw new Refused(status, "");
    });
    outbox.put("7", "picked=1", "submit", 1);
    outbox.put("8", "picked=2", "submit", 1);
    assert.equal(await outbox.empty(), null);
    assert.deepEqual(told, [`refused ${status}`, "stored submit"]);
    assert.deepEqual(outbox.read(), {});
  }
});

test("a lost session drops nothing", async () => {
  const problem = new Refused(401, "");
  const { outbox, told } = outboxWith(throwing(problem));
  outbox.put("7", "picked=1", "submit", 1);
  assert.equal(await outbox.empty(), problem);
  assert.deepEqual(told, []);
  assert.equal(outbox.read()["7"].body, "picked=1");
});

test("what another tab put there meanwhile stays", async () => {
  const { outbox } = outboxWith((id) => outbox.put(id, "picked=2", "draft", 1));
  outbox.put("7", "picked=1", "draft", 1);
  await outbox.empty();
  assert.equal(outbox.read()["7"].body, "picked=2");
});

test("it is emptied by one at a time, and again after a failure", async () => {
  let isThere = false;
  const { outbox, sent } = outboxWith(() => {
    if (!isThere) throw new Unreachable("silent");
  });
  outbox.put("7", "picked=1", "draft", 1);
  const [first, second] = await Promise.all([outbox.empty(), outbox.empty()]);
  assert.ok(first instanceof Unreachable);
  assert.equal(second, null);
  assert.equal(sent.length, 1);
  isThere = true;
  assert.equal(await outbox.empty(), null);
  assert.deepEqual(outbox.read(), {});
});

test("an error of our own is not taken for the network's", async () => {
  const { outbox } = outboxWith(throwing(new TypeError("a fault")));
  outbox.put("7", "picked=1", "draft", 1);
  await assert.rejects(outbox.empty(), TypeError);
  assert.equal(outbox.read()["7"].body, "picked=1");
});

test("what cannot be read is nothing", () => {
  for (const text of ["", "no JSON", "null", "0"]) {
    assert.deepEqual(outboxWith(undefined, new Map([["outbox.3", text]])).outbox.read(), {});
  }
});
