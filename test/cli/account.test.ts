import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { givenParticipationRow, givenSessionRow } from '../support/given-rows.ts';
import { actor, type RunOptions, runCurfew } from './curfew.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

function curfew(args: string[], options: RunOptions = {}) {
  return runCurfew(args, { ...options, env: { DATABASE_URL: database.url } });
}

async function givenAccount(login: string): Promise<string> {
  const add = ['account', 'add', '--login', login, '--password-stdin', '--json'];
  const { stdout } = await curfew(add, { stdin: 'a good password\n' });
  return (JSON.parse(stdout) as { id: string }).id;
}

async function endOf(uid: string) {
  const [row] = await database.query('SELECT end_reason, end_note FROM session WHERE uid = $1', [uid]);
  return row;
}

describe('curfew account', () => {
  it('adds an account with a password from standard input, changes and lists it', async () => {
    const add = 'account add --login Ada --email ada@example.org --roles admin,staff --groups ops --password-stdin';
    const added = await curfew(add.split(' '), { stdin: 'a good password\n' });
    expect(added).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Account ada is added \([\w-]+\)\.\n$/) });

    const update = await curfew([
      'account',
      'update',
      'ADA',
      '--email',
      '',
      '--name',
      'Ada L.',
      '--roles',
      '',
      '--json',
    ]);
    expect(JSON.parse(update.stdout)).toMatchObject({ login: 'ada', name: 'Ada L.', roles: [], groups: ['ops'] });

    const listed = await curfew(['account', 'list', '--json']);
    const [account] = JSON.parse(listed.stdout) as [object];
    expect(account).toEqual({
      id: expect.any(String),
      login: 'ada',
      name: 'Ada L.',
      roles: [],
      groups: ['ops'],
      credentialVersion: 1,
    });
    const table = await curfew(['account', 'list']);
    expect(table.stdout.split('\n')[0]).toMatch(/^LOGIN +NAME +EMAIL +ROLES +GROUPS +DISABLED +ID$/);
    expect(table.stdout.split('\n')[1]).toMatch(/^ada +Ada L\. +- +- +ops +- +[\w-]+$/);
  });

  it.each([
    ['a login that is taken', ['account', 'add', '--login', 'TAKEN', '--password-stdin'], 1, /login taken already/],
    ['a short password', ['account', 'add', '--login', 'new', '--password-stdin'], 2, /shorter than 8/],
    ['an unknown account', ['account', 'disable', 'nobody'], 1, /no account with the login nobody/],
    ['an unknown account in a filter', ['session', 'list', '--account', 'nobody'], 1, /--account: there is no account/],
  ])('refuses %s', async (what, args, code, sentence) => {
    if (what === 'a login that is taken') await givenAccount('taken');
    const outcome = await curfew(args, { stdin: what === 'a short password' ? 'short' : 'a good password' });
    expect(outcome).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(sentence) });
  });

  it('sets a password and ends all sessions with it', async () => {
    const id = await givenAccount('pat');
    const uid = await givenSessionRow(database, id);
    const outcome = await curfew(['account', 'set-password', 'pat', '--password-stdin'], { stdin: 'another password' });
    expect(outcome).toMatchObject({ code: 0, stdout: 'The password of pat is set; 1 session ended.\n' });
    expect(await endOf(uid)).toMatchObject({ end_reason: 'credential_changed' });
  });

  it('disables, enables and deletes an account', async () => {
    const id = await givenAccount('quinn');
    const uid = await givenSessionRow(database, id);
    const disabled = await curfew(['account', 'disable', 'quinn', '--note', 'left']);
    expect(disabled.stdout).toBe('Account quinn is disabled; 1 session ended.\n');
    expect(await endOf(uid)).toEqual({ end_reason: 'account_disabled', end_note: 'left' });
    expect((await curfew(['account', 'list'])).stdout).toMatch(/^quinn .* \d{4}-\d\d-\d\dT[\d:.]+Z /m);
    expect(await curfew(['account', 'enable', 'quinn'])).toMatchObject({ code: 0 });
    expect(await database.db.account.findUnique({ where: { id } })).toMatchObject({ disabledAt: null });
    expect(await curfew(['account', 'delete', 'quinn'])).toMatchObject({ code: 0 });
    expect(await database.db.account.findUnique({ where: { id } })).toBeNull();
  });

  it('signs an account out everywhere, offline sessions too, and says who did it and why', async () => {
    const id = await givenAccount('rae');
    const browser = await givenSessionRow(database, id);
    const offline = await givenSessionRow(database, id, { parentUid: browser });
    await givenParticipationRow(database, browser, 'notes');
    const outcome = await curfew(['account', 'logout', 'rae', '--note', 'laptop stolen']);
    expect(outcome).toMatchObject({ code: 0, stdout: 'Account rae is signed out; 2 sessions ended.\n' });
    for (const uid of [browser, offline]) {
      expect(await endOf(uid)).toEqual({ end_reason: 'admin_forced', end_note: 'laptop stolen' });
    }
    const events = await database.query(
      `SELECT DISTINCT actor, details ->> 'note' AS note FROM audit_event WHERE account_id = $1 AND type = 'session.ended'`,
      [id],
    );
    expect(events).toEqual([{ actor, note: 'laptop stolen' }]);
  });
});
