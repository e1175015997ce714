// The protocol document's example works as it stands, in a browser and in Node.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Browser } from './support/browser.mjs';
import { ChromiumRun, exampleText, NodeRun } from './support/example.mjs';
import { Server } from './support/server.mjs';
import { until } from './support/waiting.mjs';

const kTime = '2023-01-01T00:00:00Z';
// The document's own samples.
const kNotification = {
  id: 'notification_id', title: 'Notification Title', message: 'Notification message content', timestamp: kTime,
  read: false, category: 'job_match', link: '/jobs/123',
};
const kJobUpdate = { id: 123, title: 'Software Engineer', company: 'TechSA', status: 'new', timestamp: kTime };
const kApplicationStatus = {
  id: 456, jobId: 123, jobTitle: 'Software Engineer', company: 'TechSA', status: 'interview_scheduled',
  message: 'Your interview has been scheduled for January 15th at 10:00 AM.', timestamp: kTime,
};
const kTimestamp = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const kUuid7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Everything that the document promises to its example. */
async function theExampleIsServed(t, start) {
  const server = await Server.start({ defaultPorts: true, settings: { RINGCAST_PING_INTERVAL: '1s' } });
  t.after(() => server.cleanup());
  const run = await start(await exampleText());
  t.after(() => run.end());

  await run.says('Connected to WebSocket server');
  await server.userHas(123, 1, 2);

  // Each kind of message reaches its own handler, as published.
  await server.publish({ type: 'notification', userId: 123, data: kNotification });
  assert.deepEqual(await run.says('New notification:'), kNotification);
  await server.publish({ type: 'job_update', topic: 'job_matches', data: kJobUpdate });
  assert.deepEqual(await run.says('Job update:'), kJobUpdate);
  await server.publish({ type: 'application_status', userId: 123, topic: 'application_updates', data: kApplicationStatus });
  assert.deepEqual(await run.says('Application status update:'), kApplicationStatus);

  // What the publisher left out is filled in.
  const { id } = await server.publish({ type: 'notification', userId: '123', data: { title: 'short' } });
  const filled = await run.says('New notification:');
  assert.deepEqual({ ...filled, timestamp: '' }, { title: 'short', id, read: false, timestamp: '' });
  assert.match(id, kUuid7);
  assert.match(filled.timestamp, kTimestamp);

  // The document's other messages have no answer, only an effect.
  await run.evaluate(`socket.send(JSON.stringify({ type: 'mark_read', data: { notificationId: '${id}' } }))`);
  await until(async () => (await server.api('GET', '/api/users/123')).unreadCount === 1, 'the read mark');
  await run.evaluate(`socket.send(JSON.stringify({ type: 'unsubscribe', data: { userId: 123, topics: ['job_matches'] } }))`);
  await server.userHas(123, 1, 1);
  await server.publish({ type: 'job_update', topic: 'job_matches', data: { ...kJobUpdate, status: 'unheard' } });
  await server.publish({ type: 'job_update', topic: 'application_updates', data: { ...kJobUpdate, status: 'heard' } });
  assert.equal((await run.says('Job update:')).status, 'heard');

  await run.evaluate(`socket.send('nonsense')`);
  const error = await run.says('WebSocket error:');
  assert.equal(error.code, 'invalid_message');
  assert.equal(typeof error.message, 'string');

  // It answers every ping: one pong each beside the four messages above.
  const ownMessages = 4;
  await until(async () => {
    const { heartbeats_total: pings, messages_received_total: messages } = await server.totals();
    assert.ok(messages <= ownMessages + pings, `${messages} messages for ${pings} pings`);
    return pings >= 2 && messages === ownMessages + pings;
  }, 'a pong for each of two pings');
  assert.deepEqual(run.printed.rest, [], 'nothing but what was handled');

  server.signal('SIGTERM');
  assert.equal((await run.says('WebSocket error:')).code, 'shutting_down');
  const closed = await run.printed.next();
  assert.deepEqual(closed, ['Disconnected from WebSocket server:', 1012, 'shutting_down']);
  await server.stop();
}

test('the example in Node with ws', { timeout: 60_000 },
  (t) => theExampleIsServed(t, async (text) => new NodeRun(text)));

let browser;
before(async () => { browser = await Browser.start(); });
after(() => browser?.stop());

test('the example in Chromium', { timeout: 60_000 },
  (t) => theExampleIsServed(t, (text) => ChromiumRun.start(browser, text)));
