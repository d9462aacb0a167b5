// Starts the built server as a newcomer would, in an empty folder with nothing configured, and signs in once over HTTP.
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'curfew-newcomer-'));
// As folders of people are: root's Postgres is another user, who must get in.
chmodSync(folder, 0o755);
const port = await freePort();
const server = spawn(process.execPath, [main, 'serve'], {
  cwd: folder,
  env: { PATH: process.env.PATH, HOME: folder, PORT: String(port), LOG_LEVEL: 'warn' },
  stdio: ['ignore', 'pipe', 'inherit'],
});
const exited = new Promise((resolve) => server.once('exit', (code, signal) => resolve(code ?? signal)));

try {
  const printed = await untilPrinted(/Stop with Ctrl-C/);
  const wiki = /Team Wiki: (\S+)/.exec(printed)?.[1];
  const [, login, password] = /Sign in as (\S+) with the password (\S+)/.exec(printed) ?? [];
  if (!wiki || !login || !password) throw new Error(`no address or account in:\n${printed}`);

  const signedIn = await signIn(new URL('/sign-in', wiki).href, { login, password });
  if (!signedIn.includes('Alice')) throw new Error(`not signed in:\n${signedIn}`);
  console.log('A newcomer signed in.');
} finally {
  server.kill('SIGTERM');
  const code = await exited;
  rmSync(folder, { recursive: true, force: true });
  if (code !== 0) {
    console.error(`the server ended with ${code}`);
    process.exitCode = 1;
  }
}

async function untilPrinted(pattern) {
  let text = '';
  for await (const chunk of server.stdout) {
    text += chunk;
    if (pattern.test(text)) return text;
  }
  throw new Error(`the server ended before it was ready:\n${text}`);
}

/** Follows redirects and fills in the one form on the way, with a cookie jar for each origin. */
async function signIn(start, fields) {
  const jars = new Map();
  let url = start;
  let init = {};
  for (let step = 0; step < 20; step += 1) {
    const { origin } = new URL(url);
    const jar = jars.get(origin) ?? new Map();
    jars.set(origin, jar);
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const headers = { accept: 'text/html', cookie, ...init.headers };
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [pair] = line.split(';');
      jar.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1));
    }
    const html = await response.text();
    const next = response.headers.get('location') ?? /http-equiv="refresh" content="0;url=([^"]*)"/.exec(html)?.[1];
    if (next !== undefined && next !== null) {
      url = new URL(next.replaceAll('&amp;', '&'), url).href;
      init = {};
    } else if (html.includes('name="password"')) {
      const action = /<form[^>]*action="([^"]*\/login)"/.exec(html)?.[1];
      const csrf = /name="csrf" value="([^"]*)"/.exec(html)?.[1] ?? '';
      url = new URL(action, url).href;
      init = {
        method: 'POST',
        body: new URLSearchParams({ ...fields, csrf }),
        headers: { origin: new URL(url).origin },
      };
    } else {
      return html;
    }
  }
  throw new Error(`still redirected, at ${url}`);
}

function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
