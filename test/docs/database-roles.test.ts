import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { runCurfew } from '../cli/curfew.ts';
import { declare, SERVER_ENV } from '../support/built-curfew.ts';
import { newBrowser, relyingParty } from '../support/relying-party.ts';
import { startProcess } from '../support/server-process.ts';
import { CLUSTER_URL_VARIABLE } from '../support/test-cluster.ts';
import { blocksOf, readDocument } from './documents.ts';

const suffix = randomBytes(4).toString('hex');
const OWNER = `owner_${suffix}`;
const SERVER = `server_${suffix}`;
const DATABASE = `roles_${suffix}`;

/** The statements that administrators are told to run, for roles and a database of this test's own. */
const [asSuperuser = '', asOwner = ''] = blocksOf(readDocument('docs/operations.md'), 'sql').map((sql) =>
  sql
    .replaceAll('curfew_owner', OWNER)
    .replaceAll('curfew_server', SERVER)
    .replace('DATABASE curfew ', `DATABASE ${DATABASE} `),
);

function urlFor(role?: string, password?: string): string {
  const url = new URL(process.env[CLUSTER_URL_VARIABLE] ?? '');
  if (role !== undefined) url.pathname = `/${DATABASE}`;
  if (role !== undefined) url.username = role;
  if (password !== undefined) url.password = password;
  return url.href;
}

async function run(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const statements = sql.split(';').map((statement) => statement.trim());
    for (const statement of statements.filter((text) => text !== '')) await client.query(statement);
  } finally {
    await client.end();
  }
}

const owner = () => urlFor(OWNER, 'one');
const server = () => urlFor(SERVER, 'another');

beforeAll(async () => {
  await run(urlFor(), asSuperuser);
  await run(owner(), asOwner);
});
afterAll(async () => {
  await run(urlFor(), `DROP DATABASE ${DATABASE} WITH (FORCE); DROP ROLE ${SERVER}; DROP ROLE ${OWNER}`);
});

describe('the two database roles of docs/operations.md', () => {
  it('let the owner migrate and the server serve, which can change no table', async () => {
    const migrated = await runCurfew(['migrate'], { env: { ...SERVER_ENV, DATABASE_URL: owner() } });
    expect(migrated).toMatchObject({ code: 0, stderr: '' });
    await declare(server());

    const curfew = await startProcess({ env: { ...SERVER_ENV, DATABASE_URL: server() } });
    const app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
    const tokens = await (await app.signIn(newBrowser(curfew.issuer), 'alice')).redeem();
    expect(await app.introspect(tokens.access_token)).toMatchObject({ active: true });
    const env = { ...SERVER_ENV, DATABASE_URL: server() };
    const ended = await runCurfew(['account', 'delete', 'alice'], { env });
    expect(ended.stdout).toBe('Account alice is deleted; 1 session ended.\n');
    expect(await app.introspect(tokens.access_token)).toEqual({ active: false });
    expect(await curfew.stop()).toMatchObject({ code: 0 });

    await expect(run(server(), 'ALTER TABLE session ADD COLUMN more text')).rejects.toThrow(/must be owner/);
  });
});
