// What counts as an answer of our server, and when the same is sent again.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Refused, retryDelay, send, Unreachable } from "../../static/judge/send.js";

const MARK = { "X-Illume": "1" };

/** A browser whose every request is answered by `answer()`; it notes what was asked and said. */
function browserWith(answer) {
  const noted = { requests: [], reached: 0, others: 0 };
  return {
    noted,
    fetch: async (url, request) => {
      noted.requests.push({ url, ...request });
      return answer();
    },
    isOurs: Boolean,
    reached: () => (noted.reached += 1),
    answeredByOthers: () => (noted.others += 1),
    holds: (html, selector) => html.includes(selector),
    headers: () => ({ "HX-Request": "true" }),
  };
}

const answering = (html, status = 200, headers = MARK) =>
  browserWith(() => new Response(html, { status, headers }));

const sendThrough = (through, options = {}) =>
  send("/judgements/7/draft", new URLSearchParams("picked=1"), { ...options, through });

const isUnreachable = (why) => (error) => error instanceof Unreachable && error.why === why;

test("an answer with our mark that holds what it must is an acknowledgement", async () => {
  const through = answering("<p>#work</p>");
  assert.deepEqual(await sendThrough(through, { carries: "#work" }), {
    html: "<p>#work</p>",
    movedTo: null,
  });
  assert.equal(through.noted.reached, 1);
});

test("an answer without our mark is somebody else's, whatever its status", async () => {
  for (const status of [200, 302, 401, 404]) {
    const through = answering("<p>#work</p>", status, {});
    await assert.rejects(sendThrough(through, { carries: "#work" }), isUnreachable("foreign"));
    assert.equal(through.noted.others, 1);
    assert.equal(through.noted.reached, 0);
  }
});

test("a failure without our mark is a server that is not there", async () => {
  const through = answering("bad gateway", 502, {});
  await assert.rejects(sendThrough(through), isUnreachable("silent"));
  assert.equal(through.noted.others, 0);
});

test("an answer with our mark that lacks what it must hold acknowledges nothing", async () => {
  const through = answering("<p>Sign in</p>");
  await assert.rejects(sendThrough(through, { carries: "#work" }), isUnreachable("foreign"));
});

test("an answer that leads on needs to hold nothing", async () => {
  const through = answering("", 200, { ...MARK, "HX-Redirect": "/projects" });
  const { movedTo } = await sendThrough(through, { carries: "#work" });
  assert.equal(movedTo, "/projects");
});

test("a network that fails is silence", async () => {
  const through = browserWith(() => {
    throw new TypeError("Failed to fetch");
  });
  await assert.rejects(sendThrough(through), isUnreachable("silent"));
});

test("an answer that breaks off is silence", async () => {
  const through = browserWith(() => ({
    headers: new Headers(MARK),
    text: () => Promise.reject(new TypeError("terminated")),
  }));
  await assert.rejects(sendThrough(through), isUnreachable("silent"));
});

test("our server may be unable to answer, and says for how long", async () => {
  for (const status of [421, 500, 503]) {
    const through = answering("", status, { ...MARK, "Retry-After": "12" });
    await assert.rejects(
      sendThrough(through),
      (error) => isUnreachable("unable")(error) && error.seconds === 12,
    );
  }
});

test("our own no is a refusal with its status", async () => {
  for (const status of [401, 404, 409, 422]) {
    const through = answering("no", status);
    await assert.rejects(
      sendThrough(through),
      (error) => error instanceof Refused && error.status === status && error.html === "no",
    );
    assert.equal(through.noted.reached, 1);
  }
});

test("a refusal tells a closed account from a lost session", async () => {
  for (const [mark, isClosed] of [["1", false], ["account-closed", true]]) {
    const through = answering("", 401, { "X-Illume": mark });
    await assert.rejects(sendThrough(through), (error) => error.isClosedAccount === isClosed);
  }
});

test("redirects are not followed, and only small bodies outlive the page", async () => {
  const through = answering("");
  await sendThrough(through);
  await send("/x", "y".repeat(70_000), { through });
  await send("/x", undefined, { method: "GET", through });
  const [small, large, got] = through.noted.requests;
  assert.deepEqual([small.redirect, small.keepalive], ["manual", true]);
  assert.deepEqual([large.keepalive, got.keepalive], [false, false]);
});

test("the same is sent again after 5 to 30 seconds, as the server asks", () => {
  assert.equal(retryDelay(new Unreachable("silent"), true), 5000);
  assert.equal(retryDelay(new Unreachable("unable", 2), true), 5000);
  assert.equal(retryDelay(new Unreachable("unable", 12), true), 12_000);
  assert.equal(retryDelay(new Unreachable("unable", 3600), true), 30_000);
  assert.equal(retryDelay(null, true), 5000);
});

test("while nobody looks it is sent again after 30 seconds", () => {
  assert.equal(retryDelay(new Unreachable("silent"), false), 30_000);
  assert.equal(retryDelay(new Unreachable("unable", 6), false), 30_000);
});
