// GET /v1/feed: first pages of home timelines.
import http from 'k6/http';
import { arrivals, base, caller, expect, goals, signIn } from './api.js';

export const options = { scenarios: { feed: arrivals('feed') }, thresholds: goals(50, 100) };
export const setup = signIn;

export function feed(data) {
  expect(http.get(`${base}/v1/feed`, caller(data, 'GET /v1/feed')), 200);
}
