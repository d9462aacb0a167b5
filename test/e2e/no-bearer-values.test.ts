import { readdirSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { clientCredentialsGrant, tokenRevocation } from 'openid-client';
import pg from 'pg';
import type { Browser } from '../support/browser.ts';
import { declare, SERVER_ENV } from '../support/built-curfew.ts';
import { PASSWORD, SECRET } from '../support/curfew.ts';
import { newBrowser, relyingParty, type Tokens } from '../support/relying-party.ts';
import { type CurfewProcess, embeddedUrl, startProcess, temporaryFolder } from '../support/server-process.ts';

/** Kept aside on purpose: what a thief of the database does not have. */
const SECRET_FILES = ['secrets', 'postgres.password'];

let dataDir: string;
let server: CurfewProcess;
let database: pg.Client;
const bearers = new Map<string, string>();

beforeAll(async () => {
  const cwd = await temporaryFolder();
  dataDir = join(cwd, '.curfew');
  await writeFile(join(cwd, 'curfew.yaml'), 'clients: []\n');
  const { CURFEW_SECRET: _generated, ...settings } = SERVER_ENV;
  server = await startProcess({ cwd, env: { ...settings, CONFIG: 'curfew.yaml', LOG_LEVEL: 'trace' } });
  await declare(embeddedUrl(dataDir), ['alice', 'bob']);
  database = new pg.Client({ connectionString: embeddedUrl(dataDir) });
  database.on('error', () => undefined);
  await database.connect();
  await beBusy();
});
afterAll(async () => {
  await database.end().catch(() => undefined);
  await server.stop();
});

function keep(what: string, value: string | undefined): void {
  if (value !== undefined && value.length >= 16) bearers.set(value, what);
}

function keepTokens(tokens: Tokens): Tokens {
  keep('access token', tokens.access_token);
  keep('refresh token', tokens.refresh_token);
  keep('ID token', tokens.id_token);
  return tokens;
}

function keepCookies(browser: Browser): void {
  for (const [name, value] of browser.cookies()) keep(`cookie ${name}`, value);
}

/** Everything that makes or takes a bearer value, and some of it while the database fails. */
async function beBusy(): Promise<void> {
  keep('password', PASSWORD);
  keep('client secret', SECRET);
  for (const [clientId, scope] of [
    ['app', 'openid profile'],
    ['third', 'openid offline_access'],
    ['public', 'openid'],
    ['strict', 'openid'],
  ] as const) {
    const client = await relyingParty(server.issuer, clientId, redirectUriOf(clientId));
    const browser = newBrowser(server.issuer);
    const opened = await client.authorize(browser, { scope, prompt: clientId === 'third' ? 'consent' : 'login' });
    keepCookies(browser);
    keep('form token', /name="csrf" value="([^"]*)"/.exec(opened.page.text)?.[1]);
    await browser.submit(opened.page, { login: 'alice', password: `not ${PASSWORD}` }, '/login');
    const flow = await client.signIn(browser, 'alice', { scope, prompt: clientId === 'third' ? 'consent' : 'login' });
    keepCookies(browser);
    keep('code', flow.callback?.searchParams.get('code') ?? undefined);
    const tokens = keepTokens(await flow.redeem());
    const refreshed = keepTokens(await client.refresh(tokens.refresh_token));
    await client.refresh(tokens.refresh_token).catch(() => undefined);
    await flow.redeem().catch(() => undefined);
    await client.userinfo(refreshed.access_token);
    if (clientId !== 'public') await client.introspect(refreshed.access_token);
    await client.authorize(browser, { scope, prompt: 'none' });
    keepCookies(browser);
    await failInside(() => client.refresh(refreshed.refresh_token));
    await failInside(() => client.authorize(browser, { scope, prompt: 'login' }).then((failed) => failed.redeem()));
    await tokenRevocation(client.configuration, refreshed.access_token);
    await browser.open(`${server.issuer}/logout?id_token_hint=${tokens.id_token}`);
    keepCookies(browser);
  }
  const service = await relyingParty(server.issuer, 'service', 'https://service.example/');
  keep('service token', (await clientCredentialsGrant(service.configuration)).access_token);
  await database.query('CHECKPOINT');
}

/** What fails unforeseen is logged with all that is known of it. */
async function failInside(work: () => Promise<unknown>): Promise<void> {
  await database.query(`CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE EXCEPTION 'out of order' USING DETAIL = new::text; END$$`);
  await database.query('CREATE TRIGGER fail BEFORE INSERT ON artifact FOR EACH ROW EXECUTE FUNCTION fail()');
  await work().catch(() => undefined);
  await database.query('DROP TRIGGER fail ON artifact');
}

function redirectUriOf(clientId: string): string {
  return clientId === 'public' ? 'https://spa.example/cb' : `https://${clientId}.example/cb`;
}

/** As it is, and as the dumps and columns of Postgres would show its bytes. */
function formsOf(value: string): Buffer[] {
  const bytes = Buffer.from(value);
  const forms = [bytes, Buffer.from(bytes.toString('hex')), Buffer.from(bytes.toString('base64').replace(/=+$/, ''))];
  // What a random value encodes, where it is one in base64url.
  return /^[\w-]{22,}$/.test(value) ? [...forms, Buffer.from(value, 'base64url')] : forms;
}

function findIn(content: Buffer, where: string): string[] {
  return [...bearers].flatMap(([value, what]) =>
    formsOf(value).some((form) => content.includes(form)) ? [`${what} in ${where}`] : [],
  );
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !SECRET_FILES.includes(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('after a busy run, with everything logged', () => {
  it('there were bearer values of every kind', () => {
    const kinds = [
      'cookie curfew_session',
      'cookie curfew_interaction',
      'cookie curfew_resume',
      'code',
      'access token',
    ];
    expect([...bearers.values()]).toEqual(
      expect.arrayContaining([...kinds, 'refresh token', 'ID token', 'service token', 'form token', 'password']),
    );
    expect(bearers.size).toBeGreaterThan(40);
    expect(server.stdout()).toContain('out of order');
  });

  it('none is in any row', async () => {
    const { rows: tables } = await database.query(
      `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'`,
    );
    const found: string[] = [];
    let size = 0;
    for (const { name } of tables) {
      const { rows } = await database.query(`SELECT to_jsonb(t)::text AS row FROM "${name}" t`);
      const dump = Buffer.from(rows.map(({ row }) => row).join('\n'));
      size += dump.length;
      found.push(...findIn(dump, name));
    }
    expect(found).toEqual([]);
    expect(size).toBeGreaterThan(50_000);
  });

  it('none is in any file of the data folder: tables, journal, logs', () => {
    const files = filesBelow(dataDir).map((file) => ({ file, content: readFileSync(file) }));
    expect(files.flatMap(({ file, content }) => findIn(content, file))).toEqual([]);
    // That looking finds what is there.
    expect(files.filter(({ content }) => content.includes('alice@example.test')).map(({ file }) => file)).toEqual(
      expect.arrayContaining([expect.stringContaining('pg_wal'), expect.stringContaining('base')]),
    );
  });

  it('none is in what the process said', () => {
    expect(findIn(Buffer.from(server.stdout() + server.stderr()), 'the log')).toEqual([]);
  });

  it('none is left in the data folder when all has stopped', async () => {
    await database.end();
    expect(await server.stop()).toMatchObject({ code: 0 });
    expect(filesBelow(dataDir).flatMap((file) => findIn(readFileSync(file), file))).toEqual([]);
  });
});
