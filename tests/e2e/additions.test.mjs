// The opt-in additions to the protocol: ids and acks, offsets, resuming, replay.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Client } from './support/client.mjs';
import { Server } from './support/server.mjs';

let server;
before(async () => { server = await Server.start({ workers: 2 }); });
after(() => server?.stop());

const kTimeout = { timeout: 60_000 };
const kTime = '2023-01-01T00:00:00Z';
const connect = () => Client.connect(server.url);
const notify = (userId, id) => server.publish({ type: 'notification', userId, data: { id, title: id, timestamp: kTime } });

test('a message with an id is answered with it', kTimeout, async () => {
  const client = await connect();
  for (const id of [0, -7, 2 ** 53, 'a'.repeat(64), '😀']) {
    client.send({ type: 'subscribe', id, data: { userId: 'acked' } });
    assert.deepEqual(await client.messages.next(), { type: 'ack', id, data: {} });
  }
  client.send({ type: 'nonsense', id: 'n1' });
  const refusal = await client.messages.next();
  assert.deepEqual([refusal.type, refusal.id, refusal.data.code], ['error', 'n1', 'invalid_message']);

  await notify('acked', 'note');
  assert.equal((await client.messages.next()).data.id, 'note');
  assert.deepEqual(await client.ask('mark_read', { notificationId: 'note' }), { unreadCount: 0 });
  assert.deepEqual(await client.ask('unsubscribe', {}), {});
  await client.close();
});

test('a client of the protocol document sees none of the additions', kTimeout, async () => {
  const client = await connect();
  client.send({ type: 'subscribe', data: { userId: 'plain', topics: ['plain'] } });
  await server.userHas('plain', 1, 1);
  await notify('plain', 'note');
  assert.deepEqual(await client.messages.next(),
    { type: 'notification', data: { id: 'note', title: 'note', timestamp: kTime, read: false } });
  client.send({ type: 'mark_read', data: { notificationId: 'note' } });
  client.send({ type: 'pong' });
  client.send({ type: 'unsubscribe', data: { topics: ['plain'] } });
  await server.userHas('plain', 1, 0);
  assert.deepEqual(client.messages.rest, []);
  await client.close();
});

test('a client that comes back gets each message once while publishing goes on', kTimeout, async () => {
  const userId = 'traveller', count = 400;
  const expected = Array.from({ length: count }, (_, n) => `m${n}`);
  let published = 0;
  const publishing = (async () => {
    for (const id of expected) {
      // One in four is no notification: both kinds share one order.
      if (published % 4 === 0) await server.publish({ type: 'application_status', userId, data: { id: published, message: id } });
      else await notify(userId, id);
      published += 1;
    }
  })();
  publishing.catch(() => {}); // awaited below

  const seen = [], offsets = new Set();
  let since = '0', connections = 0;
  while (seen.length < count) {
    const client = await connect();
    connections += 1;
    const ack = await client.ask('subscribe', { userId, since });
    assert.equal(ack.gap, false);
    // Goes away in the middle of things: now in the replay, now in what is live.
    const stay = Math.min(1 + (connections * 7) % 40, count - seen.length);
    for (const message of await client.messages.take(stay)) {
      seen.push(message.data.message ?? message.data.id);
      offsets.add(message.offset);
      since = message.offset;
    }
    await client.vanish();
  }
  await publishing;
  assert.deepEqual(seen, expected);
  assert.equal(offsets.size, count);
  assert.ok(connections > 5, `${connections} connections`);

  // Nothing is left over, and everything can be had again.
  const client = await connect();
  assert.deepEqual(await client.ask('subscribe', { userId, since }), { offset: since, gap: false, unreadCount: 300 });
  const again = await connect();
  assert.equal((await again.ask('subscribe', { userId, since: '0' })).offset, since);
  assert.deepEqual((await again.messages.take(count)).map((message) => message.offset), [...offsets]);
  await notify(userId, 'last');
  for (const each of [client, again]) {
    assert.equal((await each.messages.next()).data.id, 'last');
    await each.close();
  }
});

test('an offset of another epoch shows a gap and gives what there is', kTimeout, async () => {
  await notify('stranger', 'kept');
  const client = await connect();
  const ack = await client.ask('subscribe', { userId: 'stranger', since: 'another-5' });
  assert.equal(ack.gap, true);
  const message = await client.messages.next();
  assert.deepEqual([message.data.id, message.offset], ['kept', ack.offset]);
  await client.close();
});

test('replay gives the unread notifications before what is newer', kTimeout, async () => {
  const userId = 'sleeper';
  for (const id of ['n1', 'n2', 'n3', 'n4', 'n5']) await notify(userId, id);
  await server.api('POST', `/api/users/${userId}/notifications/n2/read`);
  await server.api('POST', `/api/users/${userId}/notifications/n4/read`);

  const client = await connect();
  const publishing = (async () => {
    for (const id of ['n6', 'n7', 'n8']) await notify(userId, id);
  })();
  const ack = await client.ask('subscribe', { userId, replay: 'unread' });
  assert.equal(ack.gap, false);
  await publishing;
  const messages = await client.messages.take(6);
  assert.deepEqual(messages.map((message) => message.data.id), ['n1', 'n3', 'n5', 'n6', 'n7', 'n8']);
  assert.ok(messages.every((message) => message.data.read === false && typeof message.offset === 'string'));
  await client.close();
});

test('a read mark reaches the other connections that asked for it, once', kTimeout, async () => {
  const userId = 'reader';
  const [marker, other, unasked] = await Promise.all([connect(), connect(), connect()]);
  await marker.ask('subscribe', { userId, sync: true });
  await other.ask('subscribe', { userId, sync: true });
  await unasked.ask('subscribe', { userId });
  for (const id of ['a', 'b', 'c']) await notify(userId, id);
  for (const client of [marker, other, unasked]) await client.messages.take(3);

  assert.deepEqual(await marker.ask('mark_read', { notificationId: 'a' }), { unreadCount: 2 });
  assert.deepEqual(await marker.ask('mark_read', { notificationId: 'a' }), { unreadCount: 2 });
  await server.api('POST', `/api/users/${userId}/notifications/b/read`);
  await server.api('POST', `/api/users/${userId}/notifications/read-all`);
  await notify(userId, 'end');

  const read = (notificationId, unreadCount) => ({ type: 'notification_read', data: { notificationId, unreadCount } });
  const all = { type: 'notification_read', data: { all: true, unreadCount: 0 } };
  const end = { type: 'notification', data: { id: 'end', title: 'end', timestamp: kTime, read: false } };
  assert.deepEqual(await other.messages.take(4), [read('a', 2), read('b', 1), all, end]);
  assert.deepEqual(await marker.messages.take(3), [read('b', 1), all, end]);
  assert.deepEqual(await unasked.messages.take(1), [end]);
  await Promise.all([marker, other, unasked].map((client) => client.close()));
});
