// The keyboard: single keys between posts, and the dialog that tells them. They can be switched off, for those whose
// software types what they say.

import { find } from "./dom.js";
import * as home from "./home.js";
import { toggleLike } from "./posts.js";
import { store, stored } from "./stored.js";

const OFF = "tributary.keys-off";
const on = find("keys-on");

/** The posts that can be seen, in their order. */
const visible = () => [...document.querySelectorAll("main section:not([hidden]) .post")];

/** The first of these that begins below the head of the page; that is where one is reading. */
function inSight(all) {
  const { bottom } = document.querySelector(".top").getBoundingClientRect();
  return all.find((post) => post.getBoundingClientRect().top >= bottom) ?? all.at(-1);
}

function move(step) {
  const all = visible();
  const at = all.indexOf(document.activeElement?.closest(".post"));
  const target = at < 0 ? inSight(all) : all[Math.min(Math.max(at + step, 0), all.length - 1)];
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
  if (event.ctrlKey || event.metaKey || event.altKey || !on.checked) return;
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
  const read = () => (on.checked = !stored("localStorage", OFF));
  read();
  addEventListener("storage", read); // another tab has switched them
  on.addEventListener("change", () => store("localStorage", OFF, on.checked ? undefined : 1));
}
