// Talking to the API: signing in, renewing, and problem documents as errors.

/** A refusal, as the API words it (RFC 9457). `status` 0: nobody answered. */
export class Problem extends Error {
  constructor(status, document = {}, retryAfter = 0) {
    super(document.detail || document.title || (status ? `The server answered ${status}.` : "The server does not answer."));
    this.status = status;
    this.code = document.code;
    this.retryAfterMs = retryAfter * 1000;
  }
}

const KEPT = "tributary.session";
let session = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
let renewing = null;

export const kept = () => session?.handle;

async function send(method, path, { body, headers } = {}, token) {
  const sent = { ...headers };
  if (token) sent.authorization = `Bearer ${token}`;
  if (body !== undefined) sent["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers: sent, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Problem(0);
  }
  const isJson = /json/.test(response.headers.get("content-type") ?? "");
  const document = isJson ? await response.json().catch(() => ({})) : undefined;
  if (!response.ok) throw new Problem(response.status, document, Number(response.headers.get("retry-after")) || 0);
  return { document, etag: response.headers.get("etag") };
}

/** Signs in as this handle, with the operator's view, and returns the User. */
export async function signIn(handle) {
  const { document } = await send("POST", "/v1/auth/dev", { body: { handle, operator: true } });
  session = { handle, id: document.user.id, token: document.access_token };
  sessionStorage.setItem(KEPT, JSON.stringify(session));
  return document.user;
}

/** A request in the session's name; a session that ran out is renewed once, however many requests notice. */
export async function request(method, path, options) {
  const used = session;
  try {
    return await send(method, path, options, used.token);
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    if (session === used) {
      renewing ??= signIn(used.handle).finally(() => (renewing = null));
      await renewing;
      if (session.id !== used.id) location.reload(); // the same handle in another world: the server started anew
    }
    return send(method, path, options, session.token);
  }
}

export const get = async (path) => (await request("GET", path)).document;

/** A change under an idempotency key of its own, so that the renewal above cannot do it twice. */
export async function change(method, path, body) {
  const random = crypto.getRandomValues(new Uint8Array(16));
  const key = Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return (await request(method, path, { body, headers: { "idempotency-key": key } })).document;
}

/** Runs `task` for ever, `everyMs` apart while the page is seen; after a failure it waits longer each time. */
export function repeat(everyMs, task) {
  let failures = 0;
  const step = async () => {
    let wait = everyMs;
    if (!document.hidden && session) {
      try {
        await task();
        failures = 0;
      } catch (problem) {
        if (!(problem instanceof Problem)) console.error(problem);
        failures = Math.min(failures + 1, 5);
        wait = Math.max(everyMs * 2 ** failures, problem.retryAfterMs ?? 0);
      }
      document.body.classList.toggle("unreachable", failures > 1);
    }
    setTimeout(step, wait);
  };
  setTimeout(step, everyMs);
}
