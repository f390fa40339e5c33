// The judging page: one #work after the other, and what waits to be sent.

import { $, _, address, pageData, parse, toast } from "./dom.js";
import { Errand, skipUrl } from "./errand.js";
import { swapGuidelines } from "./guide.js";
import { Item } from "./item.js";
import { showChosenLayer } from "./layers.js";
import { recall, remember } from "./memory.js";
import { Outbox } from "./outbox.js";
import { Presence } from "./presence.js";
import { Refused, retryDelay, send, sendJudgement, Unreachable } from "./send.js";
import { tellOfKept } from "./waiting.js";

const LEAVING_MS = 10_000; // a link that was clicked has led away by then, or never does

export class JudgingPage {
  constructor() {
    const memory = { recall, remember };
    this.outbox = new Outbox(pageData().userId, memory, { send: sendJudgement, ...tellOfKept });
    this.item = null; // what is judged or looked back at, if there is something
    this.errand = null; // a form beside the answer that was sent and not acknowledged
    this.isStaying = false; // the next page is one of ours
    this.refreshTimer = 0;
    this.keptTimer = 0;
  }

  start() {
    clearTimeout(this.refreshTimer);
    const form = $("#answer");
    this.item = form ? new Item(form, this) : null;
    if (!this.item) Presence.forget();
    showChosenLayer();
    const seconds = Number($("#work").dataset.refreshSeconds);
    if (seconds) this.refreshTimer = setTimeout(() => this.lookForItems(), seconds * 1000);
    if (document.readyState === "complete") this.loadUpcoming();
  }

  /** The images of the items after this one, in the size that this screen will ask for. */
  loadUpcoming() {
    for (const { dataset } of document.querySelectorAll("#work [data-upcoming]")) {
      const image = new Image();
      image.fetchPriority = "low";
      image.sizes = $(".view__image").sizes;
      image.srcset = dataset.srcset;
      image.src = dataset.upcoming;
    }
  }

  // --- What comes back

  /** An answer that holds another #work, or says where to go on. */
  arrive({ html, movedTo }) {
    this.endErrand();
    if (movedTo) location.assign(movedTo);
    else this.swap(html);
  }

  swap(html) {
    const answered = parse(html);
    swapGuidelines(answered);
    this.item?.leave();
    $("#work").replaceWith(document.adoptNode($("#work", answered)));
    this.start();
    window.scrollTo(0, 0);
    this.begun();
  }

  /** Leads to what has come: the next item, or what there is to read of one that was judged. */
  begun() {
    const heading = $("#work [data-arrives]") || $("#question");
    heading.focus({ preventScroll: true });
    const notice = $("#work .notice");
    const text = heading.textContent;
    if (this.item?.isEditable) $("#announce").textContent = _("Next: %(question)s", { question: text });
    else $("#announce").textContent = this.item && notice ? notice.textContent.trim() : text;
  }

  /** From an item that was judged to the next one, once what was marked is stored. */
  async goOn(url) {
    try {
      await this.item?.delivered();
      this.arrive(await send(url, undefined, { method: "GET", carries: "#work" }));
    } catch {
      location.assign(url); // the browser, or the page there, says what is wrong
    }
  }

  /** An empty queue: look again, but take nothing while nobody is looking at the page. */
  async lookForItems() {
    const isBusy =
      this.errand || $("#dialog").open || document.activeElement?.closest("#work a, #work button");
    if (document.visibilityState === "visible" && !isBusy) {
      try {
        const url = address(`/rounds/${pageData().roundId}/judge`);
        const reply = await send(url, undefined, { method: "GET", carries: "#work" });
        const isNews = $("#work", parse(reply.html))?.textContent !== $("#work").textContent;
        if (reply.movedTo || isNews) {
          this.arrive(reply);
          return;
        }
      } catch (error) {
        if (error instanceof Refused) location.reload();
        else if (!(error instanceof Unreachable)) throw error;
      }
    }
    this.start();
  }

  // --- What is sent beside the answer, and again

  begin(url, body) {
    this.endErrand();
    this.errand = new Errand(url, body, this);
    this.errand.run();
  }

  endErrand() {
    this.errand?.end();
    this.errand = null;
  }

  sendAgain() {
    this.item?.again();
    this.errand?.run();
    this.sendKept();
  }

  /** Answers of an earlier visit, until they were taken or refused. */
  async sendKept() {
    clearTimeout(this.keptTimer);
    const { item } = this;
    const problem = await this.outbox.empty(item?.isEditable ? item.id : undefined);
    if (problem instanceof Unreachable) {
      this.keptTimer = setTimeout(() => this.sendKept(), retryDelay(problem));
    }
  }

  /** Of the item that is shown again: what was chosen is put back, and a skip is done. */
  takeUpKept() {
    const { item } = this;
    const kept = item?.isEditable && this.outbox.read()[item.id];
    if (kept?.act === "skip") this.begin(skipUrl(item.id), new URLSearchParams(kept.body));
    else item?.restore();
  }

  // --- Leaving

  /** The item is given back with this form: not before what was chosen is on its way. */
  async giveUp(event, form) {
    const { item } = this;
    if (item?.saving.isUnsaved && !form.dataset.isSettled) {
      event.preventDefault();
      form.dataset.isSettled = "yes";
      await item.saving.settle();
      form.requestSubmit();
      return;
    }
    item?.presence?.end();
  }

  /** A link or form leads to another page of ours, where the item may be come back to. */
  stays() {
    this.isStaying = true;
    setTimeout(() => {
      this.isStaying = false;
    }, LEAVING_MS);
  }

  /** The page is closed: a comment that is still being typed leaves with it. */
  leave() {
    this.item?.saving.settle();
    this.item?.presence?.leave({ staysHere: this.isStaying });
  }

  /** Back in this tab, after signing in in another one, or when the network returns. */
  comeBack() {
    this.item?.clock.turned();
    if (document.visibilityState !== "visible") return;
    this.item?.presence?.beatNow();
    this.sendAgain();
  }
}
