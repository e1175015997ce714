// POST /api/publish to a nats-server that speaks no HTTP: nats_gateway.mjs API-PORT NATS-PORT. A process of its own, whose
// CPU is not the server's. The answer waits until nats-server has taken the message: its PONG.
import { connect } from 'node:net';
import { serveApi } from './api.mjs';

const [apiPort, natsPort] = process.argv.slice(2);
const waiting = [];
const nats = connect({ port: natsPort, host: '127.0.0.1', noDelay: true });
let unread = '';
nats.setEncoding('utf8').on('data', (piece) => {
  unread += piece;
  for (let end = unread.indexOf('\r\n'); end >= 0; end = unread.indexOf('\r\n')) {
    const line = unread.slice(0, end);
    unread = unread.slice(end + 2);
    if (line === 'PONG') waiting.shift()();
    else if (line === 'PING') nats.write('PONG\r\n');
    else if (line.startsWith('-ERR')) throw new Error(line);
    else if (line.startsWith('INFO')) {
      nats.write('CONNECT {"verbose":false}\r\n');
      console.error('ready');
    }
  }
});
serveApi(apiPort, ({ type, topic, userId, data }) => {
  const text = JSON.stringify({ type, data });
  const subject = topic === undefined ? `user.${userId}` : `topic.${topic}`;
  nats.write(`PUB ${subject} ${Buffer.byteLength(text)}\r\n${text}\r\nPING\r\n`);
  return new Promise((resolve) => waiting.push(resolve));
});
