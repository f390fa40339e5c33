"use strict";

// What every page shares: toasts, the colour switch, copying, local times, errors of htmx requests.
// Pages work without any of it.
(() => {
  const TOAST_MS = 6000;
  // The path of the host that all our addresses begin with, where they do not begin at its root.
  const sitePath = document.documentElement.dataset.sitePath || "";
  const texts = JSON.parse(document.body.dataset.texts || "{}");

  /** A sentence in the language of the page; `parts` fill its %(name)s. */
  function _(text, parts = {}) {
    return (texts[text] || text).replace(/%\((\w+)\)s/g, (_found, name) => parts[name]);
  }

  /** The address of one of our paths: the only way in which scripts make one. */
  const address = (path) => sitePath + path;

  /** The name of what a browser keeps: it has one storage for all sites of a host. */
  const storedName = (name) => `illume${sitePath}.${name}`;

  function showToast(text, kind = "info") {
    // Said already, and still there to be read.
    for (const shown of document.querySelectorAll("#toasts .toast--bad > span")) {
      if (kind === "bad" && shown.textContent === text) return shown.parentElement;
    }
    const toast = document.createElement("div");
    toast.className = `toast toast--${kind}`;
    toast.dataset.toast = "";
    const message = document.createElement("span");
    message.textContent = text;
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.dismiss = "";
    button.setAttribute("aria-label", _("Dismiss"));
    button.textContent = "✕";
    toast.append(message, button);
    document.getElementById("toasts").append(toast);
    expire(toast, kind);
    return toast;
  }

  // Errors stay until they are dismissed: people may look away.
  function expire(toast, kind) {
    if (kind === "bad" || toast.classList.contains("toast--bad")) return;
    setTimeout(() => toast.remove(), TOAST_MS);
  }

  // Our server marks each of its answers. What lacks the mark comes from somebody between: the
  // sign-in page of a proxy whose session ended, a maintenance page, a filter.
  const isOurs = Boolean;
  let foreign = null; // the notice of it

  function answeredByOthers() {
    if (foreign) return; // also where it was dismissed
    foreign = showToast(
      _(
        "Something else answers in the server's place: perhaps the sign-in page of your network. Reload this page to sign in there; what waits to be sent is kept.",
      ),
      "bad",
    );
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn--small";
    button.textContent = _("Reload");
    button.addEventListener("click", () => location.reload());
    foreign.firstChild.append(" ", button);
  }

  function reached() {
    foreign?.remove();
    foreign = null;
  }

  // A page that looks for news by itself says once that it cannot, and takes it back when it can.
  let pollTrouble = null;
  const isPoll = (element) => Boolean(element.matches?.("[hx-trigger^=every]"));

  function notReached(event) {
    if (isPoll(event.target)) {
      pollTrouble ||= showToast(
        _("The server cannot be reached. This page goes on looking by itself."),
        "bad",
      );
    } else {
      showToast(_("The server cannot be reached. Nothing was changed; try again."), "bad");
    }
  }

  // Of the reader's own locales the one in the page's language: en-GB and en-US write dates apart.
  function pageLocale() {
    const language = document.documentElement.lang;
    return navigator.languages.find((tag) => tag.split("-")[0] === language) || language;
  }

  function localTimes(root) {
    const format = new Intl.DateTimeFormat(pageLocale(), { dateStyle: "medium", timeStyle: "short" });
    for (const element of root.querySelectorAll("time[data-local-time]")) {
      const at = new Date(element.dateTime);
      if (!Number.isNaN(at.getTime())) element.textContent = format.format(at);
      delete element.dataset.localTime;
    }
  }

  // The error page of the server carries its sentence in .lede; anything else is told by its status.
  function errorText(xhr) {
    const page = new DOMParser().parseFromString(xhr.responseText || "", "text/html");
    const sentence = page.querySelector(".lede, [data-toast] span");
    if (sentence && sentence.textContent.trim()) return sentence.textContent.trim();
    return _("The server answered %(status)s. Nothing was changed; try again.", {
      status: xhr.status,
    });
  }

  function switchTheme(form, value) {
    const root = document.documentElement;
    if (value === "system") delete root.dataset.theme;
    else root.dataset.theme = value;
    const year = 365 * 24 * 3600;
    const secure = location.protocol === "https:" ? "; Secure" : "";
    document.cookie = `theme=${value}; Path=${sitePath || "/"}; Max-Age=${year}; SameSite=Lax${secure}`;
    const next = { light: "dark", dark: "system", system: "light" }[value];
    const colours = {
      light: _("Colours: light"),
      dark: _("Colours: dark"),
      system: _("Colours: as the system"),
    };
    const switches = {
      light: _("Switch to light"),
      dark: _("Switch to dark"),
      system: _("Switch to the system's"),
    };
    const button = form.querySelector("button");
    button.value = next;
    button.title = colours[value];
    button.setAttribute("aria-label", `${colours[value]}. ${switches[next]}`);
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-theme-form]")) return;
    event.preventDefault();
    switchTheme(form, form.querySelector("button").value);
  });

  document.addEventListener("click", (event) => {
    const dismiss = event.target.closest("[data-dismiss]");
    if (dismiss) dismiss.closest("[data-toast]").remove();
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      navigator.clipboard.writeText(copy.dataset.copy).then(
        () => showToast(_("Copied"), "ok"),
        () => showToast(_("This browser does not allow copying: select the text instead"), "warn"),
      );
    }
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });

  // What somebody unfolded or folded stays so when its part of the page is renewed.
  const unfolded = new Map();
  document.addEventListener("click", (event) => {
    const fold = event.target.closest("summary")?.parentElement;
    if (fold?.id) unfolded.set(fold.id, !fold.open);
  });
  function keepFolds() {
    for (const [id, isOpen] of unfolded) {
      const fold = document.getElementById(id);
      if (fold) fold.open = isOpen;
    }
  }

  // A piece that is put into this page is in the language of this page.
  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["Page-Language"] = document.documentElement.lang;
  });
  // What our server did not answer is not put into the page, nor followed elsewhere.
  document.addEventListener("htmx:beforeOnLoad", (event) => {
    const { xhr } = event.detail;
    if (isOurs(xhr.getResponseHeader("X-Illume"))) {
      reached();
      if (xhr.status < 400) pollTrouble = pollTrouble?.remove();
      return;
    }
    event.preventDefault();
    if (xhr.status < 500) answeredByOthers();
    else notReached(event);
  });
  document.addEventListener("htmx:responseError", (event) => {
    const text = errorText(event.detail.xhr);
    if (!isPoll(event.target)) showToast(text, "bad");
    else pollTrouble ||= showToast(text, "bad");
  });
  document.addEventListener("htmx:sendError", notReached);
  document.addEventListener("htmx:timeout", notReached);
  document.addEventListener("htmx:afterSwap", (event) => {
    keepFolds();
    localTimes(event.detail.elt.parentNode || document);
    for (const toast of document.querySelectorAll("#toasts [data-toast]:not([data-timed])")) {
      toast.dataset.timed = "";
      expire(toast);
    }
  });

  document.addEventListener("htmx:oobAfterSwap", (event) => {
    keepFolds();
    localTimes(event.detail.target || document);
  });

  // "Today" begins at midnight where the reader is; the server learns the zone from this cookie.
  function tellTimeZone() {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (zone) document.cookie = `tz=${zone}; Path=${sitePath || "/"}; Max-Age=31536000; SameSite=Lax`;
  }

  // The page of an outage asks whether the server can work again, and then for the same again.
  async function canWork(readyAddress) {
    try {
      const response = await fetch(readyAddress, { cache: "no-store" });
      const { checks } = await response.json();
      // Redis only hands work to the workers: pages do without it.
      return ["database", "store"].every((part) => checks[part] === "ok");
    } catch {
      return false;
    }
  }

  function comeBack() {
    const waiting = document.querySelector("[data-comes-back]");
    if (!waiting) return;
    for (const said of waiting.querySelectorAll("[data-needs-script]")) said.hidden = false;
    const pause = Number(waiting.dataset.comesBack) * 1000;
    const look = async () => {
      if (!(await canWork(waiting.dataset.ready))) setTimeout(look, pause);
      else if (waiting.matches("form")) waiting.requestSubmit();
      else location.reload();
    };
    setTimeout(look, pause);
  }

  document.addEventListener("DOMContentLoaded", () => {
    tellTimeZone();
    comeBack();
    localTimes(document);
    for (const toast of document.querySelectorAll("[data-toast]")) {
      toast.dataset.timed = "";
      expire(toast);
    }
  });

  window.illume = {
    showToast,
    localTimes,
    say: _,
    isOurs,
    answeredByOthers,
    reached,
    address,
    storedName,
  };
})();
