// PUT /v1/likes/{id}: of posts that are written first.
import http from 'k6/http';
import { arrivals, base, caller, expect, goals, signIn } from './api.js';

export const options = { scenarios: { likes: arrivals('like') }, thresholds: goals(100, 250) };

export function setup() {
  const data = signIn();
  data.posts = [];
  for (let number = 0; number < 20; number += 1) {
    const answer = http.post(`${base}/v1/posts`, JSON.stringify({ text: `to be liked ${number}` }), caller(data, 'set up'));
    data.posts.push(answer.json('id'));
  }
  return data;
}

export function like(data) {
  const post = data.posts[Math.floor(Math.random() * data.posts.length)];
  expect(http.put(`${base}/v1/likes/${post}`, null, caller(data, 'PUT /v1/likes/{id}')), 204);
}
