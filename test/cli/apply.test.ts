import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findClient } from '../../src/clients/registry.ts';
import { secretMatches } from '../../src/clients/secret.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { runCurfew, temporaryFolder } from './curfew.ts';

let database: TestDatabase;
let cwd: string;

beforeAll(async () => {
  database = await testDatabase();
  cwd = await temporaryFolder();
});
afterAll(async () => {
  await database.close();
  await rm(cwd, { recursive: true });
});

async function apply(text: string, args: string[] = [], env: Record<string, string> = {}) {
  await writeFile(join(cwd, 'curfew.yaml'), text);
  return runCurfew(['apply', 'curfew.yaml', ...args], { cwd, env: { DATABASE_URL: database.url, ...env } });
}

const text = `clients:
  - client_id: notes
    redirect_uris: [https://notes.example.com/cb]
  - client_id: chat
    redirect_uris: [https://chat.example.com/cb]
    client_secret_env: CHAT_SECRET
policy:
  default: { idle: 10m }
`;
const CHAT_SECRET = 'c'.repeat(43);

describe('curfew apply', () => {
  it('shows the difference without making it, then makes it, then finds none', async () => {
    const before = await apply(text, ['--dry-run'], { CHAT_SECRET });
    expect(before).toMatchObject({ code: 3, stdout: expect.stringContaining('+ client notes\n+ client chat\n') });
    expect(await findClient(database.db, 'notes')).toBeUndefined();

    const applied = await apply(text, [], { CHAT_SECRET });
    expect(applied).toMatchObject({ code: 0, stdout: expect.stringContaining('Policy version 1 holds.') });
    const [, secret = ''] = /^Secret of client notes, shown only now: (\S+)$/m.exec(applied.stdout) ?? [];
    expect(secretMatches((await findClient(database.db, 'notes'))?.secretHash, secret)).toBe(true);
    expect(secretMatches((await findClient(database.db, 'chat'))?.secretHash, CHAT_SECRET)).toBe(true);
    expect(applied.stdout).not.toContain(CHAT_SECRET);

    expect(await apply(text, ['--dry-run'], { CHAT_SECRET })).toMatchObject({ code: 0, stdout: 'no difference\n' });
  });

  it('reads secrets from .env too, and the environment wins', async () => {
    await writeFile(join(cwd, '.env'), `CHAT_SECRET=${'d'.repeat(43)}\n`);
    const fromFile = await apply(text, ['--dry-run', '--json']);
    expect(JSON.parse(fromFile.stdout)).toMatchObject({ dryRun: true, changes: [], secretsChanged: ['chat'] });
    expect(fromFile.code).toBe(3);
    expect(await apply(text, ['--dry-run'], { CHAT_SECRET })).toMatchObject({ code: 0 });
    await writeFile(join(cwd, '.env'), '');
  });

  it.each([
    [
      'a wrong key',
      text.replace('redirect_uris', 'redirects'),
      /curfew\.yaml:3:5: clients\[0\]\.redirects: unknown key/,
    ],
    ['an impossible value', text.replace('10m', '0'), /curfew\.yaml:8:20: policy\.default\.idle: /],
    ['no YAML at all', 'clients: [', /curfew\.yaml:\d+:\d+: /],
    ['a missing secret', text, /CHAT_SECRET \(client_secret_env of client "chat"\): is not set/],
  ])('fails at %s and names the place', async (_what, wrong, place) => {
    const outcome = await apply(wrong);
    expect(outcome).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(place) });
  });

  it('tells what ended when a client is gone', async () => {
    const outcome = await apply('clients: []\npolicy: { default: { idle: 10m } }\n', ['--json']);
    expect(JSON.parse(outcome.stdout)).toEqual({
      dryRun: false,
      changes: [
        { kind: 'client_removed', clientId: 'chat' },
        { kind: 'client_removed', clientId: 'notes' },
      ],
      secretsChanged: [],
      generatedSecrets: [],
      policyVersion: 1,
      ended: { found: 0, ended: 0 },
    });
  });
});
