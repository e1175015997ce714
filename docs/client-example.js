// A whole client for browsers: connects, subscribes, answers the server's pings, connects again when it lost
// the connection. What arrives is only printed here. Plain script, no library.

const address = 'ws://localhost:5000/ws';
const subscription = { userId: 123, topics: ['job_matches', 'application_updates'] };
const reconnectAfter = 5000; // milliseconds

const handlers = {
  ping: () => socket.send(JSON.stringify({ type: 'pong' })),
  notification: (data) => console.log('New notification:', data),
  job_update: (data) => console.log('Job update:', data),
  application_status: (data) => console.log('Application status update:', data),
  error: (data) => console.error('WebSocket error:', data),
};

function connect() {
  const opened = new WebSocket(address);
  opened.addEventListener('open', () => {
    console.log('Connected to WebSocket server');
    opened.send(JSON.stringify({ type: 'subscribe', data: subscription }));
  });
  opened.addEventListener('message', (event) => {
    const { type, data } = JSON.parse(event.data);
    if (Object.hasOwn(handlers, type)) handlers[type](data);
    else console.log('Unknown message type:', type);
  });
  opened.addEventListener('error', (event) => console.error('WebSocket error:', event));
  opened.addEventListener('close', (event) => {
    console.log('Disconnected from WebSocket server:', event.code, event.reason);
    const waiting = setTimeout(() => { socket = connect(); }, reconnectAfter);
    waiting.unref?.(); // in Node, waiting alone does not keep the program alive
  });
  return opened;
}

let socket = connect();
