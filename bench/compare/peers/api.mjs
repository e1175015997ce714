// POST /api/publish, as ringcastd has it, over connections that stay open.
import { createServer } from 'node:http';

export function serveApi(port, publish) {
  createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (piece) => { body += piece; });
    request.on('end', async () => {
      await publish(JSON.parse(body));
      response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': 2 });
      response.end('{}');
    });
  }).listen({ port, host: '127.0.0.1', backlog: 4096 });
}
