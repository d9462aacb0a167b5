import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createAccount } from '../../src/accounts/accounts.ts';
import { applyDeclaration } from '../../src/clients/apply.ts';
import { cheapHasher } from '../accounts/hashers.ts';
import { chat, declared, notes } from '../clients/declarations.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { givenParticipationRow, givenSessionRow } from '../support/given-rows.ts';
import { actor, runCurfew } from './curfew.ts';

let database: TestDatabase;
const uids: Record<string, string> = {};

beforeAll(async () => {
  database = await testDatabase();
  const { db } = database;
  await applyDeclaration(db, declared(`clients:${notes}${chat}`), { actor, secrets: new Map() });
  const hasher = cheapHasher();
  const alice = await createAccount({ db, hasher }, { login: 'alice' }, { actor });
  const bob = await createAccount({ db, hasher }, { login: 'bob' }, { actor });
  uids.live = await givenSessionRow(database, alice.id, { began: '5 minutes' });
  uids.offline = await givenSessionRow(database, alice.id, { began: '4 minutes', parentUid: uids.live });
  // Past their deadlines, while nothing has stored the end yet.
  uids.idle = await givenSessionRow(database, alice.id, { began: '40 minutes' });
  uids.absolute = await givenSessionRow(database, bob.id, {
    began: '2 hours',
    idleSeconds: 90_000,
    absoluteSeconds: 3_600,
  });
  uids.other = await givenSessionRow(database, bob.id, { began: '3 minutes' });
  await givenParticipationRow(database, uids.live, 'notes');
  await givenParticipationRow(database, uids.live, 'chat');
  await givenParticipationRow(database, uids.idle, 'notes');
});
afterAll(() => database.close());

const curfew = (...args: string[]) => runCurfew(['session', ...args], { env: { DATABASE_URL: database.url } });

async function listed(...args: string[]): Promise<string[]> {
  const { stdout } = await curfew('list', '--json', ...args);
  const names = Object.fromEntries(Object.entries(uids).map(([name, uid]) => [uid, name]));
  return (JSON.parse(stdout) as { uid: string }[]).map(({ uid }) => names[uid] ?? uid);
}

describe('curfew session list', () => {
  it.each([
    ['all', [], ['other', 'offline', 'live', 'idle', 'absolute']],
    ['those of an account', ['--account', 'Alice'], ['offline', 'live', 'idle']],
    ['those of a client', ['--client', 'notes'], ['live', 'idle']],
    ['those of a kind', ['--kind', 'offline'], ['offline']],
    ['devices, of which there are none', ['--kind', 'device'], []],
    ['live ones', ['--state', 'live'], ['other', 'offline', 'live']],
    ['ended ones', ['--state', 'ended'], ['idle', 'absolute']],
    ['those that ended for a reason', ['--reason', 'absolute_timeout'], ['absolute']],
    ['as many as asked for', ['--limit', '2'], ['other', 'offline']],
    ['what all filters let through', ['--account', 'bob', '--state', 'live', '--client', 'notes'], []],
  ])('lists %s', async (_which, args, names) => {
    expect(await listed(...args)).toEqual(names);
  });

  it('lays a table out for people', async () => {
    const { stdout } = await curfew('list', '--account', 'alice');
    const [head, ...rows] = stdout.trimEnd().split('\n');
    expect(head).toMatch(/^UID +LOGIN +KIND +STATE +BEGAN +LAST ACTIVE +ENDS +REASON +CLIENTS$/);
    expect(rows).toHaveLength(3);
    expect(rows[1]).toMatch(new RegExp(`^${uids.live} +alice +browser +live .* - +chat notes$`));
    expect((await curfew('list', '--client', 'nobody')).stdout).toBe('There are no such sessions.\n');
  });

  it('tells a session past its deadline as ended at the deadline', async () => {
    const { stdout } = await curfew('list', '--json', '--state', 'ended');
    for (const session of JSON.parse(stdout) as { deadline: string; endedAt: string; clients: string[] }[]) {
      expect(session.endedAt).toBe(session.deadline);
      expect(session.clients).toEqual([]);
    }
  });
});

