// The timeline: pages as one scrolls, new posts behind a pill, likes, and where the engine had each entry from.

import { ago, avatar, el, find, micros, number, plural, toast } from "./dom.js";
import { change, get } from "./api.js";

/** The sources of an entry, as the operator's view of a feed names them, and what each means. */
export const SOURCES = {
  l1: "this reader's window, in this process",
  ring: "everybody's newest posts, in memory",
  shard: "this reader's window, in its shard",
  checkpoint: "this reader's window, as last saved",
  stream: "the author's own stream, merged at the read",
  store: "pulled from the database",
};

const PAGE = 20;
const NEWER = 100;

let me = null;
let generation = 0; // answers to an earlier reader or an earlier reload are dropped
let entries = []; // newest first
let known = new Map(); // post id -> entry
let pending = new Map(); // post id -> post, behind the pill
let stale = false; // what is new cannot be told post by post: the pill starts over
let next = null;
let fresh = null;
let loading = false;
let openProfile = () => {};

export const badge = (from) => el("span", { class: `badge from-${from}`, title: SOURCES[from] ?? "", text: from });

const newerThan = (a, b) => BigInt(a) > BigInt(b);

function page(limit, cursor) {
  const query = new URLSearchParams({ limit });
  if (cursor) query.set("cursor", cursor);
  return get(`/v1/operator/feed/${me.id}?${query}`);
}

function paintLike(entry) {
  const count = entry.likes + (entry.liked ? 1 : 0);
  entry.like.setAttribute("aria-pressed", String(entry.liked));
  entry.like.setAttribute("aria-label", `Like, ${plural(count, "like", "likes")}`);
  entry.like.lastChild.textContent = count ? number(count) : "";
}

/** Shows the change at once; what is wanted when an answer comes is sent next, and a refusal takes it back. */
async function toggleLike(entry) {
  entry.liked = !entry.liked;
  paintLike(entry);
  if (entry.busy) return;
  entry.busy = true;
  try {
    while (entry.liked !== entry.settled) {
      const wanted = entry.liked;
      await change(wanted ? "PUT" : "DELETE", `/v1/likes/${entry.id}`);
      entry.settled = wanted;
    }
  } catch (problem) {
    entry.liked = entry.settled;
    paintLike(entry);
    toast(`Your like was not saved. ${problem.message}`);
  } finally {
    entry.busy = false;
  }
}

function draw(post, from, liked) {
  const { author } = post;
  const entry = { id: post.id, author: author.id, from, liked, settled: liked, likes: Math.max(0, post.likes - (liked ? 1 : 0)) };
  entry.like = el("button", { class: "like", type: "button", onclick: () => toggleLike(entry) },
    el("span", { class: "heart", "aria-hidden": "true" }), el("span", { class: "like-count" }));
  entry.time = el("time", { datetime: post.created_at, title: new Date(post.created_at).toLocaleString(), text: ago(post.created_at) });
  entry.badge = badge(from);
  const show = () => openProfile(author.id);
  entry.element = el("article", { class: "post", tabindex: "0", "aria-label": `${author.name}: ${post.text.slice(0, 80)}` },
    el("button", { class: "plain", type: "button", tabindex: "-1", "aria-hidden": "true", onclick: show }, avatar(author)),
    el("div", { class: "post-body" },
      el("header", { class: "post-head" },
        el("button", { class: "plain name", type: "button", dir: "auto", onclick: show, text: author.name }),
        el("span", { class: "handle", text: `@${author.handle}` }),
        el("span", { class: "dot", "aria-hidden": "true", text: "·" }), entry.time),
      el("p", { class: "text", dir: "auto", text: post.text }),
      el("footer", { class: "post-foot" }, entry.like, entry.badge)));
  entry.element.entry = entry;
  paintLike(entry);
  return entry;
}

/** Puts a post where its id belongs; one that is there already only learns its newest source. */
function insert(post, from, liked) {
  const there = known.get(post.id);
  if (there) {
    there.from = from;
    const renewed = badge(from);
    there.badge.replaceWith(renewed);
    there.badge = renewed;
    return;
  }
  const entry = draw(post, from, liked);
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (newerThan(entries[middle].id, post.id)) low = middle + 1;
    else high = middle;
  }
  find("feed").insertBefore(entry.element, entries[low]?.element ?? null);
  entries.splice(low, 0, entry);
  known.set(post.id, entry);
  pending.delete(post.id);
}

function show(feed) {
  const liked = new Set(feed.liked);
  for (const item of feed.items) insert(item, item.from, liked.has(item.id));
  find("took").replaceChildren(el("span", { text: "page made in " }), micros(feed.took_us));
  paintMix();
}

function paintMix() {
  const counts = Object.fromEntries(Object.keys(SOURCES).map((from) => [from, 0]));
  for (const entry of entries) counts[entry.from] += 1;
  find("mix").replaceChildren(...Object.entries(counts).filter(([, count]) => count).map(([from, count]) => {
    const part = el("span", { class: `from-${from}` });
    part.style.flexGrow = count;
    return part;
  }));
  find("legend").replaceChildren(...Object.entries(SOURCES).map(([from, meaning]) =>
    el("div", {}, el("dt", {}, badge(from)), el("dd", { text: meaning }), el("dd", { class: "amount", text: number(counts[from]) }))));
}

