// Who is signed in, and requests in their name.
//
// The access token is in memory, and in sessionStorage only while the page is away. The refresh token is good for one
// use, and tabs share it: it is in IndexedDB, which has one state for all of them. What another tab has just written into
// localStorage may not be there yet, and in sessionStorage a tab that is duplicated would have a copy: either way the
// second use would end the session. localStorage only says whose session there is, and tells the tabs. Whoever changes
// what they share has the lock.

import { Problem, open, send } from "./http.js";
import { erase, read, write } from "./kept.js";
import { store, stored } from "./stored.js";

const SIGNED_IN = "tributary.signed-in"; // { user }
const ACCESS = "tributary.access";
/** An access token is renewed so long before it expires, or in the last quarter of a shorter life. */
const MARGIN_MS = 30_000;

let session = null; // { user, access, expires, margin }
let renewing = null;

/** Tells `end` when the session is over and was not ended here. */
export const events = new EventTarget();

/** The signed-in User, or undefined. */
export const user = () => session?.user;

/** The id of whoever is signed in, in this or another tab; undefined for nobody. */
const owner = () => stored("localStorage", SIGNED_IN)?.user;

async function begin({ access_token: access, refresh_token: token, expires_in: seconds, user: me }) {
  // Where nothing can be kept, the session lasts as long as its access token; a spent token does not stay in any case.
  await write({ token, user: me.id }).catch(erase).catch(() => {});
  const lifeMs = seconds * 1000;
  session = { user: me, access, expires: Date.now() + lifeMs, margin: Math.min(MARGIN_MS, lifeMs / 4) };
  store("localStorage", SIGNED_IN, { user: me.id });
  return me;
}

async function forget() {
  session = null;
  store("localStorage", SIGNED_IN, undefined);
  await erase().catch(() => {});
}

const ended = () => new Problem(401, { detail: "Your session has ended. Sign in again." });

/** Goes on as whoever has signed in in another tab: nothing of this session is handed to the page that comes. */
function reload() {
  session = null;
  location.reload();
}

/** Looks whether another tab has ended the session, or begun that of somebody else. What they share is theirs. */
function compare() {
  if (!session || owner() === session.user.id) return;
  if (owner() !== undefined) return reload();
  session = null;
  events.dispatchEvent(new Event("end"));
}

/** Runs a task that changes what tabs share, one at a time over all of them. */
async function alone(task) {
  let begun = false;
  const run = () => ((begun = true), task());
  try {
    return await navigator.locks.request("tributary.session", run);
  } catch (problem) {
    if (begun) throw problem;
    return task(); // there are no locks: without TLS, or because the browser forbids them
  }
}

async function refresh() {
  const kept = await read().catch(() => {
    throw new Problem(0, { detail: "This browser could not read the session that it keeps. Reload the page." });
  });
  if (session && kept && kept.user !== session.user.id) {
    reload();
    return new Promise(() => {});
  }
  try {
    if (!kept) throw ended();
    return await begin((await send("POST", "/v1/auth/refresh", { body: { refresh_token: kept.token } })).document);
  } catch (problem) {
    // Spent, revoked or expired; anything else may pass.
    if (![400, 401, 422].includes(problem.status)) throw problem;
    const here = session !== null;
    await forget();
    if (here) events.dispatchEvent(new Event("end"));
    throw ended();
  }
}

function renew() {
  renewing ??= alone(refresh).finally(() => (renewing = null));
  return renewing;
}

/** Signs in by what this request answers, and returns the User. */
const enter = (...request) => alone(async () => begin((await send(...request)).document));

/** Signs in by the login of developers. */
export const signIn = (handle, operator) => enter("POST", "/v1/auth/dev", { body: { handle, operator } });

/** Ends a provider's sign-in: `query` is what the provider has sent along. */
export const signInBy = (provider, query) => enter("GET", `/v1/auth/${encodeURIComponent(provider)}/callback${query}`);

/** Goes on with the session of the page before, or of another tab. The User, or null. */
export async function resume() {
  const handed = stored("sessionStorage", ACCESS);
  store("sessionStorage", ACCESS, undefined);
  if (owner() === undefined) return null;
  if (handed?.user?.id === owner() && handed.expires - handed.margin > Date.now()) {
    session = handed;
    return session.user;
  }
  try {
    return await renew();
  } catch (problem) {
    if (problem.status === 401) return null;
    throw problem;
  }
}

/** Signs out, here at once and then in every tab. */
export async function signOut() {
  const leaving = session?.user.id;
  session = null;
  const kept = await alone(async () => {
    const row = await read().catch(() => undefined);
    if (row && row.user !== leaving) return undefined; // somebody else has signed in, in another tab
    await forget();
    return row;
  });
  if (kept) await send("POST", "/v1/auth/logout", { body: { refresh_token: kept.token } }).catch(() => {});
}

/** An access token that is good; `refused`: one that is not. */
async function access(refused) {
  if (session && (session.access === refused || session.expires - session.margin < Date.now())) await renew();
  if (!session) throw ended();
  return session.access;
}

/** Calls with an access token; one that is refused is renewed once, however many calls notice. */
async function authorized(call) {
  const used = await access();
  try {
    return await call(used);
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    return call(await access(used));
  }
}

/** A request in the session's name: its JSON and ETag. */
export const request = (method, path, options) => authorized((token) => send(method, path, { ...options, token }));

export const get = async (path) => (await request("GET", path)).document;

/** An answer in the session's name that goes on and on. */
export const stream = (path, options) => authorized((token) => open("GET", path, { ...options, token }));

/** A new idempotency key. */
export function newKey() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A change under an idempotency key, so that no repetition does it twice. */
export async function change(method, path, body, key = newKey()) {
  return (await request(method, path, { body, headers: { "idempotency-key": key } })).document;
}

/** Connects the session to the page and to other tabs. */
export function start() {
  addEventListener("pagehide", () => session && store("sessionStorage", ACCESS, session));
  addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    store("sessionStorage", ACCESS, undefined);
    compare(); // a page that was put aside is told nothing meanwhile
  });
  addEventListener("storage", (event) => {
    if (event.key === SIGNED_IN || event.key === null) compare();
  });
}
