import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  createAccount,
  deleteAccount,
  disableAccount,
  enableAccount,
  findAccountById,
  findAccountByLogin,
  listAccounts,
  setPassword,
  updateAccount,
} from '../../src/accounts/accounts.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { givenParticipationRow, givenSessionRow } from '../support/given-rows.ts';
import { cheapHasher } from './hashers.ts';

let database: TestDatabase;
const hasher = cheapHasher();
const act = { actor: 'command_line:test', note: 'left the company' };

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

const parts = () => ({ db: database.db, hasher });
const given = (login: string) => createAccount(parts(), { login, password: 'a fine password' }, act);

async function endOf(uid: string) {
  const [row] = await database.query('SELECT end_reason, end_note, payload FROM session WHERE uid = $1', [uid]);
  return row;
}

const typesOf = async (accountId: string) =>
  (
    await database.query<{ type: string }>('SELECT type FROM audit_event WHERE account_id = $1 ORDER BY id', [
      accountId,
    ])
  ).map(({ type }) => type);

describe('accounts', () => {
  it('are found by id and by login, in whatever spelling', async () => {
    const account = await createAccount(
      parts(),
      { login: ' Ada@Example.ORG', email: 'ada@example.org', name: 'Ada', roles: ['admin'], groups: ['math'] },
      act,
    );
    expect(account).toEqual({
      id: account.id,
      login: 'ada@example.org',
      email: 'ada@example.org',
      name: 'Ada',
      roles: ['admin'],
      groups: ['math'],
      credentialVersion: 1,
    });
    expect(await findAccountById(database.db, account.id)).toEqual(account);
    expect(await findAccountByLogin(database.db, 'ADA@example.org')).toEqual(account);
    expect(await findAccountByLogin(database.db, 'nobody')).toBeUndefined();
    expect((await listAccounts(database.db)).map(({ login }) => login)).toContain('ada@example.org');
  });

  it('have a login each, even when two are created at once', async () => {
    const results = await Promise.allSettled([given('twin'), given('TWIN'), given('twin ')]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'already_exists' } });
  });

  it.each([
    ['shorter than 8 characters', 'seven77'],
    ['longer than 1024 bytes', 'x'.repeat(1025)],
    ['the login', 'Somebody-New'],
  ])('refuse a password that is %s', async (what, password) => {
    await expect(createAccount(parts(), { login: 'somebody-new', password }, act)).rejects.toMatchObject({
      code: 'usage',
      message: `the password is ${what}`,
    });
  });

  it.each(['8 letter', 'x'.repeat(64), '        ', '🔑🔑🔑🔑🔑🔑🔑🔑'])('accept the password %p', async (password) => {
    const login = `pw${password.length}${password.codePointAt(0)}`;
    await expect(createAccount(parts(), { login, password }, act)).resolves.toBeDefined();
  });

  it.each(['', '   ', 'a\0b', 'a\nb', 'zero\u200Bwidth', 'x'.repeat(201)])('refuse the login %p', async (login) => {
    await expect(createAccount(parts(), { login }, act)).rejects.toMatchObject({ code: 'usage' });
  });

  it('change what is told and keep the rest', async () => {
    const { id } = await createAccount(parts(), { login: 'upd', email: 'u@example.org', roles: ['a'] }, act);
    const after = await updateAccount(database.db, id, { email: null, name: 'U', groups: ['g'] }, act);
    expect(after).toMatchObject({ login: 'upd', name: 'U', roles: ['a'], groups: ['g'] });
    expect(after).not.toHaveProperty('email');
    expect(await updateAccount(database.db, id, { login: 'UPD2' }, act)).toMatchObject({ login: 'upd2', name: 'U' });
    await given('upd3');
    const taken = updateAccount(database.db, id, { login: 'upd3' }, act);
    await expect(taken).rejects.toMatchObject({ code: 'already_exists' });
  });

  it('end their sessions with a new password, but for the one that changes it', async () => {
    const { id } = await given('pat');
    const [one, own] = [await givenSessionRow(database, id), await givenSessionRow(database, id)];
    await givenParticipationRow(database, one, 'app');
    const result = await setPassword(parts(), { accountId: id, password: 'another password', exceptUid: own }, act);
    expect(result).toEqual({ found: 1, ended: 1 });
    expect(await endOf(one)).toMatchObject({ end_reason: 'credential_changed', end_note: 'left the company' });
    expect(await endOf(own)).toMatchObject({ end_reason: null });
    expect(await findAccountById(database.db, id)).toMatchObject({ credentialVersion: 2 });
    expect(await typesOf(id)).toEqual(
      expect.arrayContaining(['account.created', 'account.password_changed', 'session.ended', 'participation.ended']),
    );
  });

  it('end their sessions when disabled, once', async () => {
    const { id } = await given('quinn');
    const uid = await givenSessionRow(database, id);
    const results = await Promise.all([disableAccount(database.db, id, act), disableAccount(database.db, id, act)]);
    expect(results.map(({ ended }) => ended).sort()).toEqual([0, 1]);
    expect(await endOf(uid)).toMatchObject({ end_reason: 'account_disabled' });
    expect((await findAccountById(database.db, id))?.disabledAt).toBeInstanceOf(Date);
    await enableAccount(database.db, id, act);
    expect(await findAccountById(database.db, id)).not.toHaveProperty('disabledAt');
    expect(await endOf(uid)).toMatchObject({ end_reason: 'account_disabled' });
    expect((await typesOf(id)).filter((type) => type === 'account.disabled')).toHaveLength(1);
  });

  it('leave tombstones of their sessions when deleted, and nothing else', async () => {
    const { id } = await given('rae');
    const uid = await givenSessionRow(database, id);
    await deleteAccount(database.db, id, act);
    expect(await endOf(uid)).toMatchObject({ end_reason: 'account_deleted', payload: null });
    expect(await findAccountById(database.db, id)).toBeUndefined();
    expect(await database.query('SELECT 1 FROM credential WHERE account_id = $1', [id])).toEqual([]);
    await expect(deleteAccount(database.db, id, act)).rejects.toMatchObject({ code: 'not_found', status: 404 });
  });

  it('keep everything as it was when an end fails half way', async () => {
    const { id } = await given('sam');
    const uid = await givenSessionRow(database, id);
    await database.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'refused'; END $$`);
    await database.query('CREATE TRIGGER refuse BEFORE UPDATE ON session FOR EACH ROW EXECUTE FUNCTION refuse()');
    await expect(disableAccount(database.db, id, act)).rejects.toThrow();
    await database.query('DROP TRIGGER refuse ON session');
    expect(await findAccountById(database.db, id)).not.toHaveProperty('disabledAt');
    expect(await endOf(uid)).toMatchObject({ end_reason: null });
  });
});
