// What is liked most of late: for guests too, and where those who are new find somebody to follow.

import { find } from "./dom.js";
import { get, user } from "./session.js";
import { send } from "./http.js";
import { endless } from "./endless.js";
import { suggest } from "./people.js";
import { known } from "./relations.js";
import * as posts from "./posts.js";

const list = find("popular-list");
let pages = null;

async function load(cursor) {
  const path = `/v1/popular?${new URLSearchParams(cursor ? { limit: 20, cursor } : { limit: 20 })}`;
  return user() ? get(path) : (await send("GET", path)).document;
}

/** Whom one follows is known before anybody is suggested. */
async function offer(items) {
  const mine = pages;
  await known();
  if (mine === pages) suggest(items);
}

function show(page, first) {
  for (const post of page.items) posts.put(list, post);
  if (first && user()) offer(page.items);
}

/** Leaves the list empty. */
export function close() {
  pages?.stop();
  pages = null;
}

/** Shows the ranking of now. */
export function open() {
  close();
  pages = endless({ list, end: find("popular-end"), load, show, empty: "Nothing is popular yet.", over: "That is everything that was liked of late." });
  return pages.restart();
}
