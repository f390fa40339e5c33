// Requests of the judging page, and what they could not deliver.

import { storedName } from "./memory.js";

export const $ = (selector, root = document) => root.querySelector(selector);
export const pageData = () => $("#judge-data").dataset;
/** A sentence in the language of the page; `parts` fill its %(name)s. */
export const _ = (text, parts) => window.illume.say(text, parts);
/** The address of one of our paths. */
export const address = (path) => window.illume.address(path);
export const toast = (text, kind) => window.illume.showToast(text, kind);

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

/** How long to wait before the same is sent again. */
export function retryDelay(problem) {
  if (document.visibilityState !== "visible") return SLOW_RETRY_MS;
  return Math.min(Math.max((problem?.seconds || 0) * 1000, RETRY_MS), SLOW_RETRY_MS);
}

export function parse(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

/**
 * What our server answered: its HTML, and where it sends the page on to, if it does.
 *
 * Only an answer that carries our mark, was not redirected, and holds what it must (`carries`, a
 * selector) is one. All else, such as the sign-in page of a proxy with status 200, is Unreachable.
 */
export async function send(url, body, { method = "POST", carries = "" } = {}) {
  const answer = await ask(url, body, method);
  const { response, html } = answer;
  if (!window.illume.isOurs(response.headers.get("X-Illume"))) {
    throw unanswered(response.status >= 500 ? "silent" : "foreign");
  }
  // 421: by this name the server is not opened any more; the answer is kept for the right one.
  if (response.status >= 500 || response.status === 421) {
    throw unanswered("unable", Number(response.headers.get("Retry-After")) || 0);
  }
  if (!response.ok) {
    window.illume.reached();
    throw new Refused(response.status, html, response.headers.get("X-Illume"));
  }
  const movedTo = response.headers.get("HX-Redirect");
  if (carries && !movedTo && !$(carries, parse(html))) throw unanswered("foreign");
  window.illume.reached();
  return { html, movedTo };
}

async function ask(url, body, method) {
  try {
    const response = await fetch(url, {
      method,
      body,
      headers: {
        "HX-Request": "true",
        "HX-Current-URL": location.href,
        "Page-Language": document.documentElement.lang,
      },
      // Followed, a redirect to a sign-in page would look like an answer.
      redirect: "manual",
      // A save that is under way when the page is left still arrives.
      keepalive: method === "POST" && String(body).length < KEEPALIVE_BYTES,
      signal: AbortSignal.timeout(GIVE_UP_MS),
    });
    return { response, html: await response.text() };
  } catch {
    throw unanswered("silent");
  }
}

function unanswered(why, seconds) {
  if (why === "foreign") window.illume.answeredByOthers();
  return new Unreachable(why, seconds);
}

/** Answers that were not acknowledged, per judgement, with what was meant to happen to them. */
export const Outbox = {
  isBusy: false,

  key: () => storedName(`outbox.${pageData().userId}`),

  read() {
    try {
      return JSON.parse(localStorage.getItem(this.key())) || {};
    } catch {
      return {};
    }
  },

  write(entries) {
    try {
      if (Object.keys(entries).length) localStorage.setItem(this.key(), JSON.stringify(entries));
      else localStorage.removeItem(this.key());
    } catch {
      // Storage is full or forbidden: the page itself still holds the answer.
    }
  },

  /** `act` is "draft", "submit" or "skip"; `n` is how many clicks wait. */
  put(id, body, act, n) {
    this.write({ ...this.read(), [id]: { body: body.toString(), act, n } });
  },

  drop(id) {
    const entries = this.read();
    delete entries[id];
    this.write(entries);
  },

  /**
   * Send what an earlier visit could not; what is refused for good is told and dropped.
   * Returns what stopped it, if anything did.
   */
  async empty(exceptId) {
    if (this.isBusy) return null;
    this.isBusy = true;
    try {
      for (const [id, entry] of Object.entries(this.read())) {
        if (id !== exceptId) await this.deliver(id, entry);
      }
    } catch (problem) {
      if (problem instanceof Unreachable || problem instanceof Refused) return problem;
      throw problem;
    } finally {
      this.isBusy = false;
    }
    return null;
  },

  async deliver(id, { body, act }) {
    const carries = act === "draft" ? "[data-version]" : "#work";
    try {
      await send(address(`/judgements/${id}/${act}`), new URLSearchParams(body), { carries });
      if (act === "submit") toast(_("An answer from before the interruption was stored."), "ok");
    } catch (error) {
      if (!(error instanceof Refused) || error.status === 401) throw error;
      const said = _("An answer from before the interruption was not stored: %(reason)s", {
        reason: error.sentence,
      });
      toast(said, "bad");
    }
    // Another tab may have put something newer there meanwhile.
    if (this.read()[id]?.body === body) this.drop(id);
  },
};
