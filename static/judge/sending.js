// Requests of the judging page, and what they could not deliver.

export const $ = (selector, root = document) => root.querySelector(selector);
export const pageData = () => $("#judge-data").dataset;
/** A sentence in the language of the page; `parts` fill its %(name)s. */
export const _ = (text, parts) => window.illume.say(text, parts);
export const toast = (text, kind) => window.illume.showToast(text, kind);

/** No answer: no network, or a server that is not there at this moment. Worth trying again. */
export class Unreachable extends Error {}

/** An answer that says no. Sending the same again would not change it. */
export class Refused extends Error {
  constructor(status, html) {
    super(`refused with ${status}`);
    this.status = status;
    this.html = html;
  }

  /** The reason, as the server's page tells it. */
  get sentence() {
    const found = $(".lede, .notice--bad, #conflict p", parse(this.html));
    return found ? found.textContent.trim() : _("The server did not take it. Reload the page.");
  }
}

export function parse(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

/** The HTML of the answer; throws Unreachable or Refused. */
export async function send(url, body, { method = "POST" } = {}) {
  let response;
  try {
    response = await fetch(url, {
      method,
      body,
      headers: {
        "HX-Request": "true",
        "HX-Current-URL": location.href,
        "Page-Language": document.documentElement.lang,
      },
      // A save that is under way when the page is left still arrives.
      keepalive: method === "POST",
    });
  } catch {
    throw new Unreachable();
  }
  // A server that restarts behind a proxy is as good as no network.
  if (response.status >= 500) throw new Unreachable();
  const html = await response.text();
  if (!response.ok) throw new Refused(response.status, html);
  return html;
}

/** Answers that were not acknowledged, per judgement, with what was meant to happen to them. */
export const Outbox = {
  key: () => `illume.outbox.${pageData().userId}`,

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

  /** `act` is "draft" or "submit"; `n` is how many clicks wait. */
  put(id, body, act, n) {
    this.write({ ...this.read(), [id]: { body: body.toString(), act, n } });
  },

  drop(id) {
    const entries = this.read();
    delete entries[id];
    this.write(entries);
  },

  /** Send what an earlier visit could not; what is refused for good is told and dropped. */
  async empty(exceptId) {
    for (const [id, { body, act }] of Object.entries(this.read())) {
      if (id === exceptId) continue;
      try {
        await send(`/judgements/${id}/${act}`, new URLSearchParams(body));
        this.drop(id);
        if (act === "submit") toast(_("An answer from before the interruption was stored."), "ok");
      } catch (error) {
        if (!(error instanceof Refused) || error.status === 401) return;
        this.drop(id);
        const said = _("An answer from before the interruption was not stored: %(reason)s", {
          reason: error.sentence,
        });
        toast(said, "bad");
      }
    }
  },
};
