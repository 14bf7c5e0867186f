// Requests: problem documents as errors, and pauses that the server asks for.

/** A longer pause is told to whoever waits, not waited for. */
const PATIENCE_MS = 5000;
const TRIES = 3;
/** Servers answer within 10 s; who says nothing for longer cannot be reached. */
const ANSWER_MS = 15_000;

/** A refusal, as the API words it (RFC 9457). `status` 0: nobody answered. */
export class Problem extends Error {
  constructor(status, document = {}, retryAfterS = 0) {
    const said = document.detail || document.title;
    const words = said || (status ? `The server answered ${status}.` : "The server cannot be reached.");
    super(retryAfterS * 1000 > PATIENCE_MS ? `${words} Wait ${retryAfterS} s.` : words);
    this.status = status;
    this.code = document.code;
    this.retryAfterMs = retryAfterS * 1000;
  }
}

/** Tells `lost` when nobody answers, and `found` at each answer. */
export const reach = new EventTarget();

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** The answer to one request, its body unread; every refusal is a Problem. Who brings a signal sets the limit of time. */
export async function open(method, path, { body, headers, token, signal } = {}) {
  const sent = { ...headers };
  if (token) sent.authorization = `Bearer ${token}`;
  if (body !== undefined) sent["content-type"] = "application/json";
  const options = { method, headers: sent, body: body === undefined ? undefined : JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, { ...options, signal: signal ?? AbortSignal.timeout(ANSWER_MS) });
  } catch (error) {
    if (signal?.aborted) throw error;
    reach.dispatchEvent(new Event("lost"));
    throw new Problem(0);
  }
  reach.dispatchEvent(new Event("found"));
  if (response.ok) return response;
  throw new Problem(response.status, await json(response), Number(response.headers.get("retry-after")) || 0);
}

async function json(response) {
  if (!/json/.test(response.headers.get("content-type") ?? "")) return undefined;
  try {
    return await response.json();
  } catch {
    throw new Problem(0); // the connection broke within the answer, or it took too long
  }
}

/** A request and its JSON. One that may be repeated is, after a short pause that the server asked for. */
export async function send(method, path, options = {}) {
  // What signs in is spent by its first use; but a 429 is said before anything is done.
  const spends = path.startsWith("/v1/auth/");
  const repeatable = !spends && (method === "GET" || options.headers?.["idempotency-key"] !== undefined);
  for (let tries = 1; ; tries += 1) {
    try {
      const response = await open(method, path, options);
      return { document: await json(response), etag: response.headers.get("etag") };
    } catch (problem) {
      const { status, retryAfterMs } = problem;
      const asked = (status === 429 || status === 503) && retryAfterMs > 0 && retryAfterMs <= PATIENCE_MS;
      if (!asked || !(repeatable || status === 429) || tries === TRIES) throw problem;
      await pause(retryAfterMs);
    }
  }
}
