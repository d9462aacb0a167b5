import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createAccount } from '../../src/accounts/accounts.ts';
import { applyDeclaration } from '../../src/clients/apply.ts';
import { findClient } from '../../src/clients/registry.ts';
import { secretMatches } from '../../src/clients/secret.ts';
import { cheapHasher } from '../accounts/hashers.ts';
import { chat, declared, notes } from '../clients/declarations.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { givenParticipationRow, givenSessionRow } from '../support/given-rows.ts';
import { actor, runCurfew } from './curfew.ts';

let database: TestDatabase;
let sid: string;

beforeAll(async () => {
  database = await testDatabase();
  const { db } = database;
  await applyDeclaration(db, declared(`clients:${notes}${chat}`), { actor, secrets: new Map() });
  const { id } = await createAccount({ db, hasher: cheapHasher() }, { login: 'alice' }, { actor });
  sid = await givenParticipationRow(database, await givenSessionRow(database, id), 'notes');
});
afterAll(() => database.close());

const curfew = (...args: string[]) => runCurfew(['client', ...args], { env: { DATABASE_URL: database.url } });

describe('curfew client', () => {
  it('lists clients without anything of their secrets', async () => {
    const { stdout } = await curfew('list', '--json');
    const clients = JSON.parse(stdout) as object[];
    expect(clients).toMatchObject([
      { clientId: 'chat', presence: true, hasSecret: false },
      { clientId: 'notes', firstParty: true, data: ['restricted'], hasSecret: true },
    ]);
    expect(stdout).not.toMatch(/hash/i);
    expect((await curfew('list')).stdout).toMatch(/^notes +- +client_secret_basic +yes +restricted +-/m);
  });

  it('logs a client out, disables and enables it', async () => {
    const logout = await curfew('logout', 'notes', '--note', 'tokens leaked');
    expect(logout).toMatchObject({ code: 0, stdout: 'Client notes is signed out; 1 participation ended.\n' });
    expect((await database.db.participation.findUnique({ where: { sid } }))?.endReason).toBe('admin_forced');
    expect(await curfew('disable', 'notes')).toMatchObject({ code: 0 });
    expect(await findClient(database.db, 'notes')).toMatchObject({ disabledBy: 'hand' });
    expect(await curfew('enable', 'notes')).toMatchObject({ code: 0 });
    expect(await findClient(database.db, 'notes')).not.toHaveProperty('disabledAt');
  });

  it('shows a new secret once, and alone on its line', async () => {
    const { stdout } = await curfew('rotate-secret', 'notes');
    expect(secretMatches((await findClient(database.db, 'notes'))?.secretHash, stdout.trimEnd())).toBe(true);
    const { secret } = JSON.parse((await curfew('rotate-secret', 'notes', '--json')).stdout) as { secret: string };
    expect(secretMatches((await findClient(database.db, 'notes'))?.secretHash, secret)).toBe(true);
  });

  it.each([
    [['disable', 'nobody'], 1, 'no client nobody'],
    [['rotate-secret', 'chat'], 2, 'client chat does not authenticate with a secret'],
  ])('refuses %p', async (args, code, sentence) => {
    expect(await curfew(...args)).toMatchObject({ code, stdout: '', stderr: expect.stringContaining(sentence) });
  });
});
