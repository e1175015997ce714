// uWebSockets.js as a notification server: uws.mjs PORT API-PORT [echo]. No compression; its own publish().
import uws from 'uwebsockets';

const [port, apiPort, echo] = process.argv.slice(2);
const app = uws.App();
app.ws('/*', {
  compression: uws.DISABLED,
  idleTimeout: 0,
  sendPingsAutomatically: false,
  maxBackpressure: 1024 * 1024,
  message(socket, bytes, isBinary) {
    if (echo) return socket.send(bytes, isBinary);
    const { id, data } = JSON.parse(Buffer.from(bytes));
    for (const topic of data.topics ?? []) socket.subscribe(`topic/${topic}`);
    if (data.userId !== undefined) socket.subscribe(`user/${data.userId}`);
    if (id !== undefined) socket.send(JSON.stringify({ type: 'ack', id, data: {} }));
  },
});
uws.App().post('/api/publish', (response, request) => {
  let body = '';
  response.onAborted(() => {});
  response.onData((piece, last) => {
    body += Buffer.from(piece).toString();
    if (!last) return;
    const { type, topic, userId, data } = JSON.parse(body);
    app.publish(topic === undefined ? `user/${userId}` : `topic/${topic}`, JSON.stringify({ type, data }));
    response.cork(() => response.writeHeader('Content-Type', 'application/json').end('{}'));
  });
}).listen('127.0.0.1', Number(apiPort), () => {});
app.listen('127.0.0.1', Number(port), (socket) => console.error(socket ? 'ready' : 'cannot listen'));
