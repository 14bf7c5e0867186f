// What the scripts share: where the server is, who acts, and tokens.
//
// The server needs auth.dev_login = true and no limits (limits.requests_per_second = 0, limits.posts_per_minute = 0).
//   BASE_URL   http://127.0.0.1:8080
//   USERS      100: handles u1 to u<USERS>, as an import gives them
//   RATE       50: requests a second of each script
//   DURATION   30s
import { check, fail } from 'k6';
import http from 'k6/http';

export const base = __ENV.BASE_URL || 'http://127.0.0.1:8080';
const users = Number(__ENV.USERS || 100);

/** Requests come at a constant rate, whether or not earlier ones are answered. */
export function arrivals(exec) {
  return {
    executor: 'constant-arrival-rate',
    exec,
    rate: Number(__ENV.RATE || 50),
    timeUnit: '1s',
    duration: __ENV.DURATION || '30s',
    preAllocatedVUs: 20,
    maxVUs: 400,
  };
}

/** Goals: of latency in milliseconds, and of errors. A request that was never sent fails them too. */
export function goals(p95, p99) {
  return {
    http_req_failed: ['rate<0.001'],
    checks: ['rate>0.999'],
    dropped_iterations: ['count==0'],
    'http_req_duration{measured:yes}': [`p(95)<${p95}`, `p(99)<${p99}`],
  };
}

/** Signs everybody in, once, before the load. Tokens last 15 minutes by default. */
export function signIn() {
  const tokens = [];
  for (let number = 1; number <= users; number += 1) {
    const body = JSON.stringify({ handle: `u${number}` });
    const answer = http.post(`${base}/v1/auth/dev`, body, { headers: { 'content-type': 'application/json' } });
    if (answer.status !== 200) {
      fail(`signing in at ${base}: answered ${answer.status}; the server needs auth.dev_login = true and no limits`);
    }
    tokens.push(answer.json('access_token'));
  }
  return { tokens };
}

/** How a user who is drawn asks; `name` is what all such requests are counted under. */
export function caller(data, name) {
  const token = data.tokens[Math.floor(Math.random() * data.tokens.length)];
  return {
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    tags: { name, measured: 'yes' },
  };
}

/** Checks the status of an answer. */
export function expect(answer, status) {
  return check(answer, { [`${status}`]: (given) => given.status === status });
}
