// What comes in while one reads: a stream that is opened again and again.

import { events } from "./events.js";

/** Between two tries, at first and at the most. */
const RETRY_MS = 1000;
const RETRY_MAX_MS = 30_000;
/** A stream is given up after so long without a sign of life; servers give one every 15 s. */
const SILENCE_MS = 60_000;

/** A pause that ends early with the signal. */
function sleep(ms, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), done()), { once: true });
  });
}

/**
 * Follows a timeline from a token on.
 * `open(last, signal)`: the body of the stream after `last`, or an error with `status`.
 * `told`: `post(post)`, `removed(id)`, `gap()`: whatever cannot be told one by one.
 */
export function follower({ open, told, pause = sleep, silenceMs = SILENCE_MS }) {
  let last = null;
  let running = null;
  let failures = 0; // in a row

  function tell({ event, data, id }) {
    if (event === "post") told.post(JSON.parse(data));
    else if (event === "removed") told.removed(JSON.parse(data).id);
    else if (event === "gap") told.gap();
    if (id !== undefined) last = id;
  }

  /** Reads one stream to its end; returns the pause that it asked for. */
  async function read(signal) {
    const attempt = new AbortController();
    const give = () => attempt.abort();
    signal.addEventListener("abort", give, { once: true });
    let silence = setTimeout(give, silenceMs);
    const heard = () => {
      failures = 0;
      clearTimeout(silence);
      silence = setTimeout(give, silenceMs);
    };
    let wait = RETRY_MS;
    try {
      for await (const event of events(await open(last, attempt.signal), heard)) {
        if (signal.aborted) return wait;
        if (event.retry !== undefined) wait = Math.min(event.retry, RETRY_MAX_MS);
        tell(event);
      }
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", give);
    }
    return wait;
  }

  async function run(signal) {
    while (!signal.aborted) {
      let wait;
      try {
        wait = await read(signal);
        failures = 0;
      } catch (problem) {
        if (signal.aborted || problem.status === 401) return; // the session is over
        if (problem.status === 400) {
          // The token is of another time.
          told.gap();
          return;
        }
        failures += 1;
        const backoff = Math.min(RETRY_MS * 2 ** (failures - 1), RETRY_MAX_MS);
        wait = Math.max(backoff * (0.5 + Math.random() / 2), problem.retryAfterMs ?? 0);
      }
      await pause(wait, signal);
    }
  }

  function stop() {
    running?.abort();
    running = null;
  }

  return {
    /** Begins at this token; whatever ran before is over. */
    start(from) {
      last = from;
      this.wake();
    },
    /** Goes on where it was stopped. */
    wake() {
      if (last === null) return;
      stop();
      running = new AbortController();
      run(running.signal);
    },
    stop,
    /** Stops and forgets its place. */
    end() {
      stop();
      last = null;
    },
    isRunning: () => running !== null,
  };
}
