import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type Browser, createBrowser } from '../support/browser.ts';
import { SERVER_ENV } from '../support/built-curfew.ts';
import { freePort } from '../support/curfew.ts';
import { emptyDatabase } from '../support/database.ts';
import {
  type CurfewProcess,
  postmasterOf,
  runProcess,
  startProcess,
  temporaryFolder,
} from '../support/server-process.ts';

const DEMO_READY = /Stop with Ctrl-C/;
const PKCE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';

describe('the first start, in an empty folder with nothing configured', () => {
  let cwd: string;
  let env: Record<string, string>;
  let browser: Browser;
  let first: CurfewProcess;
  let keys: unknown;
  let password: string;

  beforeAll(async () => {
    cwd = await temporaryFolder();
    env = { PORT: String(await freePort()) };
    first = await startProcess({ cwd, env, until: DEMO_READY });
    browser = createBrowser(first.issuer);
  });

  it('prints where the two demo clients are and who may sign in', () => {
    const text = first.stdout();
    expect(text).toMatch(/Team Wiki: http:\/\/127\.0\.0\.1:\d+\/\n/);
    expect(text).toMatch(/Payroll Admin: http:\/\/127\.0\.0\.1:\d+\/\n/);
    const accounts = [...text.matchAll(/Sign in as (\S+).* with the password (\S{16,}) /g)];
    expect(accounts.map(([, login]) => login)).toEqual(['alice', 'admin']);
    password = accounts[0]?.[2] ?? '';
    expect(text.split(password)).toHaveLength(2);
  });

  it('keeps its secrets from other people on the machine', () => {
    const dataDir = join(cwd, '.curfew');
    for (const name of readdirSync(dataDir)) {
      if (statSync(join(dataDir, name)).isFile()) {
        expect([name, (statSync(join(dataDir, name)).mode & 0o777).toString(8)]).toEqual([name, '600']);
      }
    }
    expect(existsSync(join(dataDir, 'secrets'))).toBe(true);
    expect(statSync(join(dataDir, 'postgres')).mode & 0o077).toBe(0);
    expect(statSync(dataDir).mode & 0o066).toBe(0);
  });

  it('is alive and ready', async () => {
    expect(await (await fetch(`${first.issuer}/healthz`)).json()).toEqual({ status: 'ok' });
    const ready = await fetch(`${first.issuer}/readyz`);
    expect([ready.status, await ready.json()]).toEqual([
      200,
      expect.objectContaining({ status: 'ready', database: true, migrations: true, clock: true }),
    ]);
  });

  it('signs the first account in', async () => {
    const page = await browser.open(authorizeUrl(first));
    const done = await browser.submit(page, { login: 'alice', password }, '/login');
    expect(new URL(done.url).searchParams.get('code')).toBeTruthy();
    keys = await (await fetch(`${first.issuer}/jwks`)).json();
  });

  it('finds everything as it was at the second start, and shows no password again', async () => {
    expect(await first.stop()).toMatchObject({ code: 0 });
    expect(postmasterOf(join(cwd, '.curfew'))).toBeUndefined();
    const second = await startProcess({ cwd, env, until: DEMO_READY });

    expect(await (await fetch(`${second.issuer}/jwks`)).json()).toEqual(keys);
    const silent = await browser.open(authorizeUrl(second, { prompt: 'none' }));
    expect([...new URL(silent.url).searchParams.keys()]).toContain('code');
    expect(second.stdout()).toContain('The accounts alice and admin are there');
    expect(second.stdout()).not.toMatch(/with the password/);
    expect(second.stdout()).not.toContain(password);
    expect(await second.stop()).toMatchObject({ code: 0 });
  });

  function authorizeUrl({ issuer, stdout }: CurfewProcess, more: Record<string, string> = {}): string {
    const wiki = /Team Wiki: (\S+)/.exec(stdout())?.[1] ?? '';
    const redirect_uri = `${wiki}callback`;
    const asked = { client_id: 'team-wiki', response_type: 'code', scope: 'openid', redirect_uri, ...more };
    return `${issuer}/authorize?${new URLSearchParams({ ...asked, code_challenge: PKCE, code_challenge_method: 'S256' })}`;
  }
});

