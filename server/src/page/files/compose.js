// Writing a post.

import { find, number, toast } from "./dom.js";
import { change, newKey } from "./session.js";
import * as home from "./home.js";

const TEXT_CHARS = 2000;
const [form, text, left, send] = ["compose", "compose-text", "compose-left", "compose-send"].map(find);

let sending = false;
let key = null; // of this text: sent again it is not posted twice
let author = null; // who writes

function paint() {
  const chars = [...text.value].length; // the API counts Unicode scalar values, as this does
  left.textContent = chars ? `${number(TEXT_CHARS - chars)} characters left` : "";
  left.classList.toggle("over", chars > TEXT_CHARS);
  send.disabled = sending || chars > TEXT_CHARS || text.value.trim() === "";
}

async function submit(event) {
  event.preventDefault();
  if (send.disabled) return;
  sending = true;
  text.readOnly = true;
  paint();
  key ??= newKey();
  try {
    const post = await change("POST", "/v1/posts", { text: text.value }, key);
    [text.value, key] = ["", null];
    home.own(post);
    toast("Posted.");
  } catch (problem) {
    toast(problem.message);
  }
  [sending, text.readOnly] = [false, false];
  paint();
  // The button was switched off meanwhile, and may have lost the keyboard.
  if (form.contains(document.activeElement) || document.activeElement === document.body) text.focus({ preventScroll: true });
}

/** Throws away what is written. */
export function clear() {
  [text.value, key] = ["", null];
  paint();
}

/** Opens it for this User, who finds what they had written when their session ended. */
export function open({ id }) {
  if (id !== author) clear();
  author = id;
}

/** Connects the page's elements. */
export function start() {
  text.addEventListener("input", () => {
    key = null;
    paint();
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.addEventListener("submit", submit);
  paint();
}
