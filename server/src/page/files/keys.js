// The keyboard: single keys between posts, and the dialog that tells them. They can be switched off, for those whose
// software types what they say.

import { find } from "./dom.js";
import * as home from "./home.js";
import { toggleLike } from "./posts.js";

const OFF = "tributary.keys-off";

/** The posts that can be seen, in their order. */
const visible = () => [...document.querySelectorAll("main section:not([hidden]) .post")];

function move(step) {
  const all = visible();
  const at = all.indexOf(document.activeElement?.closest(".post"));
  const target = all[Math.min(Math.max(at + step, 0), all.length - 1)];
  target?.focus({ preventScroll: true });
  target?.scrollIntoView({ block: "nearest" });
}

const KEYS = {
  j: () => move(1),
  k: () => move(-1),
  l: (post) => post?.querySelector(".like") && toggleLike(post.dataset.post),
  a: (post) => post?.querySelector(".name").click(),
  n: () => home.hasNews() && document.body.dataset.view === "home" && home.reveal(),
  p: () => find("compose-text").focus(), // does nothing while it is hidden
  "?": () => find("help").showModal(),
};
/** Arrows move where a post has the focus, and scroll elsewhere. */
const ARROWS = { ArrowDown: "j", ArrowUp: "k" };

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || localStorage.getItem(OFF)) return;
  if (event.target.closest("input, textarea, select, dialog")) return;
  const post = event.target.closest(".post");
  const act = KEYS[post === event.target ? ARROWS[event.key] ?? event.key : event.key];
  if (!act) return;
  event.preventDefault();
  act(post);
}

/** Connects the page's elements. */
export function start() {
  document.addEventListener("keydown", pressed);
  find("show-help").addEventListener("click", () => find("help").showModal());
  const on = find("keys-on");
  on.checked = !localStorage.getItem(OFF);
  on.addEventListener("change", () => (on.checked ? localStorage.removeItem(OFF) : localStorage.setItem(OFF, "1")));
}
