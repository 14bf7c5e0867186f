// Who is signed in, and requests in their name.
//
// The access token is in memory, and in sessionStorage only while the page is being loaded again. The refresh token
// is good for one use, and tabs share it: it is in IndexedDB, which has one state for all of them. What another tab has
// just written into localStorage may not be there yet, and in sessionStorage a tab that is duplicated would have a copy:
// either way the second use would end the session. localStorage only says whose session there is, and tells the tabs.

import { Problem, open, send } from "./http.js";
import { erase, read, write } from "./kept.js";

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

function stored(storage, key) {
  try {
    return JSON.parse(storage.getItem(key));
  } catch {
    return null; // not ours
  }
}

async function begin({ access_token: access, refresh_token: token, expires_in: seconds, user: owner }) {
  // Where nothing can be kept, the session lasts as long as its access token.
  await write({ token, user: owner.id }).catch(() => {});
  const lifeMs = seconds * 1000;
  session = { user: owner, access, expires: Date.now() + lifeMs, margin: Math.min(MARGIN_MS, lifeMs / 4) };
  localStorage.setItem(SIGNED_IN, JSON.stringify({ user: owner.id }));
  return owner;
}

function forget() {
  session = null;
  localStorage.removeItem(SIGNED_IN);
  erase().catch(() => {});
}

function over() {
  const ended = session !== null;
  forget();
  if (ended) events.dispatchEvent(new Event("end"));
  return new Problem(401, { detail: "Your session has ended. Sign in again." });
}

/** Runs a task that spends the refresh token, one at a time over all tabs. Without TLS there are no locks. */
const alone = (task) => (navigator.locks ? navigator.locks.request("tributary.session", task) : task());

async function refresh() {
  const kept = await read().catch(() => undefined);
  if (!kept) throw over();
  if (session && kept.user !== session.user.id) {
    location.reload(); // somebody else has signed in, in another tab
    return new Promise(() => {});
  }
  try {
    return await begin((await send("POST", "/v1/auth/refresh", { body: { refresh_token: kept.token } })).document);
  } catch (problem) {
    // Spent, revoked or expired; anything else may pass.
    if ([400, 401, 422].includes(problem.status)) throw over();
    throw problem;
  }
}

function renew() {
  renewing ??= Promise.resolve(alone(refresh)).finally(() => (renewing = null));
  return renewing;
}

/** Signs in by the login of developers, and returns the User. */
export async function signIn(handle, operator) {
  return begin((await send("POST", "/v1/auth/dev", { body: { handle, operator } })).document);
}

/** Ends a provider's sign-in: `query` is what the provider has sent along. */
export async function signInBy(provider, query) {
  return begin((await send("GET", `/v1/auth/${encodeURIComponent(provider)}/callback${query}`)).document);
}

/** Goes on with the session of the page before, or of another tab. The User, or null. */
export async function resume() {
  const handed = stored(sessionStorage, ACCESS);
  sessionStorage.removeItem(ACCESS);
  if (handed && handed.expires - handed.margin > Date.now()) {
    session = handed;
    return session.user;
  }
  if (!stored(localStorage, SIGNED_IN)) return null;
  try {
    return await renew();
  } catch (problem) {
    if (problem.status === 401) return null;
    throw problem;
  }
}

/** Signs out, here and in every tab. */
export async function signOut() {
  await alone(async () => {
    const kept = await read().catch(() => undefined);
    forget();
    if (kept) await send("POST", "/v1/auth/logout", { body: { refresh_token: kept.token } }).catch(() => {});
  });
}

/** Calls with an access token that is good; one that is refused is renewed once, however many calls notice. */
async function authorized(call) {
  if (!session) throw over();
  if (session.expires - session.margin < Date.now() ) await renew();
  const used = session.access;
  try {
    return await call(used);
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    if (!session) throw over();
    if (session.access === used) await renew();
    return call(session.access);
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
  addEventListener("pagehide", () => session && sessionStorage.setItem(ACCESS, JSON.stringify(session)));
  addEventListener("pageshow", (event) => event.persisted && sessionStorage.removeItem(ACCESS));
  addEventListener("storage", (event) => {
    if (event.key !== SIGNED_IN || !session) return;
    const now = stored(localStorage, SIGNED_IN);
    if (!now) over();
    else if (now.user !== session.user.id) location.reload();
  });
}
