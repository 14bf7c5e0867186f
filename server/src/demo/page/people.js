// People: whom one may follow, a card about somebody, and following, muting and blocking from there.

import { ago, avatar, el, find, number, toast } from "./dom.js";
import { change, get } from "./api.js";
import * as timeline from "./timeline.js";

/** The cast of the demo, by falling audience at the start. */
export const CAST = [
  "night_sky", "harbour_news", "ines_bakes", "slow_trains", "kofi_codes", "wren_watch", "yuki_plays", "open_gambit",
  "paper_boats", "allotment_9", "tidal_tom", "crumb_lab", "branch_line", "moss_and_fern", "second_reader", "low_orbit",
];

/** Pages of a relation read at the start: enough for the demo, bounded for everybody else. */
const RELATION_PAGES = 10;

let me = null;
let cast = [];
const relations = { follows: new Set(), mutes: new Set(), blocks: new Set() };

async function relation(path) {
  const ids = new Set();
  let cursor = null;
  for (let page = 0; page < RELATION_PAGES && (page === 0 || cursor); page += 1) {
    const query = new URLSearchParams({ limit: 100 });
    if (cursor) query.set("cursor", cursor);
    const { items, next } = await get(`${path}?${query}`);
    for (const user of items) ids.add(user.id);
    cursor = next;
  }
  return ids;
}

/** The cast, looked up once; somebody who has blocked the reader is as good as absent. */
async function lookUpCast() {
  const users = await Promise.all(CAST.map((handle) => get(`/v1/users?${new URLSearchParams({ handle })}`).catch(() => null)));
  return users.filter((user) => user !== null);
}

/** Sets or ends a relation; what the reader sees changes with the answer. */
async function set(kind, user, on) {
  try {
    await change(on ? "PUT" : "DELETE", `/v1/${kind}/${user.id}`);
  } catch (problem) {
    toast(problem.message);
    return;
  }
  relations[kind][on ? "add" : "delete"](user.id);
  if (kind === "blocks" && on) relations.follows.delete(user.id);
  const shown = kind === "follows" ? on : !on;
  if (shown) timeline.refresh();
  else timeline.hide(user.id);
  if (kind !== "mutes") await refreshMe();
  paintSuggestions();
}

async function refreshMe() {
  me = await get("/v1/me").catch(() => me);
  paintMe();
}

function toggle(kind, user, labels, done) {
  const on = relations[kind].has(user.id);
  let busy = false; // not `disabled`, which would take the focus away
  const main = kind === "follows" && !on;
  return el("button", {
    class: main ? "primary small" : "secondary small",
    type: "button",
    "data-kind": kind,
    title: `${labels[on ? 1 : 0]} ${user.name}`,
    text: labels[on ? 1 : 0],
    onclick: async () => {
      if (busy) return;
      busy = true;
      await set(kind, user, !on);
      busy = false;
      done();
    },
  });
}

const counts = (user) => el("p", { class: "counts" },
  el("b", { text: number(user.followers) }), " followers", el("span", { class: "dot", text: " · " }),
  el("b", { text: number(user.following) }), " following");

function paintMe() {
  find("me").replaceChildren(avatar(me, "large"), el("div", { class: "who" },
    el("p", { class: "name", dir: "auto", text: me.name }), el("p", { class: "handle", text: `@${me.handle}` }), counts(me)));
}

function paintSuggestions() {
  const focused = document.activeElement?.closest("#suggestions li")?.dataset.id;
  const others = cast.filter((user) => user.id !== me.id && !relations.blocks.has(user.id));
  find("suggestions").replaceChildren(...others.map((user) => el("li", { "data-id": user.id },
    el("button", { class: "plain person", type: "button", onclick: () => profile(user.id) }, avatar(user),
      el("span", { class: "who" }, el("span", { class: "name", dir: "auto", text: user.name }), el("span", { class: "handle", text: `@${user.handle}` }))),
    toggle("follows", user, ["Follow", "Unfollow"], () => {}))));
  if (focused) find("suggestions").querySelector(`li[data-id="${CSS.escape(focused)}"] .small`)?.focus();
}

function pinChoice(author) {
  const choices = [["", "by its followers"], ["push", "always push"], ["pull", "always pull"]];
  const select = el("select", {
    onchange: async () => {
      try {
        const now = await change("PUT", `/v1/operator/authors/${author.id}`, { pin: select.value || null });
        channel.textContent = now.channel;
      } catch (problem) {
        select.value = author.pin ?? "";
        toast(problem.message);
      }
    },
  }, ...choices.map(([value, text]) => el("option", { value, text })));
  select.value = author.pin ?? "";
  const channel = el("b", { text: author.channel });
  return el("label", { class: "pin" }, el("span", {}, "Next post goes by ", channel), select);
}

/** Opens the card of a user. */
export async function profile(id) {
  const dialog = find("profile");
  let user, author, posts;
  try {
    [user, author, posts] = await Promise.all([
      get(`/v1/users/${id}`),
      get(`/v1/operator/authors/${id}`).catch(() => null),
      // A blocked author's posts are hidden from the reader too.
      get(`/v1/users/${id}/posts?limit=4`).catch(() => ({ items: [] })),
    ]);
  } catch (problem) {
    toast(problem.message);
    return;
  }
  const again = () => dialog.open && profile(id);
  const blocked = relations.blocks.has(id);
  const actions = id === me.id ? null : el("div", { class: "actions" },
    blocked ? null : toggle("follows", user, ["Follow", "Unfollow"], again),
    blocked ? null : toggle("mutes", user, ["Mute", "Unmute"], again),
    toggle("blocks", user, ["Block", "Unblock"], again));
  const focused = dialog.open && document.activeElement?.dataset.kind;
  dialog.replaceChildren(
    el("header", { class: "profile-head" }, avatar(user, "large"),
      el("div", { class: "who" }, el("h2", { id: "profile-name", dir: "auto", text: user.name }), el("p", { class: "handle", text: `@${user.handle}` })),
      el("button", { class: "plain close", type: "button", "aria-label": "Close", text: "×", onclick: () => dialog.close() })),
    counts(user), actions ?? "", author ? pinChoice(author) : "",
    el("h3", { text: "Latest posts" }),
    posts.items.length
      ? el("ul", { class: "latest" }, ...posts.items.map((post) => el("li", {},
        el("p", { class: "text", dir: "auto", text: post.text }), el("time", { datetime: post.created_at, text: ago(post.created_at) }))))
      : el("p", { class: "explain", text: blocked ? "Hidden by your block." : "None yet." }));
  if (!dialog.open) dialog.showModal();
  else if (focused) dialog.querySelector(`[data-kind="${focused}"]`)?.focus();
}

/** Shows the people around this user, and returns the cast for whoever else needs it. */
export async function open(user) {
  me = user;
  paintMe();
  const [found, follows, mutes, blocks] = await Promise.all([
    cast.length ? cast : lookUpCast(), relation(`/v1/users/${me.id}/following`), relation("/v1/mutes"), relation("/v1/blocks"),
  ]);
  if (me !== user) return cast;
  // Those to discover first; the order then stays, so that nothing moves under the pointer.
  cast = found.sort((a, b) => follows.has(a.id) - follows.has(b.id));
  Object.assign(relations, { follows, mutes, blocks });
  paintSuggestions();
  return cast;
}

/** Connects the page's elements. */
export function start() {
  const dialog = find("profile");
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}
