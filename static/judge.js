"use strict";

// The judging page. It sends the forms that the page has and swaps #work with what comes back.
//
// - Every change is saved at once, one request at a time, always with the whole state.
// - What could not be sent (no network, signed out) stays in the page and in this browser's storage
//   until it was: see Outbox.
// - Keys press the visible buttons. The table of keys in the page is their registry.
(() => {
  const IDLE_MS = 60_000; // longer gaps do not count as working time
  const AWAY_MS = 180_000; // after this long without a sign of life the lease is left to run out
  const COMMENT_MS = 600;
  const BUSY_MS = 150;
  const RETRY_MS = [1000, 2000, 5000, 10_000, 20_000];

  const $ = (selector, root = document) => root.querySelector(selector);
  const data = () => $("#judge-data").dataset;
  const toast = (text, kind) => window.illume.showToast(text, kind);

  // ------------------------------------------------------------------------------------ sending

  class Unreachable extends Error {}

  class Refused extends Error {
    constructor(response, html) {
      super(`refused with ${response.status}`);
      this.status = response.status;
      this.html = html;
    }
  }

  async function send(url, body, { method = "POST" } = {}) {
    let response;
    try {
      response = await fetch(url, {
        method,
        body,
        headers: { "HX-Request": "true", "HX-Current-URL": location.href },
        keepalive: method === "POST",
      });
    } catch {
      throw new Unreachable();
    }
    // A server that restarts behind a proxy is as good as no network: try again later.
    if (response.status >= 500) throw new Unreachable();
    const html = await response.text();
    if (!response.ok) throw new Refused(response, html);
    return html;
  }

  function parse(html) {
    return new DOMParser().parseFromString(html, "text/html");
  }

  function sentenceOf(html) {
    const found = $(".lede, .notice--bad, #conflict p", parse(html));
    return found ? found.textContent.trim() : "The server did not take it. Reload the page.";
  }

  // ------------------------------------------------------------------------------------ outbox

  // Answers that were not acknowledged, per judgement, with what was meant to happen to them.
  const Outbox = {
    key: () => `illume.outbox.${data().userId}`,
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
    put(id, body, act) {
      const entries = this.read();
      entries[id] = { body: body.toString(), act };
      this.write(entries);
    },
    drop(id) {
      const entries = this.read();
      delete entries[id];
      this.write(entries);
    },
  };

  // Sends what an earlier visit could not; what the server refuses for good is told and dropped.
  async function emptyOutbox(exceptId) {
    for (const [id, { body, act }] of Object.entries(Outbox.read())) {
      if (id === exceptId) continue;
      try {
        await send(`/judgements/${id}/${act}`, new URLSearchParams(body));
        Outbox.drop(id);
        if (act === "submit") toast("An answer from before the interruption was stored.", "ok");
      } catch (error) {
        if (!(error instanceof Refused) || error.status === 401) return;
        Outbox.drop(id);
        toast(`An answer from before the interruption was not stored: ${sentenceOf(error.html)}`, "bad");
      }
    }
  }

  // ------------------------------------------------------------------------------------ one item

  class Item {
    constructor(form) {
      this.form = form;
      this.id = form.dataset.judgementId;
      this.isEditable = form.dataset.editable === "yes";
      this.activeMs = Number(form.elements.active_ms.value);
      this.lastSign = performance.now();
      this.isDirty = false;
      this.saving = null;
      this.isSubmitting = false;
      this.failures = 0;
      this.retryTimer = 0;
      this.isGone = false;
    }

    body() {
      this.form.elements.active_ms.value = Math.round(this.activeMs);
      return new URLSearchParams(new FormData(this.form));
    }

    saysSomething() {
      const { none_fits: none, answer_is_wrong: wrong } = this.form.elements;
      return none.checked || wrong.checked || Boolean($("[name=picked]:checked", this.form));
    }

    // Three different facts: choosing one of them takes the others away.
    keepApart(changed) {
      if (!changed.checked) return;
      const { none_fits: none, answer_is_wrong: wrong } = this.form.elements;
      const clears = {
        picked: [none, wrong],
        none_fits: [wrong, ...this.form.querySelectorAll("[name=picked]")],
        answer_is_wrong: [none, ...this.form.querySelectorAll("[name=picked]")],
      }[changed.name];
      for (const box of clears || []) box.checked = false;
    }

    show(state, text) {
      const saved = $("#saved");
      if (!saved) return;
      saved.className = `saved ${state}`;
      saved.textContent = text;
    }

    changed() {
      if (!this.isEditable || this.isGone) return;
      this.isDirty = true;
      Outbox.put(this.id, this.body(), "draft");
      this.show("is-waiting", "Saving…");
      this.save();
    }

    // One request at a time; clicks during it are sent together afterwards.
    save() {
      this.saving ||= this.saveAll().finally(() => {
        this.saving = null;
      });
      return this.saving;
    }

    async saveAll() {
      while (this.isDirty && !this.isGone) {
        this.isDirty = false;
        try {
          this.acknowledge(await send(`/judgements/${this.id}/draft`, this.body()));
        } catch (error) {
          this.isDirty = true;
          this.failed(error);
          return;
        }
      }
    }

    acknowledge(html) {
      if (!this.isDirty) Outbox.drop(this.id);
      this.failures = 0;
      const saved = $("#saved", parse(html));
      if (this.isGone || !saved) return;
      this.form.elements.version.value = saved.dataset.version;
      if (!this.isDirty) $("#saved").replaceWith(document.adoptNode(saved));
    }

    async submit() {
      if (!this.isEditable || this.isSubmitting || this.isGone) return;
      if (!this.saysSomething()) {
        toast("Nothing is chosen yet: pick what fits, or say that none fits or that the answer is wrong.", "warn");
        return;
      }
      this.isSubmitting = true;
      const work = $("#work");
      const busy = setTimeout(() => work.classList.add("is-busy"), BUSY_MS);
      try {
        // The version is known when the save before has been answered.
        if (this.saving) await this.saving;
        const body = this.body();
        Outbox.put(this.id, body, "submit");
        const html = await send(this.form.getAttribute("action"), body);
        Outbox.drop(this.id);
        this.isGone = true;
        swap(html);
      } catch (error) {
        this.isSubmitting = false;
        this.wantsSubmit = true;
        this.failed(error);
      } finally {
        clearTimeout(busy);
        work.classList.remove("is-busy");
      }
    }

    failed(error) {
      if (error instanceof Unreachable) {
        const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
        this.failures += 1;
        this.show("is-unsaved", "Not saved yet: no connection. Trying again…");
        clearTimeout(this.retryTimer);
        this.retryTimer = setTimeout(() => this.again(), wait);
        return;
      }
      if (!(error instanceof Refused)) throw error;
      if (error.status === 401) {
        this.show("is-unsaved", "Not saved yet: you were signed out.");
        showDialog($("#signed-out").content.cloneNode(true));
        return;
      }
      Outbox.drop(this.id);
      this.wantsSubmit = false;
      this.isDirty = false;
      this.show("is-unsaved", "Not saved.");
      if (error.status === 409) {
        const conflict = $("#conflict", parse(error.html));
        if (conflict) showDialog(document.adoptNode(conflict));
        else toast(sentenceOf(error.html), "bad");
      } else {
        toast(sentenceOf(error.html), "bad");
      }
    }

    // After a network failure or a sign-in: what was meant to happen, again.
    again() {
      if (this.isGone) return;
      clearTimeout(this.retryTimer);
      if (this.wantsSubmit) {
        this.wantsSubmit = false;
        this.isDirty = false;
        this.submit();
      } else if (this.isDirty) {
        this.save();
      }
    }

    sign() {
      const now = performance.now();
      if (document.visibilityState === "visible") {
        this.activeMs += Math.min(now - this.lastSign, IDLE_MS);
      }
      this.lastSign = now;
    }

    async heartbeat() {
      if (!this.isEditable || this.isGone || document.visibilityState !== "visible") return;
      if (performance.now() - this.lastSign > AWAY_MS) return;
      const body = new URLSearchParams({ active_ms: Math.round(this.activeMs) });
      try {
        await send(`/judgements/${this.id}/heartbeat`, body);
      } catch (error) {
        // Unreachable or signed out is told when there is something to save.
        if (error instanceof Refused && error.status === 409) toast(sentenceOf(error.html), "warn");
      }
    }
  }

  // ------------------------------------------------------------------------------------ page

  let item = null;
  let heartbeatTimer = 0;
  let commentTimer = 0;
  let refreshTimer = 0;

  function announce(text) {
    $("#announce").textContent = text;
  }

  function showDialog(content) {
    const dialog = $("#dialog");
    $("#dialog-body").replaceChildren(content);
    if (!dialog.open) dialog.showModal();
  }

  function start({ isFirst = false } = {}) {
    clearInterval(heartbeatTimer);
    clearTimeout(refreshTimer);
    clearTimeout(commentTimer);
    commentTimer = 0;
    const work = $("#work");
    const form = $("#answer");
    item = form ? new Item(form) : null;
    if (item?.isEditable) {
      const beat = Math.min(Math.max(Number(form.dataset.leaseSeconds) * 250, 2000), 60_000);
      heartbeatTimer = setInterval(() => item.heartbeat(), beat);
      if (isFirst) restore(item);
    }
    if (work.dataset.refreshSeconds) scheduleRefresh(Number(work.dataset.refreshSeconds) * 1000);
    // Prefetch links are a hint that browsers may ignore; an image object is a promise.
    for (const link of work.querySelectorAll("link[data-upcoming]")) new Image().src = link.href;
  }

  // The answer that this page had when it was closed or reloaded without having been acknowledged.
  function restore(current) {
    const entry = Outbox.read()[current.id];
    if (!entry) return;
    const kept = new URLSearchParams(entry.body);
    const picked = new Set(kept.getAll("picked"));
    for (const box of current.form.querySelectorAll("[name=picked]")) {
      box.checked = picked.has(box.value);
    }
    for (const name of ["none_fits", "answer_is_wrong", "is_flagged"]) {
      current.form.elements[name].checked = kept.has(name);
    }
    current.form.elements.comment.value = kept.get("comment") || "";
    if (current.form.elements.comment.value) $("#remark").open = true;
    toast("What you had chosen before the interruption is back.", "info");
    current.changed();
  }

  function swap(html) {
    const fresh = $("#work", parse(html));
    if (!fresh) {
      location.reload();
      return;
    }
    $("#work").replaceWith(document.adoptNode(fresh));
    start();
    window.scrollTo(0, 0);
    const heading = $("#question");
    heading.focus({ preventScroll: true });
    announce(item ? `Next: ${heading.textContent}` : heading.textContent);
  }

  function scheduleRefresh(milliseconds) {
    refreshTimer = setTimeout(async () => {
      try {
        if (document.visibilityState === "visible" && !isReading()) {
          const url = `/rounds/${data().roundId}/judge`;
          const html = await send(url, undefined, { method: "GET" });
          const fresh = $("#work", parse(html));
          if (fresh && !fresh.dataset.refreshSeconds) swap(html);
          else if (fresh && fresh.textContent !== $("#work").textContent) swap(html);
        }
      } catch (error) {
        if (error instanceof Refused) location.reload();
      }
      if ($("#work").dataset.refreshSeconds) scheduleRefresh(milliseconds);
    }, milliseconds);
  }

  function isReading() {
    return Boolean($("#dialog").open || document.activeElement?.closest("#work a, #work button"));
  }

  // Forms beside the answer whose reply is another #work: skip, take back, take up again.
  async function sendForm(form, submitter) {
    const current = item;
    if (current?.saving) await current.saving;
    const body = new URLSearchParams(new FormData(form, submitter));
    try {
      const html = await send(form.getAttribute("action"), body);
      if (current) {
        current.isGone = true;
        Outbox.drop(current.id);
      }
      swap(html);
    } catch (error) {
      if (error instanceof Unreachable) toast("No connection: nothing was changed. Try again.", "bad");
      else if (error instanceof Refused && error.status === 401) {
        showDialog($("#signed-out").content.cloneNode(true));
      } else if (error instanceof Refused) toast(sentenceOf(error.html), "bad");
      else throw error;
    }
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.id === "answer") {
      event.preventDefault();
      item.submit();
    } else if (form.matches("[data-swaps-work]")) {
      event.preventDefault();
      sendForm(form, event.submitter);
    }
  });

  document.addEventListener("change", (event) => {
    if (!item || !event.target.closest("#answer")) return;
    if (event.target.type === "checkbox") {
      item.keepApart(event.target);
      item.changed();
    }
  });

  document.addEventListener("input", (event) => {
    if (event.target.id !== "comment") return;
    clearTimeout(commentTimer);
    item.show("is-waiting", "Saving…");
    const typedIn = item;
    commentTimer = setTimeout(() => {
      commentTimer = 0;
      typedIn.changed();
    }, COMMENT_MS);
  });

  document.addEventListener("click", (event) => {
    if (event.target.closest("button[data-action=guidelines]")) $("#guidelines").open = false;
    if (event.target.closest("[data-action=comment]")) {
      $("#remark").open = true;
      $("#comment").focus();
    }
    if (!event.target.closest("[data-send-again]")) return;
    $("#dialog").close();
    item?.again();
  });

  // Back in this tab, after signing in in another one or when the network returns.
  function resume() {
    if (document.visibilityState !== "visible") return;
    if ($("#dialog").open && $("[data-send-again]")) $("#dialog").close();
    item?.again();
  }
  document.addEventListener("visibilitychange", resume);
  window.addEventListener("focus", resume);
  window.addEventListener("online", resume);
  window.addEventListener("pagehide", () => {
    // A comment that is still being typed leaves with the page.
    if (item?.isEditable && commentTimer) item.changed();
  });

  for (const name of ["pointermove", "pointerdown", "keydown", "scroll", "touchstart"]) {
    document.addEventListener(name, () => item?.sign(), { passive: true, capture: true });
  }

  // ------------------------------------------------------------------------------------ zoom

  document.addEventListener("click", (event) => {
    const onButton = event.target.closest("[data-action=zoom]");
    const onImage = event.target.closest(".view__image");
    const view = $("#view");
    if (!view || (!onButton && !onImage)) return;
    if (onImage && view.dataset.moved) {
      delete view.dataset.moved;
      return;
    }
    const frame = $(".view__frame", view);
    const box = frame.getBoundingClientRect();
    const at = onImage
      ? [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]
      : [0.5, 0.5];
    const isZoomed = view.classList.toggle("is-zoomed");
    $("[data-action=zoom]", view)?.setAttribute("aria-pressed", String(isZoomed));
    frame.scrollLeft = frame.scrollWidth * at[0] - box.width / 2;
    frame.scrollTop = frame.scrollHeight * at[1] - box.height / 2;
  });

  let drag = null;
  document.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || !event.target.closest(".is-zoomed .view__image")) return;
    const frame = event.target.closest(".view__frame");
    drag = { frame, x: event.clientX, y: event.clientY, left: frame.scrollLeft, top: frame.scrollTop };
    $("#view").classList.add("is-panning");
  });
  document.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    if (Math.abs(dx) + Math.abs(dy) > 4) $("#view").dataset.moved = "yes";
    drag.frame.scrollLeft = drag.left - dx;
    drag.frame.scrollTop = drag.top - dy;
  });
  document.addEventListener("pointerup", () => {
    drag = null;
    $("#view")?.classList.remove("is-panning");
  });

  // ------------------------------------------------------------------------------------ keys

  function readKeys() {
    const actions = new Map();
    for (const row of document.querySelectorAll("[data-key]")) {
      actions.set(row.dataset.key, row.dataset.keyAction);
    }
    return actions;
  }

  function press(action, key) {
    if (action === "pick") {
      $(`[data-digit="${key}"]:enabled`)?.click();
      return;
    }
    const target = $(`[data-action="${action}"]:not(:disabled)`);
    if (!target || target.closest("fieldset:disabled")) return;
    target.click();
    if (action === "skip" && $("#skip").open) $("#skip [name=reason]").focus();
  }

  function isTyping(target) {
    return Boolean(target.closest("textarea, select, input:not([type=checkbox], [type=radio])"));
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if ($("#dialog").open || !$("#keys-on").checked) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const skip = $("#skip[open]");
    if (skip && /^[1-9]$/.test(event.key)) {
      skip.querySelectorAll("[name=reason]")[Number(event.key) - 1]?.click();
      event.preventDefault();
      return;
    }
    // Enter on a button, link or summary is that element's own.
    if (event.key === "Enter" && event.target.closest("button, a, summary")) return;
    const action = readKeys().get(event.key);
    if (!action) return;
    event.preventDefault();
    if (event.repeat && action !== "previous" && action !== "next") return;
    press(action, event.key);
  }

  document.addEventListener("keydown", onKey);

  // Escape leaves the skip panel for the item, not for its button: Enter is to submit again.
  document.addEventListener(
    "keydown",
    (event) => {
      const skip = $("#skip[open]");
      if (event.key !== "Escape" || !skip) return;
      event.stopPropagation();
      skip.open = false;
      $("#question").focus({ preventScroll: true });
    },
    { capture: true },
  );

  // A click with the mouse leaves no focus on a button, where Enter would press it again.
  document.addEventListener("click", (event) => {
    const pressed = event.target.closest(".judge button, .judge summary");
    if (pressed && event.detail > 0 && !$("#dialog").open && !pressed.closest(".menu__panel, [data-action=comment]")) {
      $("#question")?.focus({ preventScroll: true });
    }
  });

  // ------------------------------------------------------------------------------------ remembered

  function remember(key, value) {
    try {
      localStorage.setItem(key, value);
    } catch {
      // Not remembered, then.
    }
  }

  function recall(key) {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const guide = $("#guidelines");
    if (guide) {
      const kept = recall("illume.guidelines");
      if (kept) guide.open = kept === "open";
      guide.addEventListener("toggle", () => {
        remember("illume.guidelines", guide.open ? "open" : "closed");
      });
    }
    const keysOn = $("#keys-on");
    keysOn.checked = recall("illume.keys") !== "off";
    keysOn.addEventListener("change", () => remember("illume.keys", keysOn.checked ? "on" : "off"));
    start({ isFirst: true });
    emptyOutbox(item?.id);
  });
})();
