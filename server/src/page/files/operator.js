// The operator's side: the engine's figures, the thresholds, which authors are hot because of them, and where the
// entries of the reader's timeline come from.

import { bytes, el, find, micros, number, toast } from "./dom.js";
import { get, request, user } from "./session.js";
import { SOURCES, badge } from "./posts.js";

const SLIDER_FOLLOWERS = 300; // a larger setting widens the slider
const SLIDERS = [
  ["enter_followers", "Hot from", "followers", SLIDER_FOLLOWERS, 1],
  ["leave_followers", "Cools below", "followers", SLIDER_FOLLOWERS, 0],
  ["flush_max_age_ms", "Compact after", "s", 60, 0],
];
/** Authors under watch at the most: those whom the reader sees first. */
const WATCHED = 16;
const STATUS_MS = 2000;
const AUTHOR_MS = 400;

let on = false;
let tuning = null;
let etag = null;
let saving = false;
let moved = false; // a slider, after what is being saved
let watched = []; // Post's authors
let authors = new Map(); // id -> author as operators see it
let turn = 0;

/** Whether an operator is signed in. */
export const isOn = () => on;

const percent = (rate) => (rate === null || rate === undefined ? "–" : `${Math.round(rate * 100)} %`);

/** The strip of figures. */
async function pollStatus() {
  const status = await get("/v1/operator/status");
  const backlog = status.shards.reduce((sum, shard) => sum + shard.backlog_events, 0);
  const down = status.shards.filter((shard) => !shard.up).length;
  const figures = [
    ["log position", number(status.position)],
    ["ring", `${number(status.ring.entries)} posts, ${bytes(status.ring.bytes)}`],
    ["to compact", `${number(backlog)} events`],
    ["cache hits", status.caches.map((cache) => `${cache.name} ${percent(cache.hit_rate)}`).join(", ")],
  ];
  if (down) figures.push(["shards down", `${down} of ${status.shards.length}`]);
  if (status.h_us !== null) figures.push(["deliver one", micros(status.h_us)]);
  if (status.l_us !== null) figures.push(["merge one", micros(status.l_us)]);
  find("strip").replaceChildren(...figures.map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { text: value }))));
}

const shownValue = (name) => (name === "flush_max_age_ms" ? Math.round(tuning[name] / 1000) : tuning[name]);

function wanted() {
  const { version: _, ...settings } = tuning;
  for (const [name] of SLIDERS) {
    const value = Number(find(name).value);
    if (value !== shownValue(name)) settings[name] = name === "flush_max_age_ms" ? value * 1000 : value;
  }
  return settings;
}

/** Leave never stands above enter: whichever is dragged takes the other along. */
function dragged(name) {
  const [enter, leave] = [find("enter_followers"), find("leave_followers")];
  if (Number(leave.value) > Number(enter.value)) (name === "enter_followers" ? leave : enter).value = find(name).value;
  paintOutputs();
}

function paintOutputs() {
  for (const [name, , unit] of SLIDERS) find(`${name}-out`).textContent = `${number(find(name).value)} ${unit}`;
  paintAuthors();
}

function paintTuning() {
  for (const [name, , , max] of SLIDERS) {
    find(name).max = Math.max(max, shownValue(name));
    find(name).value = shownValue(name);
  }
  find("version").textContent = `Tuning version ${tuning.version}`;
  paintOutputs();
}

async function loadTuning() {
  const answer = await request("GET", "/v1/operator/tuning");
  [tuning, etag] = [answer.document, answer.etag];
  paintTuning();
}

/** Saves on release; what is moved meanwhile is saved next. Somebody else's newer version wins and is shown. */
async function save() {
  moved = true;
  if (saving) return;
  saving = true;
  try {
    while (moved) {
      moved = false;
      const answer = await request("PUT", "/v1/operator/tuning", { body: wanted(), headers: { "if-match": etag } });
      [tuning, etag] = [answer.document, answer.etag];
    }
    paintTuning();
  } catch (problem) {
    toast(problem.status === 412 ? "Somebody else changed the thresholds; these are theirs." : problem.message);
    await loadTuning().catch(() => {});
  }
  saving = false;
  for (const author of watched) look(author).catch(() => {});
}

