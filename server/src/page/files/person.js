// Somebody's own view: who they are, their posts, their followers, whom they follow. And whom one has muted or blocked.

import { avatar, el, find, toast } from "./dom.js";
import { change, get, user } from "./session.js";
import { endless } from "./endless.js";
import { blocksKnown, has, relationButton } from "./relations.js";
import { counts, row } from "./people.js";
import * as operator from "./operator.js";
import * as posts from "./posts.js";

const list = find("person-list");
const people = find("person-people");
let shown = null; // { person, list, pages }
let hidden = []; // the pages of whom one has muted and blocked

/** Pages of what is at a path. */
const pager = (path) => (cursor) => get(`${path}?${new URLSearchParams(cursor ? { limit: 20, cursor } : { limit: 20 })}`);

const LISTS = {
  posts: {
    title: "Posts", empty: "No posts yet.", over: "That was their first post.",
    show: (page) => page.items.forEach((post) => posts.put(list, post)),
  },
  followers: { title: "Followers", empty: "Nobody yet.", over: "That is everybody.", show: (page) => rows(page) },
  following: { title: "Following", empty: "Nobody yet.", over: "That is everybody.", show: (page) => rows(page) },
};

const rows = (page) => people.append(...page.items.map((person) => row(person, "follows")));

function pinChoice(author) {
  const choices = [["", "by its followers"], ["push", "always push"], ["pull", "always pull"]];
  const channel = el("b", { text: author.channel });
  const save = async () => {
    try {
      const now = await change("PUT", `/v1/operator/authors/${author.id}`, { pin: select.value || null });
      [author.pin, channel.textContent] = [now.pin, now.channel];
    } catch (problem) {
      select.value = author.pin ?? "";
      toast(problem.message);
    }
  };
  let saved = Promise.resolve(); // one after the other, and the last choice stays
  const select = el("select", { onchange: () => (saved = saved.then(save)) }, ...choices.map(([value, text]) => el("option", { value, text })));
  select.value = author.pin ?? "";
  return el("label", { class: "pin" }, el("span", {}, "Next post goes by ", channel), select);
}

function paint(person, author) {
  const head = find("person-head");
  const me = person.id === user().id;
  const kinds = me ? [] : ["follows", "mutes", "blocks"];
  find("person-title").textContent = person.name;
  head.replaceChildren(avatar(person, "large"),
    el("div", { class: "who" }, el("p", { class: "handle", text: `@${person.handle}` }), counts(person),
      el("p", { class: "counts", text: `Here since ${new Date(person.created_at).toLocaleDateString("en", { dateStyle: "long" })}` })),
    el("div", { class: "actions" }, ...kinds.map((kind) => relationButton(kind, person)),
      me ? el("a", { href: "#/hidden", text: "Muted and blocked" }) : null));
  if (author) head.append(pinChoice(author));
  const tab = (name) => el("a", { href: `#/@${person.handle}${name === "posts" ? "" : `/${name}`}`, "aria-current": shown.list === name ? "page" : undefined, text: LISTS[name].title });
  find("person-tabs").replaceChildren(...Object.keys(LISTS).map(tab));
}

/** Shows one of somebody's lists. Throws where there is nobody of this handle. */
export async function open(handle, name = "posts") {
  close();
  const mine = (shown = { list: name });
  const [person] = await Promise.all([get(`/v1/users?${new URLSearchParams({ handle })}`), blocksKnown()]);
  const author = operator.isOn() ? await get(`/v1/operator/authors/${person.id}`).catch(() => null) : null;
  if (mine !== shown) return;
  shown.person = person;
  paint(person, author);
  begin();
}

function begin() {
  const { person, list: name } = shown;
  const { show, over } = LISTS[name];
  const blocked = has("blocks", person.id);
  const empty = blocked ? "Hidden by your block." : LISTS[name].empty;
  const load = blocked && name === "posts" ? async () => ({ items: [], next: null }) : pager(`/v1/users/${person.id}/${name}`);
  [list.hidden, people.hidden] = [name !== "posts", name === "posts"];
  shown.pages = endless({ list: name === "posts" ? list : people, end: find("person-end"), load, show, empty, over });
  shown.pages.restart();
}

/** A block hides somebody's posts, its end shows them; counts have changed with a follow. */
export async function relationChanged({ kind, person }) {
  if (shown?.person?.id !== person.id) return;
  const mine = shown;
  if (kind === "blocks" && shown.list === "posts") {
    shown.pages.stop();
    begin();
  }
  if (kind === "mutes") return;
  const now = await get(`/v1/users/${person.id}`).catch(() => null);
  if (now && mine === shown) find("person-head").querySelector(".counts").replaceWith(counts(now));
}

/** Leaves the views empty. */
export function close() {
  shown?.pages?.stop();
  shown = null;
  hidden.forEach((pages) => pages.stop());
  hidden = [];
  find("person-title").textContent = "";
  for (const part of ["person-head", "person-tabs"]) find(part).replaceChildren();
}

/** Shows whom one has muted and blocked. */
export function openHidden() {
  hidden = ["mutes", "blocks"].map((kind) => {
    const place = find(`${kind}-list`);
    const show = (page) => place.append(...page.items.map((person) => row(person, kind)));
    return endless({ list: place, end: find(`${kind}-end`), load: pager(`/v1/${kind}`), show, empty: "Nobody.", over: "" });
  });
  hidden.forEach((pages) => pages.restart());
}
