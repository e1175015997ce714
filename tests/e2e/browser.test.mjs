// What takes a browser: several tabs of one user, and the rule of origins.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser } from './support/browser.mjs';
import { Server } from './support/server.mjs';
import { within } from './support/waiting.mjs';

const kTimeout = { timeout: 60_000 };

let browser;
before(async () => { browser = await Browser.start(); });
after(() => browser?.stop());

/** A tab with a WebSocket whose messages wait in the page. It is open, or the reason why not is given. */
async function openTab(t, url) {
  const page = await browser.page();
  t.after(() => page.close());
  const outcome = await within(page.evaluate((address) => new Promise((resolve) => {
    const messages = [];
    let wake = () => {};
    const socket = new WebSocket(address);
    socket.onmessage = (event) => { messages.push(JSON.parse(event.data)); wake(); };
    socket.onopen = () => resolve('open');
    socket.onclose = (event) => resolve(`closed ${event.code}`);
    globalThis.send = (message) => socket.send(JSON.stringify(message));
    globalThis.next = async () => {
      while (messages.length === 0) await new Promise((resume) => { wake = resume; });
      return messages.shift();
    };
  }), url), 'the handshake in the page');
  return {
    outcome,
    send: (message) => page.evaluate((m) => globalThis.send(m), message),
    next: () => within(page.evaluate(() => globalThis.next()), 'a message in the page'),
  };
}

test('what one tab reads is read in the other', kTimeout, async (t) => {
  const server = await Server.start({ workers: 2 });
  t.after(() => server.cleanup());
  const tabs = [await openTab(t, server.url), await openTab(t, server.url)];
  for (const tab of tabs) {
    assert.equal(tab.outcome, 'open');
    await tab.send({ type: 'subscribe', id: 1, data: { userId: 123, sync: true } });
    assert.deepEqual(await tab.next(), { type: 'ack', id: 1, data: {} });
  }
  for (const id of ['first', 'second']) {
    await server.publish({ type: 'notification', userId: 123, data: { id, title: id } });
    for (const tab of tabs) assert.equal((await tab.next()).data.id, id);
  }

  const [one, other] = tabs;
  await one.send({ type: 'mark_read', data: { notificationId: 'first' } });
  assert.deepEqual(await other.next(),
    { type: 'notification_read', data: { notificationId: 'first', unreadCount: 1 } });
  await other.send({ type: 'mark_read', data: { notificationId: 'second' } });
  // The first one's own mark did not come back to it: the other's is the next that it gets.
  assert.deepEqual(await one.next(),
    { type: 'notification_read', data: { notificationId: 'second', unreadCount: 0 } });
  await server.stop();
});

test('a page of an allowed origin connects, and one of another does not', kTimeout, async (t) => {
  for (const [allowed, outcome] of [
    [browser.origin, 'open'],
    [`https://www.example.com,${browser.origin}`, 'open'],
    ['https://www.example.com', 'closed 1006'],
    [browser.origin.replace('http:', 'https:'), 'closed 1006'],
    [browser.origin.replace('127.0.0.1', 'localhost'), 'closed 1006'],
  ]) {
    const server = await Server.start({ settings: { RINGCAST_ALLOWED_ORIGINS: allowed } });
    t.after(() => server.cleanup());
    assert.equal((await openTab(t, server.url)).outcome, outcome, `allowed: ${allowed}`);
    const { handshakes_total: made, handshakes_refused_total: refused } = await server.totals();
    assert.deepEqual([made, refused], outcome === 'open' ? [1, 0] : [0, 1]);
    await server.stop();
  }
});
