// Server-sent events, read from a body that is fetched: EventSource cannot send an access token.

/** Characters of a line at the most: many times the longest post. */
const LINE_CHARS = 1 << 18;

/**
 * Reads events out of text that comes in pieces. `push` returns those that are whole:
 * `{ event, data, id, retry }`, where what was not said is undefined.
 */
export function parser() {
  let rest = "";
  let cut = false; // the last piece ended between the two characters of a line end, perhaps
  let said = {};

  function line(text, whole) {
    if (text === "") {
      const { data, ...event } = said;
      if (data) whole.push({ ...event, event: event.event || "message", data: data.join("\n") });
      else if (event.id !== undefined || event.retry !== undefined) whole.push({ id: event.id, retry: event.retry });
      said = {};
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return; // a comment, to keep the connection alive
    const field = colon < 0 ? text : text.slice(0, colon);
    const value = colon < 0 ? "" : text.slice(colon + (text[colon + 1] === " " ? 2 : 1));
    if (field === "data") (said.data ??= []).push(value);
    else if (field === "event") said.event = value;
    else if (field === "id" && !value.includes("\0")) said.id = value;
    else if (field === "retry" && /^\d+$/.test(value)) said.retry = Number(value);
  }

  return {
    push(text) {
      const whole = [];
      if (text === "") return whole;
      if (cut && text[0] === "\n") text = text.slice(1);
      cut = text.endsWith("\r");
      const lines = (rest + text).split(/\r\n|\n|\r/);
      rest = lines.pop();
      for (const one of lines) line(one, whole);
      if (rest.length > LINE_CHARS) throw new Error("a line of the stream is too long");
      return whole;
    },
  };
}

/** The events of a body as they come; `heard` is called at every piece, also at one without an event. */
export async function* events(body, heard = () => {}) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const { push } = parser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      yield* push(value);
    }
  } finally {
    reader.cancel().catch(() => {}); // also where whoever reads has enough
  }
}
