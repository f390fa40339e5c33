// Boxes on pictures: what fields hold, what a pointer draws, what arrow keys move.

import assert from "node:assert/strict";
import { test } from "node:test";

import { boxBetween, nudgeBox, readBox } from "../../static/judge/boxes.js";

const fields = (left = "", top = "", right = "", bottom = "") => ({ left, top, right, bottom });

test("empty fields are no box, and an empty one beside others is the picture's edge", () => {
  assert.equal(readBox(fields(" ")), null);
  assert.deepEqual(readBox(fields("50")), { left: 0.5, top: 0, right: 1, bottom: 1 });
  assert.deepEqual(readBox(fields("12,5", "10", "40.25", "90")), { left: 0.125, top: 0.1, right: 0.4025, bottom: 0.9 });
});

test("what is not on the picture, has no size or is no number is not a box yet", () => {
  for (const one of [fields("-1"), fields("", "", "101"), fields("50", "", "50"), fields("99"), fields("x")]) {
    assert.equal(readBox(one), undefined);
  }
  assert.deepEqual(readBox(fields("98"))?.right, 1);
});

test("a pointer draws in any direction, and never beside the picture", () => {
  const box = { left: 0.2, top: 0.3, right: 1, bottom: 0.6 };
  assert.deepEqual(boxBetween({ x: 0.2, y: 0.3 }, { x: 1.4, y: 0.6 }), box);
  assert.deepEqual(boxBetween({ x: 1.4, y: 0.6 }, { x: 0.2, y: 0.3 }), box);
  assert.equal(boxBetween({ x: 0.2, y: 0.3 }, { x: 0.21, y: 0.9 }), null);
});

test("arrows move a box up to the edge as it is, and size it down to the least", () => {
  const box = { left: 0.9, top: 0.1, right: 0.97, bottom: 0.2 };
  assert.deepEqual(nudgeBox(box, [0.1, 0], false), { left: 0.93, top: 0.1, right: 1, bottom: 0.2 });
  assert.deepEqual(nudgeBox(box, [0, -0.2], false), { left: 0.9, top: 0, right: 0.97, bottom: 0.1 });
  assert.deepEqual(nudgeBox(box, [-0.5, 0.1], true), { left: 0.9, top: 0.1, right: 0.92, bottom: 0.3 });
});
