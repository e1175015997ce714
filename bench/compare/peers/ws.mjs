// npm `ws` as a notification server: ws.mjs PORT API-PORT [echo]. No compression; a message is encoded once.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { serveApi } from './api.mjs';

const [port, apiPort, echo] = process.argv.slice(2);
const holders = new Map();  // topic or user: its sockets

const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: false });
server.on('connection', (socket) => {
  const held = [];
  socket.on('message', (bytes) => {
    if (echo) return socket.send(bytes, { binary: false });
    const { id, data } = JSON.parse(bytes);
    for (const name of [...(data.topics ?? []).map((topic) => `topic/${topic}`),
                        ...(data.userId === undefined ? [] : [`user/${data.userId}`])]) {
      if (!holders.has(name)) holders.set(name, new Set());
      holders.get(name).add(socket);
      held.push(name);
    }
    if (id !== undefined) socket.send(JSON.stringify({ type: 'ack', id, data: {} }));
  });
  socket.on('close', () => {
    for (const name of held) {
      holders.get(name).delete(socket);
      if (holders.get(name).size === 0) holders.delete(name);
    }
  });
});
serveApi(apiPort, ({ type, topic, userId, data }) => {
  const bytes = Buffer.from(JSON.stringify({ type, data }));
  for (const socket of holders.get(topic === undefined ? `user/${userId}` : `topic/${topic}`) ?? [])
    socket.send(bytes, { binary: false });
});
http.listen({ port, host: '127.0.0.1', backlog: 4096 }, () => console.error('ready'));