async function look(user) {
  authors.set(user.id, await get(`/v1/operator/authors/${user.id}`));
  paintAuthors();
}

function paintAuthors() {
  if (!tuning) return;
  const list = find("authors");
  const shown = [...authors.values()].sort((a, b) => b.followers - a.followers);
  const [enter, leave] = ["enter_followers", "leave_followers"].map((name) => Number(find(name).value));
  const most = Math.max(1, ...shown.map((author) => author.followers)) * 1.05;
  const along = (count) => `${Math.min(100, (count / most) * 100)}%`;
  list.style.setProperty("--enter", along(enter));
  list.style.setProperty("--leave", along(leave));
  list.replaceChildren(...shown.map((author) => {
    const bar = el("span", { class: "bar" });
    bar.style.width = along(author.followers);
    const channel = author.channel === "pull" ? "hot" : "push";
    return el("li", { class: channel },
      el("span", { class: "handle", text: `@${author.handle}` }),
      el("span", { class: "channel", text: author.pin ? `${channel}, pinned` : channel }),
      el("span", { class: "track", "aria-hidden": "true" }, bar),
      el("span", { class: "amount", text: number(author.followers), title: "followers" }));
  }));
}

/** One author at a time, so that watching costs the engine little. */
async function pollAuthors() {
  if (watched.length === 0) return;
  turn = (turn + 1) % watched.length;
  await look(watched[turn]);
}

/** Runs `task` again and again while an operator looks; after failures it waits longer. */
function repeat(everyMs, task) {
  let failures = 0;
  const step = async () => {
    let wait = everyMs;
    if (on && !document.hidden) {
      try {
        await task();
        failures = 0;
      } catch (problem) {
        failures = Math.min(failures + 1, 5);
        wait = Math.max(everyMs * 2 ** failures, problem.retryAfterMs ?? 0);
      }
    }
    setTimeout(step, wait);
  };
  setTimeout(step, everyMs);
}

function watch(items) {
  for (const { author } of items) {
    if (watched.length >= WATCHED || watched.some((other) => other.id === author.id)) continue;
    watched.push(author);
    look(author).catch(() => {}); // who cannot be looked up now gets their turn later
  }
}

/** Shows the shares of the sources of a list's entries. */
export function showMix(list) {
  const counts = Object.fromEntries(Object.keys(SOURCES).map((from) => [from, 0]));
  for (const { dataset } of list.children) counts[dataset.from] += 1;
  find("mix").replaceChildren(...Object.entries(counts).filter(([, count]) => count).map(([from, count]) => {
    const part = el("span", { class: `from-${from}` });
    part.style.flexGrow = count;
    return part;
  }));
  find("legend").replaceChildren(...Object.entries(SOURCES).map(([from, meaning]) =>
    el("div", {}, el("dt", {}, badge(from)), el("dd", { text: meaning }), el("dd", { class: "amount", text: number(counts[from]) }))));
}

/** Shows how a page of the operators' view of a feed was made. */
export function showPage(list, feed) {
  find("took").replaceChildren(el("span", { text: "page made in " }), micros(feed.took_us));
  showMix(list);
  watch(feed.items);
}

/** Opens the operator's side where whoever is signed in is one; the server knows. */
export async function open() {
  [on, watched, authors] = [false, [], new Map()];
  for (const part of ["strip", "took", "mix", "legend", "authors"]) find(part).replaceChildren();
  if (user()) on = await pollStatus().then(loadTuning).then(() => true, () => false);
  document.body.classList.toggle("operator", on);
}

/** Connects the page's elements. */
export function start() {
  find("tuning").append(...SLIDERS.map(([name, label, , max, min]) => el("div", { class: "slider" },
    el("label", { for: name, text: label }), el("output", { id: `${name}-out`, for: name }),
    el("input", { type: "range", id: name, min, max, step: 1, value: min, oninput: () => tuning && dragged(name), onchange: () => tuning && save() }))));
  find("tuning").addEventListener("submit", (event) => event.preventDefault());
  repeat(STATUS_MS, pollStatus);
  repeat(AUTHOR_MS, pollAuthors);
}
