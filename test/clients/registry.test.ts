import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createAccount } from '../../src/accounts/accounts.ts';
import { applyDeclaration } from '../../src/clients/apply.ts';
import { findConsent, recordConsent } from '../../src/clients/consent.ts';
import {
  disableClient,
  enableClient,
  findClient,
  listClients,
  logoutClient,
  rotateSecret,
} from '../../src/clients/registry.ts';
import { secretMatches } from '../../src/clients/secret.ts';
import { cheapHasher } from '../accounts/hashers.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { givenParticipationRow, givenServiceTokenRow, givenSessionRow } from '../support/given-rows.ts';
import { chat, declared, notes, robot } from './declarations.ts';

let database: TestDatabase;
let accountId: string;
const act = { actor: 'command_line:test', note: 'being replaced' };

beforeAll(async () => {
  database = await testDatabase();
  const { db } = database;
  const declaration = declared(`clients:${notes}${chat}${robot}`);
  await applyDeclaration(db, declaration, { actor: act.actor, secrets: new Map() });
  accountId = (await createAccount({ db, hasher: cheapHasher() }, { login: 'alice' }, act)).id;
});
afterAll(() => database.close());

async function serviceTokensOf(clientId: string): Promise<number> {
  return database.db.artifact.count({ where: { clientId, payload: { not: null } } });
}

async function endReasonOf(sid: string): Promise<string | null | undefined> {
  return (await database.db.participation.findUnique({ where: { sid } }))?.endReason;
}

describe('the client registry', () => {
  it('tells what was declared of a client', async () => {
    expect(await findClient(database.db, 'notes')).toMatchObject({
      clientId: 'notes',
      metadata: { redirect_uris: ['https://notes.example.com/cb'], token_endpoint_auth_method: 'client_secret_basic' },
      firstParty: true,
      data: ['restricted'],
      labels: [],
      presence: false,
      introspects: 'own',
      secretHash: expect.any(Uint8Array),
    });
    const { metadata } = (await findClient(database.db, 'notes')) ?? {};
    expect(metadata).not.toHaveProperty('first_party');
    expect(await findClient(database.db, 'chat')).not.toHaveProperty('secretHash');
    expect(await findClient(database.db, 'nobody')).toBeUndefined();
    expect((await listClients(database.db)).map(({ clientId }) => clientId)).toEqual(['chat', 'notes', 'robot']);
  });

  it('makes the old secret worthless with a new one, of which it keeps the hash alone', async () => {
    const first = await rotateSecret(database.db, 'notes', act);
    const second = await rotateSecret(database.db, 'notes', act);
    expect(Buffer.from(second, 'base64url')).toHaveLength(32);
    const { secretHash } = (await findClient(database.db, 'notes')) ?? {};
    expect(secretMatches(secretHash, second)).toBe(true);
    expect(secretMatches(secretHash, first)).toBe(false);
    expect(secretMatches(undefined, '')).toBe(false);
    const [dump] = await database.query(`SELECT (SELECT json_agg(c) FROM client c)::text ||
      (SELECT json_agg(e) FROM audit_event e)::text AS text`);
    expect(dump?.text).not.toContain(second);
  });

  it.each([
    ['a client without one', 'chat', 'usage'],
    ['an unknown client', 'nobody', 'not_found'],
  ])('rotates no secret of %s', async (_which, clientId, code) => {
    await expect(rotateSecret(database.db, clientId, act)).rejects.toMatchObject({ code });
  });

  it('ends the participations of a disabled client and leaves the rest of the session alone', async () => {
    const uid = await givenSessionRow(database, accountId);
    const sid = await givenParticipationRow(database, uid, 'chat');
    const other = await givenParticipationRow(database, uid, 'notes');
    expect(await disableClient(database.db, 'chat', act)).toEqual({ found: 1, ended: 1 });
    expect(await findClient(database.db, 'chat')).toMatchObject({ disabledAt: expect.any(Date), disabledBy: 'hand' });
    expect(await endReasonOf(sid)).toBe('client_removed');
    expect(await endReasonOf(other)).toBeNull();
    expect(await disableClient(database.db, 'chat', act)).toEqual({ found: 0, ended: 0 });
    await enableClient(database.db, 'chat', act);
    expect(await findClient(database.db, 'chat')).not.toHaveProperty('disabledAt');
    expect(await endReasonOf(sid)).toBe('client_removed');
  });

  it('logs a client out of all sessions, and it may come back', async () => {
    const uids = [await givenSessionRow(database, accountId), await givenSessionRow(database, accountId)];
    const sids = await Promise.all(uids.map((uid) => givenParticipationRow(database, uid, 'chat')));
    expect(await logoutClient(database.db, 'chat', act)).toEqual({ found: 2, ended: 2 });
    expect(await Promise.all(sids.map(endReasonOf))).toEqual(['admin_forced', 'admin_forced']);
    expect(await findClient(database.db, 'chat')).not.toHaveProperty('disabledAt');
  });

  it.each([
    ['disabled', disableClient],
    ['logged out', logoutClient],
  ])('wipes the own tokens of a client that is %s', async (_how, wipe) => {
    await givenServiceTokenRow(database, 'robot');
    expect(await serviceTokensOf('robot')).toBe(1);
    await wipe(database.db, 'robot', act);
    expect(await serviceTokensOf('robot')).toBe(0);
    await enableClient(database.db, 'robot', act);
  });
});

describe('consent', () => {
  it('grows by what a person agrees to, also at the same time', async () => {
    expect(await findConsent(database.db, accountId, 'chat')).toBeUndefined();
    await Promise.all(
      [['openid', 'email'], ['openid', 'profile'], ['offline_access']].map((scopes) =>
        recordConsent(database.db, { accountId, clientId: 'chat', scopes, claims: ['email'] }),
      ),
    );
    expect(await findConsent(database.db, accountId, 'chat')).toEqual({
      scopes: ['email', 'offline_access', 'openid', 'profile'],
      claims: ['email'],
    });
    expect(await findConsent(database.db, accountId, 'notes')).toBeUndefined();
  });
});
