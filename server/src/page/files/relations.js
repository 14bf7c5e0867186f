// Whom the reader follows, mutes and blocks, and the buttons that change it.

import { el, toast } from "./dom.js";
import { pause } from "./http.js";
import { change, get } from "./session.js";

/** Pages of a relation that are read: as many as the usual limit of follows has. A change is right without them. */
const PAGES = 100;
/** Between two of them, so that the reader's rate is left to the timeline. */
const PACE_MS = 100;

const WORDS = { follows: ["Follow", "Unfollow"], mutes: ["Mute", "Unmute"], blocks: ["Block", "Unblock"] };

const relations = { follows: new Set(), mutes: new Set(), blocks: new Set() };
let generation = 0; // lists of an earlier reader are dropped
let blocksRead = Promise.resolve();
let allRead = Promise.resolve();

/** Tells `change`, with `detail` { kind, person, on }. */
export const events = new EventTarget();

/** Whether the reader has this relation to a user. */
export const has = (kind, id) => relations[kind].has(id);

async function read(kind, path, mine) {
  let cursor = null;
  for (let page = 0; page < PAGES && (page === 0 || cursor); page += 1) {
    const query = new URLSearchParams({ limit: 100 });
    if (cursor) {
      query.set("cursor", cursor);
      await pause(PACE_MS);
    }
    const { items, next } = await get(`${path}?${query}`);
    if (mine !== generation) return;
    for (const person of items) relations[kind].add(person.id);
    paint();
    cursor = next;
  }
}

/** Reads the relations of this user, page by page. */
export async function open(user) {
  close();
  const mine = generation;
  const blocks = read("blocks", "/v1/blocks", mine);
  const all = Promise.all([blocks, read("mutes", "/v1/mutes", mine), read("follows", `/v1/users/${user.id}/following`, mine)]);
  [blocksRead, allRead] = [blocks, all].map((reading) => reading.catch(() => {})); // whoever called is told
  await all;
}

/** Waits until it is known whom the reader blocks. */
export const blocksKnown = () => blocksRead;

/** Waits until all is known, or as much as can be. */
export const known = () => allRead;

/** Forgets everything. */
export function close() {
  generation += 1;
  for (const ids of Object.values(relations)) ids.clear();
}

/** Sets or ends a relation. Whether it was done. */
async function set(kind, person, on) {
  try {
    await change(on ? "PUT" : "DELETE", `/v1/${kind}/${person.id}`);
  } catch (problem) {
    toast(problem.message);
    return false;
  }
  relations[kind][on ? "add" : "delete"](person.id);
  if (kind === "blocks" && on) relations.follows.delete(person.id); // a block ends both follows
  paint();
  events.dispatchEvent(new CustomEvent("change", { detail: { kind, person, on } }));
  return true;
}

async function press(button, kind, person) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true"); // not `disabled`, which would take the focus away
  const on = !has(kind, person.id);
  const done = await set(kind, person, on);
  button.removeAttribute("aria-disabled");
  if (!done || kind === "follows") return;
  const words = { mutes: ["You see their posts again:", "Muted"], blocks: ["No longer blocked:", "Blocked, and neither follows the other:"] };
  toast(`${words[kind][on ? 1 : 0]} @${person.handle}`, on ? { text: "Undo", run: () => set(kind, person, false) } : undefined);
}

function paintButton(button) {
  const { kind, person, handle } = button.dataset;
  const on = has(kind, person);
  button.textContent = WORDS[kind][on ? 1 : 0];
  button.setAttribute("aria-label", `${button.textContent} @${handle}`);
  button.className = kind === "follows" && !on ? "primary small" : "secondary small";
  button.hidden = kind === "follows" && has("blocks", person); // which would be refused
}

function paint() {
  document.querySelectorAll("button[data-kind]").forEach(paintButton);
}

/** A button that sets or ends a relation to somebody. */
export function relationButton(kind, person) {
  const button = el("button", { type: "button", "data-kind": kind, "data-person": person.id, "data-handle": person.handle });
  button.addEventListener("click", () => press(button, kind, person));
  paintButton(button);
  return button;
}