describe('ports in use', () => {
  it('moves the demo clients to free ports and prints those', async () => {
    const squatters = [4001, 4002].map((port) =>
      createServer()
        .on('error', () => undefined)
        .listen(port, '127.0.0.1'),
    );
    const server = await startProcess({ cwd: await temporaryFolder(), until: DEMO_READY });
    const ports = [...server.stdout().matchAll(/: http:\/\/127\.0\.0\.1:(\d+)\//g)].map(([, port]) => Number(port));
    expect(ports).toHaveLength(2);
    for (const port of ports) {
      expect([4001, 4002]).not.toContain(port);
      expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
    }
    expect(server.stdout()).toMatch(/Port 400[12] is in use/);
    for (const squatter of squatters) squatter.close();
    expect(await server.stop()).toMatchObject({ code: 0 });
  });

  it('says in one sentence that PORT is taken, and leaves no database running', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => squatter.once('listening', resolve));
    const { port } = squatter.address() as AddressInfo;
    const cwd = await temporaryFolder();
    const { code, stderr } = await runProcess({ cwd, env: { PORT: String(port) } });
    expect([code, stderr]).toEqual([
      1,
      `curfew: Port ${port} is in use: stop what listens there, or set PORT to another one.\n`,
    ]);
    expect(postmasterOf(join(cwd, '.curfew'))).toBeUndefined();
    squatter.close();
  });
});

describe('settings', () => {
  it('says all that production lacks at once, and starts nothing', async () => {
    const cwd = await temporaryFolder();
    const { code, stdout, stderr } = await runProcess({ cwd, env: { NODE_ENV: 'production' } });
    expect([code, stdout]).toEqual([1, '']);
    for (const name of ['ISSUER', 'DATABASE_URL', 'CURFEW_SECRET'])
      expect(stderr).toMatch(new RegExp(`^ +${name}: `, 'm'));
    expect(readdirSync(cwd)).toEqual([]);
  });

  it('reports every wrong one at once with what is expected, whether from .env or the environment', async () => {
    const cwd = await temporaryFolder();
    writeFileSync(join(cwd, '.env'), 'LOG_LEVEL=loud\nPORT=99999\nDATABASE_POOL_SIZE=none\n');
    const env = { ISSUER: 'http://id.example.com/path', TRUST_PROXY: 'everyone', LOG_LEVEL: '', PORT: '' };
    const { code, stderr } = await runProcess({ cwd, env });
    expect(code).toBe(1);
    for (const name of ['ISSUER', 'TRUST_PROXY', 'LOG_LEVEL', 'PORT', 'DATABASE_POOL_SIZE']) {
      expect(stderr).toMatch(new RegExp(`^ +${name}: expected `, 'm'));
    }
    expect(readdirSync(cwd)).toEqual(['.env']);
  });

  it('does not show a wrong secret', async () => {
    const secret = 'too-short-to-be-a-key';
    const url = 'mysql://curfew:hunter2@db/curfew';
    const env = { CURFEW_SECRET: secret, DATABASE_URL: url };
    const { code, stderr } = await runProcess({ cwd: await temporaryFolder(), env });
    expect(code).toBe(1);
    expect(stderr).toMatch(/CURFEW_SECRET: expected/);
    expect(stderr).not.toContain(secret);
    expect(stderr).not.toContain('hunter2');
  });

  it('names the CONFIG file that can not be read, or the line in it that is wrong', async () => {
    const { url, drop } = await emptyDatabase();
    const cwd = await temporaryFolder();
    const env = { ...SERVER_ENV, DATABASE_URL: url };
    const missing = await runProcess({ cwd, env: { ...env, CONFIG: 'nowhere.yaml' } });
    expect(missing).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^curfew: CONFIG: \S*nowhere\.yaml .*\n$/),
    });
    writeFileSync(join(cwd, 'curfew.yaml'), 'clients: []\npolicy:\n  default: { idle: 2h, absolute: 1h }\n');
    const wrong = await runProcess({ cwd, env: { ...env, CONFIG: 'curfew.yaml' } });
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringMatching(/curfew\.yaml:3:\d+/) });
    await drop();
  });
});

describe('a secret that is not the one of the data', () => {
  it('is told of in one sentence, and the process ends', async () => {
    const { url, drop } = await emptyDatabase();
    const env = { ...SERVER_ENV, DATABASE_URL: url };
    expect(await (await startProcess({ env })).stop()).toMatchObject({ code: 0 });
    const other = Buffer.alloc(32, 8).toString('base64url');
    const { code, stderr, milliseconds } = await runProcess({ env: { ...env, CURFEW_SECRET: other } });
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^curfew: signing key \S+ can't be decrypted: .*CURFEW_SECRET.*\n$/),
    ]);
    expect(milliseconds).toBeLessThan(10_000);
    await drop();
  });
});