function paintPill() {
  const pill = find("pill");
  pill.hidden = !stale && pending.size === 0;
  pill.textContent = stale ? "Show the newest posts" : plural(pending.size, "new post", "new posts");
  document.title = pending.size ? `(${pending.size}) Tributary` : "Tributary";
}

function paintEnd(problem) {
  find("feed").setAttribute("aria-busy", String(loading));
  const end = find("end");
  if (problem) {
    end.replaceChildren(el("p", { text: problem.message }), el("button", { class: "secondary", type: "button", text: "Try again", onclick: older }));
  } else if (loading || next) end.replaceChildren(el("p", { class: "wait", text: "Loading…" }));
  else if (entries.length) end.replaceChildren(el("p", { text: "That was the first post. There is nothing before it." }));
  else end.replaceChildren(el("p", { text: "Nothing here yet. Follow a few people, or write the first post." }));
}

/** Starts over at the newest post. */
export async function reload() {
  const mine = ++generation;
  loading = true;
  paintEnd();
  try {
    const feed = await page(PAGE);
    if (mine !== generation) return;
    [entries, known, pending, stale] = [[], new Map(), new Map(), false];
    find("feed").replaceChildren();
    [next, fresh] = [feed.next, feed.fresh];
    show(feed);
    loading = false;
    paintEnd();
    paintPill();
  } catch (problem) {
    if (mine !== generation) return;
    loading = false;
    paintEnd(problem);
  }
}

/** The next page down. */
async function older() {
  if (loading || !me) return;
  if (fresh === null) return reload();
  if (next === null) return;
  const mine = generation;
  loading = true;
  paintEnd();
  let failed;
  try {
    const feed = await page(PAGE, next);
    if (mine !== generation) return;
    next = feed.next;
    show(feed);
  } catch (problem) {
    if (mine !== generation) return;
    failed = problem;
  }
  loading = false;
  paintEnd(failed);
  if (!failed) observer.unobserve(find("end"));
  if (!failed) observer.observe(find("end")); // says again whether the end is near
}

const observer = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && older(), { rootMargin: "900px" });

/** What was logged since the last look, put behind the pill. */
export async function poll() {
  if (fresh === null || loading) return;
  const mine = generation;
  let feed;
  try {
    feed = await get(`/v1/feed?${new URLSearchParams({ since: fresh, limit: NEWER })}`);
  } catch (problem) {
    if (problem.status !== 400) throw problem;
    feed = { gap: true, fresh: null }; // the token is of another time
  }
  if (mine !== generation) return;
  fresh = feed.fresh;
  if (feed.gap || feed.next) stale = true;
  else for (const post of feed.items) if (!known.has(post.id)) pending.set(post.id, post);
  for (const entry of entries) entry.time.textContent = ago(entry.time.dateTime);
  paintPill();
}

/** Merges what is behind the pill. Its sources come from the operator's view; what is not there came by the ring. */
export async function reveal() {
  scrollTo({ top: 0 });
  if (stale || pending.size >= NEWER) return reload();
  const mine = generation;
  try {
    const feed = await page(Math.max(PAGE, pending.size));
    if (mine !== generation) return;
    for (const post of [...pending.values()]) insert(post, "ring", false);
    show(feed);
    paintPill();
  } catch (problem) {
    toast(problem.message);
  }
}

/** After a change of whom one sees: starts over where that disturbs nobody, else offers to. */
export function refresh() {
  if (scrollY < 200) return reload();
  stale = true;
  paintPill();
}

/** Takes an author's posts away at once, as every later page will. */
export function hide(author) {
  for (const entry of entries) if (entry.author === author) entry.element.remove();
  entries = entries.filter((entry) => entry.author !== author);
  known = new Map(entries.map((entry) => [entry.id, entry]));
  for (const [id, post] of pending) if (post.author.id === author) pending.delete(id);
  paintPill();
  paintMix();
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  const at = entries.indexOf(document.activeElement?.closest(".post")?.entry);
  const step = { j: 1, k: -1 }[event.key];
  if (step) {
    const target = entries[Math.min(Math.max(at + step, 0), entries.length - 1)]?.element;
    target?.focus({ preventScroll: true });
    target?.scrollIntoView({ block: "nearest" });
  } else if (event.key === "l" && at >= 0) toggleLike(entries[at]);
  else if (event.key === "." && !find("pill").hidden) reveal();
}

/** Opens this user's timeline. */
export function open(user) {
  me = user;
  [entries, known, pending, stale, next, fresh] = [[], new Map(), new Map(), false, null, null];
  find("feed").replaceChildren();
  paintPill();
  scrollTo({ top: 0 });
  return reload();
}

/** Connects the page's elements; `profile` opens a user's card by id. */
export function start(profile) {
  openProfile = profile;
  find("pill").addEventListener("click", reveal);
  document.addEventListener("keydown", keys);
  observer.observe(find("end"));
  paintMix();
}
