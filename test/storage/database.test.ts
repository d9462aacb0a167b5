import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createDatabase } from '../../src/storage/database.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

const account = (login: string, at = new Date(0)) => ({
  id: login,
  login,
  roles: [],
  groups: ['x'],
  createdAt: at,
  updatedAt: at,
});

describe('a database', () => {
  it('answers typed queries', async () => {
    await database.db.account.create({ data: account('ann') });
    expect(await database.db.account.findUnique({ where: { login: 'ann' }, select: { groups: true } })).toEqual({
      groups: ['x'],
    });
  });

  it('keeps instants to the millisecond, whatever the time zone of the server', async () => {
    const name = (await database.query<{ name: string }>('SELECT current_database() AS name'))[0]?.name;
    await database.query(`ALTER DATABASE ${name} SET TimeZone = 'Asia/Kolkata'`);
    const db = createDatabase(database.url);
    const instant = new Date('2026-03-29T01:30:00.123Z');
    await db.account.create({ data: account('zoe', instant) });
    expect((await db.account.findUnique({ where: { login: 'zoe' } }))?.createdAt).toEqual(instant);
    const [row] = await db.$queryRaw<{ at: Date; exact: boolean }[]>`
      SELECT created_at AS at, created_at = ${instant}::timestamptz AS exact FROM account WHERE login = 'zoe'`;
    expect(row).toEqual({ at: instant, exact: true });
    await db.close();
  });

  it('rolls back a transaction that throws', async () => {
    const work = database.db.$transaction(async (tx) => {
      await tx.account.create({ data: account('gone') });
      throw new Error('no');
    });
    await expect(work).rejects.toThrow('no');
    expect(await database.db.account.count({ where: { login: 'gone' } })).toBe(0);
  });

  it('prepares its statements', async () => {
    const db = createDatabase(database.url, { poolSize: 1 });
    for (let n = 0; n < 3; n += 1) await db.account.findUnique({ where: { login: 'ann' } });
    const [row] = await db.$queryRaw<{ count: number }[]>`
      SELECT count(*)::int AS count FROM pg_prepared_statements WHERE statement LIKE '%"account"%LIMIT%'
        AND statement NOT LIKE '%pg_prepared%'`;
    expect(row?.count).toBe(1);
    await db.close();
  });

  it('bounds how long a statement, a lock and an idle transaction may take', async () => {
    const [row] = await database.db.$queryRaw<Record<string, string>[]>`
      SELECT current_setting('statement_timeout') AS statement, current_setting('lock_timeout') AS lock,
        current_setting('idle_in_transaction_session_timeout') AS idle`;
    expect(row).toEqual({ statement: '15s', lock: '10s', idle: '15s' });
  });

  it('joins its settings to those of the address', async () => {
    const url = new URL(database.url);
    url.searchParams.set('options', '-c work_mem=5MB');
    const db = createDatabase(url.href);
    expect(
      await db.$queryRaw`SELECT current_setting('work_mem') AS memory, current_setting('TimeZone') AS zone`,
    ).toEqual([{ memory: '5MB', zone: 'UTC' }]);
    await db.close();
  });

  it('survives the loss of idle connections', async () => {
    const lost: Error[] = [];
    const db = createDatabase(database.url, { poolSize: 1, onConnectionLost: (error) => lost.push(error) });
    const [own] = await db.$queryRaw<{ pid: number }[]>`SELECT pg_backend_pid() AS pid`;
    await database.query('SELECT pg_terminate_backend($1)', [own?.pid]);
    while (lost.length === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(await db.account.count({ where: { login: 'ann' } })).toBe(1);
    await db.close();
  });
});

describe('a test', () => {
  it('travels in time by its own database alone', async () => {
    const hoursAhead = async () =>
      (
        await database.query<{ hours: number }>(
          'SELECT round(extract(epoch FROM curfew_now() - clock_timestamp()) / 3600)::int AS hours',
        )
      )[0]?.hours;
    await database.travel(3_600_000);
    await database.travel(3_600_000);
    expect(await hoursAhead()).toBe(2);
    await database.setNow(new Date('2030-01-01T00:00:00.500Z'));
    expect(await database.query('SELECT curfew_now() AS now')).toEqual([{ now: new Date('2030-01-01T00:00:00.500Z') }]);
    const other = await testDatabase();
    expect(await other.query("SELECT curfew_now() < clock_timestamp() + interval '1 minute' AS real")).toEqual([
      { real: true },
    ]);
    await other.close();
  });
});