describe('curfew session show', () => {
  it('tells limits with the rule that set each, participations, children and deliveries', async () => {
    const { code, stdout } = await curfew('show', uids.live ?? '', '--json');
    expect(code).toBe(0);
    const { participations, ...session } = JSON.parse(stdout) as { participations: { clientId: string }[] };
    expect(session).toMatchObject({
      uid: uids.live,
      state: 'live',
      login: 'alice',
      limits: { idleSeconds: { value: 1_800, rule: 'default' }, absoluteSeconds: { value: 43_200, rule: 'default' } },
      children: [{ uid: uids.offline, kind: 'offline' }],
      deliveries: [],
    });
    expect(participations.map(({ clientId }) => clientId).sort()).toEqual(['chat', 'notes']);
    for (const participation of participations) {
      expect(participation).toMatchObject({
        state: 'live',
        limits: { accessTokenSeconds: { value: 300, rule: 'default' } },
      });
    }
  });

  it('lays them out for people', async () => {
    const { stdout } = await curfew('show', uids.live ?? '');
    expect(stdout).toMatch(/^state +live$/m);
    expect(stdout).toMatch(/^session +idle +30m +default$/m);
    expect(stdout).toMatch(/^notes +offline +idle 14d, absolute 30d, endWith none +default$/m);
    expect(stdout).toMatch(/^Sessions that began in it$/m);
  });

  it('tells the ends of participations with that of their session', async () => {
    const { stdout } = await curfew('show', uids.idle ?? '', '--json');
    const { deadline, participations } = JSON.parse(stdout) as { deadline: string; participations: object[] };
    expect(participations).toMatchObject([{ state: 'ended', endedAt: deadline, endReason: 'idle_timeout' }]);
  });

  it('fails for a session that is not there', async () => {
    expect(await curfew('show', 'nothing')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is no session nothing'),
    });
  });
});

describe('curfew session end', () => {
  it('ends a session once, with a note, and then tells when it ended', async () => {
    const first = await curfew('end', uids.other ?? '', '--note', 'shared computer');
    expect(first).toMatchObject({ code: 0, stdout: '1 session ended.\n' });
    const second = await curfew('end', uids.other ?? '', '--note', 'again');
    expect(second).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^The session was over already: admin_forced at 2/),
    });
    const { stdout } = await curfew('show', uids.other ?? '', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ state: 'ended', endReason: 'admin_forced', endNote: 'shared computer' });
  });

  it('owes the clients a message each, and shows it', async () => {
    await curfew('end', uids.live ?? '', '--note', 'shared computer');
    const { stdout } = await curfew('show', uids.live ?? '', '--json');
    const { deliveries } = JSON.parse(stdout) as { deliveries: { clientId: string; state: string; reason: string }[] };
    expect(deliveries[0]).toMatchObject({ clientId: 'notes', state: 'pending', reason: 'admin_forced' });
    expect((await curfew('show', uids.live ?? '')).stdout).toMatch(/^Messages owed to clients$/m);
  });

  it('gives the timeout as the reason for a session past its deadline, whoever asks', async () => {
    await curfew('end', uids.idle ?? '', '--note', 'too late');
    const { stdout } = await curfew('show', uids.idle ?? '', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ endReason: 'idle_timeout', endNote: null });
  });

  it('fails for a session that is not there', async () => {
    expect(await curfew('end', 'nothing', '--note', 'x')).toMatchObject({ code: 1 });
  });
});

it.each([
  ['show', []],
  ['end', ['--note', 'why']],
])('curfew session %s takes a uid that begins with a dash for a uid', async (command, options) => {
  const uid = `-${'x'.repeat(42)}`;
  expect(await curfew(command, uid, ...options)).toEqual({
    code: 1,
    stdout: '',
    stderr: `curfew: there is no session ${uid}\n`,
  });
});
