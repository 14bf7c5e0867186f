// The home timeline: pages as one scrolls, what comes in behind a bar, so that nothing moves under the reader.

import { find, number, plural, toast } from "./dom.js";
import { get, stream, user } from "./session.js";
import { endless } from "./endless.js";
import { follower } from "./live.js";
import * as operator from "./operator.js";
import * as posts from "./posts.js";

const PAGE = 20;
/** Posts behind the bar at the most; with more, showing them starts over. */
const PENDING = 200;
/** A page that nobody looks at any more gives its connection back after a while: browsers have six for a server. */
const HIDDEN_MS = 30_000;

const list = find("home-list");
const bar = find("bar");
const pending = new Map(); // post id -> post, behind the bar
let stale = false; // what is new cannot be told post by post: the bar starts over
let pages = null;

const live = follower({
  open: async (last, signal) =>
    (await stream("/v1/feed/live", { signal, headers: { accept: "text/event-stream", "last-event-id": last } })).body,
  told: { post: arrive, removed: leave, gap },
});

/** Operators see where the engine had each entry from. */
function load(cursor) {
  const path = operator.isOn() ? `/v1/operator/feed/${user().id}` : "/v1/feed";
  const query = new URLSearchParams({ limit: PAGE });
  if (cursor) query.set("cursor", cursor);
  return get(`${path}?${query}`);
}

/** Puts a post where its id belongs. */
function insert(post, liked, from) {
  pending.delete(post.id);
  if (posts.holds(list, post.id)) return;
  let before = null;
  if (list.lastElementChild && posts.newer(post.id, list.lastElementChild.dataset.post)) {
    before = list.firstElementChild;
    while (posts.newer(before.dataset.post, post.id)) before = before.nextElementSibling;
  }
  posts.put(list, post, { before, liked, from });
}

function show(feed, first) {
  const liked = new Set(feed.liked);
  for (const post of feed.items) insert(post, liked.has(post.id), post.from);
  if (first) {
    stale = false;
    pending.clear();
    paintBar();
    live.start(feed.fresh);
    if (document.hidden) live.stop(); // until the page is seen
  }
  if (operator.isOn()) operator.showPage(list, feed);
}

/** Shows how much is behind the bar, in the title too. */
export function paintBar() {
  const words = stale ? "Show the newest posts" : plural(pending.size, "new post", "new posts");
  bar.hidden = !stale && pending.size === 0;
  if (bar.textContent !== words) bar.textContent = words;
  const count = stale || pending.size === 0 ? "" : `(${number(pending.size)}) `;
  document.title = document.title.replace(/^(\([\d,]+\) )?/, count);
}

function gap() {
  stale = true;
  pending.clear();
  paintBar();
}

function arrive(post) {
  if (stale || posts.holds(list, post.id)) return;
  if (post.author.id === user()?.id) return own(post);
  pending.set(post.id, post);
  if (pending.size > PENDING) return gap();
  paintBar();
}

function leave(id) {
  pending.delete(id);
  posts.remove(id);
  paintBar();
  pages?.paint();
}

/** Shows one's own new post at once. */
export function own(post) {
  if (post.author.id !== user()?.id) return; // who wrote it has left meanwhile
  insert(post, undefined, operator.isOn() ? "ring" : undefined);
  paintBar();
  pages?.paint();
}

/** Shows what is behind the bar, from the top, and takes the keyboard there. */
export async function reveal() {
  if (stale) {
    const done = await pages.restart();
    if (done === false) toast("The newest posts could not be loaded. Try again.");
    if (!done) return;
  } else {
    for (const post of [...pending.values()]) insert(post, undefined, operator.isOn() ? "ring" : undefined);
    if (operator.isOn()) operator.showMix(list);
    paintBar();
  }
  scrollTo(0, 0);
  list.firstElementChild?.focus({ preventScroll: true });
}

/** Whether there is something behind the bar. */
export const hasNews = () => !bar.hidden;

/** Whom one sees has changed: somebody's posts leave at once; those that come are offered, where one is reading. */
export function relationChanged({ kind, person, on }) {
  if (pages === null) return;
  if (on !== (kind === "follows")) {
    posts.removeAuthor(list, person.id);
    for (const [id, post] of pending) if (post.author.id === person.id) pending.delete(id);
    paintBar();
    pages.paint();
  } else if (place() < 200) pages.restart();
  else gap();
}

/** How far down the reader is, or was when another view was opened. */
function place() {
  const section = list.closest("section");
  return section.hidden ? Number(section.dataset.place ?? 0) : scrollY;
}

/** Opens the reader's timeline. */
export function open() {
  close();
  const empty = "Nothing here yet. Follow a few people, or write the first post.";
  pages = endless({ list, end: find("home-end"), load, show, empty, over: "That was the first post. There is nothing before it." });
  return pages.restart();
}

/** Closes it: nobody is signed in any more. */
export function close() {
  live.end();
  pages?.stop();
  pages = null;
  stale = false;
  pending.clear();
  paintBar();
}

/** Connects the page's elements. */
export function start() {
  bar.addEventListener("click", reveal);
  let timer;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(live.stop, HIDDEN_MS);
    else if (!live.isRunning()) live.wake();
  });
  addEventListener("online", () => document.hidden || live.wake());
}
