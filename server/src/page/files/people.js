// People beside the timeline: oneself, whom one looks for, and whom one may want to follow.

import { avatar, el, find, number, toast } from "./dom.js";
import { get, user } from "./session.js";
import { has, relationButton } from "./relations.js";

const SUGGESTIONS = 8;

/** A person's card, as a row of a list. */
export function row(person, ...kinds) {
  const buttons = person.id === user()?.id ? [] : kinds.map((kind) => relationButton(kind, person));
  return el("li", { "data-person": person.id },
    el("a", { class: "person", href: `#/@${person.handle}` }, avatar(person),
      el("span", { class: "who" },
        el("span", { class: "name", dir: "auto", text: person.name }), el("span", { class: "handle", text: `@${person.handle}` }))),
    ...buttons);
}

/** How many follow somebody and whom they follow, as links to who that is. */
export function counts(person) {
  const link = (list, count, words) => el("a", { href: `#/@${person.handle}/${list}` }, el("b", { text: number(count) }), ` ${words}`);
  return el("p", { class: "counts" },
    link("followers", person.followers, person.followers === 1 ? "follower" : "followers"),
    el("span", { class: "dot", "aria-hidden": "true", text: " · " }), link("following", person.following, "following"));
}

/** Shows this User as oneself, or nobody, and suggests nobody. */
export function open(user) {
  suggest([]);
  if (user) paintMe(user);
  else find("me").replaceChildren();
}

/** Shows who one is, with counts of now. */
export async function showMe() {
  const me = await get("/v1/me").catch(() => null);
  if (me && me.id === user()?.id) paintMe(me);
}

function paintMe(me) {
  find("me").replaceChildren(avatar(me, "large"), el("div", { class: "who" },
    el("a", { class: "name", href: `#/@${me.handle}`, dir: "auto", text: me.name }), el("p", { class: "handle", text: `@${me.handle}` }), counts(me)));
}

/** Offers the authors of these posts, whom one does not follow yet. */
export function suggest(posts) {
  const authors = new Map(posts.map(({ author }) => [author.id, author]));
  const others = [...authors.values()].filter(({ id }) => id !== user()?.id && !has("follows", id) && !has("mutes", id));
  find("suggestions").replaceChildren(...others.slice(0, SUGGESTIONS).map((person) => row(person, "follows")));
  find("suggested").hidden = others.length === 0;
}

/** Connects the page's elements. */
export function start() {
  find("find").addEventListener("submit", (event) => {
    event.preventDefault();
    const handle = find("find-handle").value.trim().replace(/^@/, "").toLowerCase();
    if (!/^[a-z0-9_]{1,30}$/.test(handle)) return toast("A handle is 1 to 30 of the letters a to z, digits and _.");
    find("find-handle").value = "";
    location.hash = `#/@${handle}`;
  });
}
