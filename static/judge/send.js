// Sends to our server, and tells its answers from those of anybody else.

import { $, _, address, parse } from "./dom.js";

const GIVE_UP_MS = 10_000; // a server that is silent for so long is not there
const RETRY_MS = 5000;
const SLOW_RETRY_MS = 30_000; // while nobody looks at the page, or where the server asks for it
const KEEPALIVE_BYTES = 60_000; // browsers refuse more than 64 KiB of them

/**
 * No acknowledgement: sending the same again may bring one. `why` is "silent" (no network, or nobody
 * answers), "unable" (our server, which cannot do it at the moment) or "foreign" (somebody else
 * answered in its place).
 */
export class Unreachable extends Error {
  constructor(why, seconds = 0) {
    super(why);
    this.why = why;
    this.seconds = seconds;
  }
}

/** An answer of our server that says no. Sending the same again would not change it. */
export class Refused extends Error {
  constructor(status, html, mark) {
    super(`refused with ${status}`);
    this.status = status;
    this.html = html;
    this.isClosedAccount = mark === "account-closed";
  }

  /** The reason, as the server's page tells it. */
  get sentence() {
    const found = $(".lede, .notice--bad, #conflict p", parse(this.html));
    return found ? found.textContent.trim() : _("The server did not take it. Reload the page.");
  }
}

/** How long to wait, in milliseconds, before the same is sent again. */
export function retryDelay(problem, isSeen = document.visibilityState === "visible") {
  if (!isSeen) return SLOW_RETRY_MS;
  return Math.min(Math.max((problem?.seconds || 0) * 1000, RETRY_MS), SLOW_RETRY_MS);
}

/** What sending needs of the browser. Looked up at each use: this file can be read without one. */
const browser = {
  fetch: (...request) => fetch(...request),
  isOurs: (mark) => window.illume.isOurs(mark),
  reached: () => window.illume.reached(),
  answeredByOthers: () => window.illume.answeredByOthers(),
  holds: (html, selector) => Boolean($(selector, parse(html))),
  headers: () => ({
    "HX-Request": "true",
    "HX-Current-URL": location.href,
    "Page-Language": document.documentElement.lang,
  }),
};

/**
 * Returns what our server answered: its HTML, and where it sends the page on to, if it does.
 *
 * Only an answer that carries our mark, was not redirected, and holds what it must (`carries`, a
 * selector) is one. All else, such as the sign-in page of a proxy with status 200, is Unreachable.
 */
export async function send(url, body, { method = "POST", carries = "", through = browser } = {}) {
  const { response, html } = await ask(url, body, method, through);
  if (!through.isOurs(response.headers.get("X-Illume"))) {
    throw unanswered(response.status >= 500 ? "silent" : "foreign", through);
  }
  // 421: by this name the server is not opened any more; the answer is kept for the right one.
  if (response.status >= 500 || response.status === 421) {
    throw new Unreachable("unable", Number(response.headers.get("Retry-After")) || 0);
  }
  if (!response.ok) {
    through.reached();
    throw new Refused(response.status, html, response.headers.get("X-Illume"));
  }
  const movedTo = response.headers.get("HX-Redirect");
  if (carries && !movedTo && !through.holds(html, carries)) throw unanswered("foreign", through);
  through.reached();
  return { html, movedTo };
}

/** What is done with a judgement: `act` is "draft", "marks", "submit" or "skip". */
export function sendJudgement(id, act, body) {
  const carries = act === "draft" || act === "marks" ? "[data-version]" : "#work";
  return send(address(`/judgements/${id}/${act}`), body, { carries });
}

async function ask(url, body, method, through) {
  try {
    const response = await through.fetch(url, {
      method,
      body,
      headers: through.headers(),
      // Followed, a redirect to a sign-in page would look like an answer.
      redirect: "manual",
      // A save that is under way when the page is left still arrives.
      keepalive: method === "POST" && String(body).length < KEEPALIVE_BYTES,
      signal: AbortSignal.timeout(GIVE_UP_MS),
    });
    return { response, html: await response.text() };
  } catch {
    throw unanswered("silent", through);
  }
}

function unanswered(why, through) {
  if (why === "foreign") through.answeredByOthers();
  return new Unreachable(why);
}
