// A session that was lost on the way: signing in again without leaving the page.

import { $, _, address, pageData, parse } from "./dom.js";
import { Refused, send, Unreachable } from "./send.js";

const LINK = /\/sign-in\/link\/[\w-]+$/;

export function showDialog(content) {
  $("#dialog-body").replaceChildren(content);
  if (!$("#dialog").open) $("#dialog").showModal();
}

/** Ask for signing in again; `error` is the server's refusal. */
export function signedOut(error) {
  const wanted = error.isClosedAccount ? "account-closed" : "signed-out";
  // Somebody may be typing in it already.
  if ($(`#dialog[open] [data-send-again="${wanted}"]`)) return;
  showDialog($(`#${wanted}`).content.cloneNode(true));
}

/** What was sent is answered again: nobody needs to sign in. */
export function signedIn() {
  if ($("#dialog[open] [data-send-again]")) $("#dialog").close();
}

/** Sign in with this form of the dialog, then `goOn` with what waits. */
export async function signInHere(form, goOn) {
  const button = $("button", form);
  button.disabled = true;
  const isBack = await signInAgain(form);
  button.disabled = false;
  if (!isBack) return;
  signedIn();
  $("#question").focus({ preventScroll: true });
  goOn();
}

/** Sign in with what the form holds. True when this page's person is signed in again. */
async function signInAgain(form) {
  const error = $("#dialog-error");
  error.textContent = "";
  try {
    const goal = addressOf(form);
    if (!goal) {
      error.textContent = _(
        "That is no sign-in link. It ends in /sign-in/link/ and a long word.",
      );
      return false;
    }
    await send(goal, new URLSearchParams(new FormData(form)));
    if (await isSamePerson()) return true;
    location.reload(); // what waits is kept for the person who clicked it
  } catch (problem) {
    if (problem instanceof Unreachable) error.textContent = _("The server cannot be reached. Try again.");
    else if (problem instanceof Refused) error.textContent = reason(problem);
    else throw problem;
  }
  return false;
}

/** Where the form is sent: a one-time link is its own address. */
function addressOf(form) {
  if (form.id !== "link-again") return form.getAttribute("action");
  const found = LINK.exec(form.elements.link.value.trim());
  return found ? address(found[0]) : null;
}

async function isSamePerson() {
  const { html } = await send(address("/account"), undefined, { method: "GET", carries: ".user-name" });
  return $(".user-name", parse(html)).textContent.trim() === pageData().userName;
}

function reason(problem) {
  return $("#sign-in-error", parse(problem.html))?.textContent.trim() || problem.sentence;
}
