// POST /v1/posts: each is durable before it is answered.
import http from 'k6/http';
import { arrivals, base, caller, expect, goals, signIn } from './api.js';

export const options = { scenarios: { posts: arrivals('post') }, thresholds: goals(100, 250) };
export const setup = signIn;

export function post(data) {
  const body = JSON.stringify({ text: `k6 ${__VU} ${__ITER}` });
  expect(http.post(`${base}/v1/posts`, body, caller(data, 'POST /v1/posts')), 201);
}
