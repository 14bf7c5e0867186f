// Posts as one sees them in every list: drawn, liked, removed.

import { ago, avatar, ask, el, find, number, plural, toast } from "./dom.js";
import { change, user } from "./session.js";

/** The sources of an entry, as the operators' view of a feed names them, and what each means. */
export const SOURCES = {
  l1: "this reader's window, in this process",
  ring: "everybody's newest posts, in memory",
  shard: "this reader's window, in its shard",
  checkpoint: "this reader's window, as last saved",
  stream: "the author's own stream, merged at the read",
  store: "pulled from the database",
};

/** Whether the post with the one id is newer than that with the other: ids are decimal, larger is newer. */
export const newer = (a, b) => (a.length === b.length ? a > b : a.length > b.length);

/** The lists of the page that hold posts. A post may be in several. */
const LISTS = ["home-list", "popular-list", "person-list"];

// post id -> { others, liked, settled, busy }: likes of others, what is shown, and what the server has acknowledged.
const likes = new Map();

const idIn = (list, id) => `${list}-${id}`;

/** The elements that show this post. */
const shown = (id) => LISTS.map((list) => find(idIn(list, id))).filter((element) => element !== null);

/** Whether this list has the post. */
export const holds = (list, id) => find(idIn(list.id, id)) !== null;

/** Forgets whose likes these were. */
export const forget = () => likes.clear();

/** The newest count wins, but for a like on its way. `liked` is undefined where the page of posts does not tell. */
function learn(post, liked) {
  const known = likes.get(post.id) ?? { liked: false, settled: false, busy: false };
  if (!known.busy) {
    if (liked !== undefined) known.liked = known.settled = liked;
    known.others = Math.max(0, post.likes - (known.liked ? 1 : 0));
  }
  likes.set(post.id, known);
}

function paintLike(id) {
  const like = likes.get(id);
  if (!like) return; // it was taken away meanwhile
  const { others, liked } = like;
  const count = others + (liked ? 1 : 0);
  for (const button of shown(id).map((element) => element.querySelector(".like"))) {
    button.setAttribute("aria-pressed", String(liked));
    button.setAttribute("aria-label", `Like, ${plural(count, "like", "likes")}`);
    button.lastChild.textContent = count ? number(count) : "";
  }
}

/** Shows the change at once; what is wanted when an answer comes is sent next, and a refusal takes it back. */
export async function toggleLike(id) {
  const like = likes.get(id);
  like.liked = !like.liked;
  paintLike(id);
  if (like.busy) return;
  like.busy = true;
  try {
    while (like.liked !== like.settled) {
      const wanted = like.liked;
      await change(wanted ? "PUT" : "DELETE", `/v1/likes/${id}`);
      like.settled = wanted;
    }
  } catch (problem) {
    like.liked = like.settled;
    paintLike(id);
    toast(`Your like was not saved. ${problem.message}`);
    if (problem.status === 404) remove(id);
  } finally {
    like.busy = false;
  }
}

/** Where the keyboard goes when this element leaves: to the next post, the one before, or the list's heading. */
function neighbour(element) {
  return element.nextElementSibling ?? element.previousElementSibling ?? element.closest("section").querySelector("h2");
}

function drop(element) {
  const next = element.contains(document.activeElement) ? neighbour(element) : null;
  element.remove();
  next?.focus({ preventScroll: true });
}

/** Takes a post away, wherever it is shown. */
export function remove(id) {
  shown(id).forEach(drop);
  likes.delete(id);
}

/** Takes an author's posts out of a list, as every later page will. */
export function removeAuthor(list, author) {
  list.querySelectorAll(`:scope > [data-author="${CSS.escape(author)}"]`).forEach(drop);
}

/** Asks first; then removes one's own post. */
export async function confirmRemoval(id) {
  if (!(await ask("Delete this post?", "It leaves every timeline at once, for good.", "Delete"))) return;
  try {
    await change("DELETE", `/v1/posts/${id}`);
  } catch (problem) {
    if (problem.status !== 404) return toast(problem.message);
  }
  remove(id);
  toast("The post is deleted.");
}

export const badge = (from) => el("span", { class: `badge from-${from}`, title: SOURCES[from], text: from });

function likeButton(id) {
  return el("button", { class: "like", type: "button", onclick: () => toggleLike(id) },
    el("span", { class: "heart", "aria-hidden": "true" }), el("span"));
}

/** Puts a post into a list, before another element or at the end. `from`: its source, where operators are told. */
export function put(list, post, { before = null, liked, from } = {}) {
  const { id, author } = post;
  const me = user();
  const page = `#/@${author.handle}`;
  const label = idIn(list.id, `by-${id}`);
  const time = el("time", { datetime: post.created_at, title: new Date(post.created_at).toLocaleString(), text: ago(post.created_at) });
  const foot = el("footer", { class: "post-foot" },
    me ? likeButton(id) : el("span", { class: "explain", text: post.likes ? plural(post.likes, "like", "likes") : "" }),
    me?.id === author.id ? el("button", { class: "quiet", type: "button", text: "Delete", onclick: () => confirmRemoval(id) }) : null,
    from ? badge(from) : null);
  const element = el("article", {
    class: "post", id: idIn(list.id, id), tabindex: "0", "data-post": id, "data-author": author.id, "data-from": from, "aria-labelledby": `${label} ${label}-text`,
  },
    el("a", { href: page, tabindex: "-1", "aria-hidden": "true" }, avatar(author)),
    el("div", { class: "post-body" },
      el("header", { class: "post-head", id: label },
        el("a", { class: "name", href: page, dir: "auto", text: author.name }),
        el("span", { class: "handle", text: `@${author.handle}` }),
        el("span", { class: "dot", "aria-hidden": "true", text: "·" }), time),
      el("p", { class: "text", id: `${label}-text`, dir: "auto", text: post.text }),
      foot));
  list.insertBefore(element, before);
  if (me) {
    learn(post, liked);
    paintLike(id);
  }
}

/** Says again how long ago everything was. */
export function tick() {
  for (const time of document.querySelectorAll(".post time")) time.textContent = ago(time.dateTime);
}