describe('a data folder that can not be used', () => {
  it('says that it was made by another Postgres version, and what to do', async () => {
    const cwd = await temporaryFolder();
    await mkdir(join(cwd, 'data', 'postgres'), { recursive: true });
    writeFileSync(join(cwd, 'data', 'postgres', 'PG_VERSION'), '15\n');
    const { code, stderr } = await runProcess({ cwd, env: { DATA_DIR: 'data' } });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^curfew: \S+ was made by Postgres 15, and the embedded one is 18: .*DATABASE_URL.*\n$/);
  });

  it('says that a file is in its place', async () => {
    const cwd = await temporaryFolder();
    writeFileSync(join(cwd, 'data'), '');
    const { code, stderr } = await runProcess({ cwd, env: { DATA_DIR: 'data' } });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^curfew: \S+data can't be used \(.*\): .*DATA_DIR\.\n$/);
  });

  it('says that a folder whose secrets were damaged needs its backup', async () => {
    const cwd = await temporaryFolder();
    const { url, drop } = await emptyDatabase();
    await mkdir(join(cwd, 'data'));
    writeFileSync(join(cwd, 'data', 'secrets'), 'gone\n', { mode: 0o600 });
    const env = { DATA_DIR: 'data', DATABASE_URL: url };
    const { code, stderr } = await runProcess({ cwd, env });
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^curfew: \S+secrets holds no key .*backup\.\n$/)]);
    await drop();
  });

  const asRoot = process.getuid?.() === 0;
  it(`${asRoot ? 'takes another default where its Postgres can not reach the home folder' : 'works in a home folder of mode 0700'}`, async () => {
    const home = await temporaryFolder();
    const cwd = join(home, 'project');
    await mkdir(cwd);
    await chmod(home, 0o700);
    const server = await startProcess({ cwd, until: DEMO_READY });
    expect((await fetch(`${server.issuer}/readyz`)).status).toBe(200);
    const elsewhere = /so the data is kept in (\S+)\./.exec(server.stdout())?.[1];
    expect(await server.stop()).toMatchObject({ code: 0 });
    if (asRoot) {
      expect(elsewhere).toMatch(/^\/var\/lib\/curfew\/project-/);
      await rm(elsewhere ?? '', { recursive: true });
    }
    expect(existsSync(join(cwd, '.curfew', 'postgres'))).toBe(!asRoot);
  });
});

describe('a migration that can not be applied', () => {
  it('says in one sentence which, why and what to do, and keeps nothing of what failed half way', async () => {
    const { url, drop } = await emptyDatabase();
    const query = await connect(url);
    const inTheWay = 'is_live(timestamptz, timestamptz)';
    await query(`CREATE FUNCTION ${inTheWay} RETURNS text LANGUAGE sql AS 'SELECT NULL::text'`);
    const env = { ...SERVER_ENV, DATABASE_URL: url };
    const { code, stderr } = await runProcess({ env });
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^curfew: The migration 0001_init failed \(ERROR: function "is_live" already exists.*\n$/),
    ]);
    expect(await query(`SELECT proname FROM pg_proc WHERE proname LIKE 'curfew%'`)).toEqual([]);
    await query(`DROP FUNCTION ${inTheWay}`);
    const server = await startProcess({ env });
    expect(await server.stop()).toMatchObject({ code: 0 });
    await query.end();
    await drop();
  });

  it("leaves a database alone that is somebody else's", async () => {
    const { url, drop } = await emptyDatabase();
    const query = await connect(url);
    await query('CREATE TABLE theirs (id int)');
    const { code, stderr } = await runProcess({ env: { ...SERVER_ENV, DATABASE_URL: url } });
    expect([code, stderr]).toEqual([
      1,
      "curfew: The database holds tables that are not Curfew's: set DATABASE_URL to an empty database.\n",
    ]);
    await query.end();
    await drop();
  });

  async function connect(url: string) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const query = async (sql: string) => (await client.query<Record<string, unknown>>(sql)).rows;
    return Object.assign(query, { end: () => client.end() });
  }
});
