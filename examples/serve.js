// @ts-check
// Serves the repository's files to a page that shares memory between threads: `node examples/serve.js`, then open the address it prints.
//
// The two headers make a page cross-origin isolated; without them it has no SharedArrayBuffer. `--plain` leaves them out, to see what then happens.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const isolated = !process.argv.includes('--plain');
const headers = isolated
  ? { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }
  : {};
/** @type {Record<string, string>} */
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8' };

const server = createServer(async ({ url = '/' }, response) => {
  try {
    // `normalize` takes out every `..` that would lead above the root.
    const path = join(root, normalize(decodeURIComponent(new URL(url, 'http://localhost').pathname)));
    if (!(await stat(path)).isFile()) throw new Error('no file');
    const type = types[extname(path)] ?? 'application/octet-stream';
    response.writeHead(200, { ...headers, 'Content-Type': type });
    createReadStream(path).pipe(response);
  } catch {
    response.writeHead(404, headers).end('not found');
  }
});
server.listen(Number(process.env['PORT'] ?? 8080), '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  console.log(`http://127.0.0.1:${port}/examples/stress.html`);
});
