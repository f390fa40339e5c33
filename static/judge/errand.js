// A form beside the answer whose reply is another #work: skip, take back, take up again.

import { $, _, address, toast } from "./dom.js";
import { Refused, retryDelay, send, Unreachable } from "./send.js";
import { signedIn, signedOut } from "./signing-in.js";

/** Where skipping this judgement is sent, if the page has the form for it. */
export function skipUrl(id) {
  return $(`#skip-form[action="${address(`/judgements/${id}/skip`)}"]`)?.getAttribute("action");
}

/** What was asked for is tried until our server has answered, or until something else is asked for. */
export class Errand {
  /** `page` has the `item` beside which it stands, the `outbox`, arrive(reply) and endErrand(). */
  constructor(url, body, page) {
    const { item } = page;
    this.url = url;
    this.body = body;
    this.page = page;
    this.item = item;
    this.skips = item?.isEditable && url === skipUrl(item.id) ? item.id : null;
    this.timer = 0;
    this.notice = null;
    this.isSent = false;
    this.isOver = false;
  }

  end() {
    this.isOver = true;
    clearTimeout(this.timer);
    this.notice?.remove();
  }

  async run() {
    if (this.isSent || this.isOver) return;
    clearTimeout(this.timer);
    this.isSent = true;
    try {
      await this.item?.delivered(); // first what was chosen, then the rest
      const reply = await send(this.url, this.body, { carries: "#work" });
      if (this.isOver) return;
      if (this.skips) this.page.outbox.drop(this.skips);
      signedIn();
      this.page.arrive(reply);
    } catch (error) {
      if (!this.isOver) this.failed(error);
    } finally {
      this.isSent = false;
    }
  }

  failed(error) {
    if (error instanceof Unreachable) {
      // A reason for skipping is kept like an answer.
      if (this.skips) this.page.outbox.put(this.skips, this.body, "skip", 1);
      this.notice ||= toast(
        _("Not done yet: the server cannot be reached. It is tried again by itself."),
        "bad",
      );
      this.timer = setTimeout(() => this.run(), retryDelay(error));
    } else if (error instanceof Refused && error.status === 401) {
      signedOut(error);
    } else if (error instanceof Refused) {
      if (this.skips && error.status !== 404) this.page.outbox.drop(this.skips);
      this.page.endErrand();
      toast(error.sentence, "bad");
    } else {
      throw error;
    }
  }
}
