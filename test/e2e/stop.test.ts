import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { SERVER_ENV } from '../support/built-curfew.ts';
import { freePort, PASSWORD, SECRET } from '../support/curfew.ts';
import { newBrowser, type RelyingParty, relyingParty } from '../support/relying-party.ts';
import {
  type CurfewProcess,
  embeddedUrl,
  isAlive,
  postmasterOf,
  runProcess,
  startProcess,
  temporaryFolder,
  until,
} from '../support/server-process.ts';

const YAML = `
clients:
  - client_id: app
    client_secret_env: APP_SECRET
    redirect_uris: [https://app.example/cb]
    grant_types: [authorization_code, refresh_token]
    first_party: true
policy:
  default: { idle: 15m, absolute: 8h, activity: [interactive, refresh] }
`;

let cwd: string;
let dataDir: string;
let env: Record<string, string>;
let app: RelyingParty;
let openConnection: pg.Client | undefined;
const browser = newBrowser('');

const start = () => startProcess({ cwd, env });
const command = (args: string[], stdin?: string) =>
  runProcess({ cwd, env, args, ...(stdin !== undefined && { stdin }) });

/** An embedded server that is no demo, with somebody signed in; all tests go on with the same data folder. */
beforeAll(async () => {
  cwd = await temporaryFolder();
  dataDir = join(cwd, '.curfew');
  await writeFile(join(cwd, 'curfew.yaml'), YAML);
  const { CURFEW_SECRET: _generated, ...settings } = SERVER_ENV;
  env = { ...settings, PORT: String(await freePort()), CONFIG: 'curfew.yaml', APP_SECRET: SECRET };
  const server = await start();
  await command(['account', 'add', '--login', 'alice', '--password-stdin'], PASSWORD);
  Object.assign(browser, newBrowser(server.issuer));
  app = await relyingParty(server.issuer, 'app', 'https://app.example/cb');
  await (await app.signIn(browser, 'alice')).redeem();
  expect(await server.stop()).toMatchObject({ code: 0 });
});
afterEach(async () => {
  await openConnection?.end().catch(() => undefined);
  openConnection = undefined;
});

