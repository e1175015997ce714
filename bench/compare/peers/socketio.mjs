// Socket.IO as a notification server: socketio.mjs PORT API-PORT. WebSockets alone, no compression.
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { serveApi } from './api.mjs';

const [port, apiPort] = process.argv.slice(2);
const http = createServer();
const io = new Server(http, { transports: ['websocket'], perMessageDeflate: false, serveClient: false });
io.on('connection', (socket) => {
  socket.on('subscribe', ({ topics, userId }, answer) => {
    for (const topic of topics ?? []) socket.join(`topic/${topic}`);
    if (userId !== undefined) socket.join(`user/${userId}`);
    answer();
  });
});
serveApi(apiPort, ({ type, topic, userId, data }) => {
  io.to(topic === undefined ? `user/${userId}` : `topic/${topic}`).emit('message', { type, data });
});
http.listen({ port, host: '127.0.0.1', backlog: 4096 }, () => console.error('ready'));