/** Keeps whoever needs that waiting, until the connection is let go. */
async function hold(sql: string): Promise<{ release(): Promise<void>; hasWaiter(): Promise<boolean> }> {
  const [client, looker] = [1, 2].map(() => new pg.Client({ connectionString: embeddedUrl(dataDir) }));
  for (const each of [client, looker]) {
    each?.on('error', () => undefined);
    await each?.connect();
  }
  if (!client || !looker) throw new Error('two connections');
  openConnection = client;
  await client.query('BEGIN');
  await client.query(sql);
  return {
    async release() {
      await looker.end();
      await client.query('ROLLBACK').catch(() => undefined);
      await client.end().catch(() => undefined);
    },
    async hasWaiter() {
      const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = 'curfew'`;
      return (await looker.query(waiting)).rowCount !== 0;
    },
  };
}

/** Somebody's silent sign-in, which needs the row of their session. */
async function requestInFlight() {
  const lock = await hold('SELECT FROM session FOR UPDATE');
  const answer = app.authorize(browser, { prompt: 'none' }).then(
    ({ callback }) => callback?.searchParams.has('code'),
    () => 'connection lost',
  );
  await until('the request waits for the row', () => lock.hasWaiter());
  return { answer, release: lock.release };
}

async function refusesConnections({ port }: CurfewProcess): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}

async function isSignedIn(): Promise<boolean> {
  return (await app.authorize(browser, { prompt: 'none' })).callback?.searchParams.has('code') ?? false;
}

describe('a stop', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('by %s finishes what is in flight, and stops Postgres', async (signal) => {
    const server = await start();
    const postgres = postmasterOf(dataDir) ?? 0;
    const { answer, release } = await requestInFlight();
    server.signal(signal);
    await until('nobody new is let in', () => refusesConnections(server));
    await release();

    expect(await answer).toBe(true);
    const exit = await server.exited;
    expect(exit).toMatchObject({ code: 0, signal: null });
    expect(exit.milliseconds).toBeLessThan(10_000);
    expect(postmasterOf(dataDir)).toBeUndefined();
    expect(isAlive(postgres)).toBe(false);
  });

  it('does not wait longer than 10 s for a request that hangs', async () => {
    const server = await start();
    const { answer, release } = await requestInFlight();
    server.signal('SIGTERM');
    const exit = await server.exited;
    expect(exit).toMatchObject({ code: 0, signal: null });
    expect(exit.milliseconds).toBeLessThan(10_000);
    expect(await answer).toBe('connection lost');
    expect(postmasterOf(dataDir)).toBeUndefined();
    await release();
  });

  it('ends at once at the second Ctrl-C', async () => {
    const server = await start();
    const { answer, release } = await requestInFlight();
    server.signal('SIGINT');
    await until('nobody new is let in', () => refusesConnections(server));
    // The same key once more, as npm passes it on.
    server.signal('SIGINT');
    await delay(400);
    expect(isAlive(server.pid)).toBe(true);
    server.signal('SIGINT');
    const exit = await server.exited;
    expect(exit.code).toBe(1);
    expect(exit.milliseconds).toBeLessThan(1_000);
    expect(await answer).toBe('connection lost');
    await release();
  });
});

describe('after kill -9 of the server', () => {
  it('the next start takes its Postgres over, finds everyone signed in, and stops it in the end', async () => {
    const killed = await start();
    expect(await isSignedIn()).toBe(true);
    const orphan = postmasterOf(dataDir) ?? 0;
    killed.signal('SIGKILL');
    await killed.exited;
    expect(isAlive(orphan)).toBe(true);

    const server = await start();
    expect(await isSignedIn()).toBe(true);
    expect(await server.stop()).toMatchObject({ code: 0 });
    expect(postmasterOf(dataDir)).toBeUndefined();
    expect(isAlive(orphan)).toBe(false);
  });
});

describe('kill -9 of the embedded Postgres', () => {
  it('is answered by 503 until it is back by itself', async () => {
    const server = await start();
    const killed = postmasterOf(dataDir) ?? 0;
    process.kill(killed, 'SIGKILL');
    const seen = new Set<number>();
    await until('the server serves again', async () => {
      const response = await fetch(`${server.issuer}/session`, { headers: { cookie: cookies() } });
      seen.add(response.status);
      if (response.status === 503) expect(response.headers.get('retry-after')).toBe('5');
      return response.status === 200 && postmasterOf(dataDir) !== killed;
    });
    expect([...seen].sort()).toEqual(expect.arrayContaining([200]));
    expect([...seen].filter((status) => status !== 200 && status !== 503)).toEqual([]);
    expect(await isSignedIn()).toBe(true);
    expect(server.stdout()).toContain('The embedded Postgres is gone and is started again.');
    expect(await server.stop()).toMatchObject({ code: 0 });
    expect(postmasterOf(dataDir)).toBeUndefined();
  });

  const cookies = () => [...browser.cookies()].map(([name, value]) => `${name}=${value}`).join('; ');
});

describe('a server and commands on one data folder', () => {
  it('start together on an empty one, and all succeed', async () => {
    const fresh = await temporaryFolder();
    const port = String(await freePort());
    const [server, ...commands] = await Promise.all([
      startProcess({ cwd: fresh, env: { ...env, PORT: port, CONFIG: '' }, until: /Stop with Ctrl-C/ }),
      runProcess({ cwd: fresh, env, args: ['account', 'list', '--json'] }),
      runProcess({ cwd: fresh, env, args: ['migrate'] }),
    ]);
    expect(commands).toEqual([expect.objectContaining({ code: 0 }), expect.objectContaining({ code: 0 })]);
    expect((await fetch(`${server.issuer}/readyz`)).status).toBe(200);
    const beside = await runProcess({ cwd: fresh, env, args: ['account', 'list', '--json'] });
    expect(
      JSON.parse(beside.stdout)
        .map(({ login }: { login: string }) => login)
        .sort(),
    ).toEqual(['admin', 'alice']);
    expect(await server.stop()).toMatchObject({ code: 0 });
    expect(postmasterOf(join(fresh, '.curfew'))).toBeUndefined();
  });

  it('let a command finish that still runs when the server stops; the last one stops Postgres', async () => {
    const server = await start();
    const lock = await hold('SELECT FROM account FOR UPDATE');
    const disabled = command(['account', 'update', 'alice', '--email', 'alice@example.test']);
    await until('the command waits for the row', () => lock.hasWaiter());
    expect(await server.stop()).toMatchObject({ code: 0 });
    expect(postmasterOf(dataDir)).toBeDefined();
    await lock.release();
    expect(await disabled).toMatchObject({ code: 0 });
    expect(postmasterOf(dataDir)).toBeUndefined();
  });
});
