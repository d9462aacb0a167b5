import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AppError } from '../../src/errors.ts';
import { isUnavailable, waitForDatabase } from '../../src/storage/availability.ts';
import { createDatabase, type Database } from '../../src/storage/database.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';

let database: TestDatabase;
let closedPort: number;
beforeAll(async () => {
  database = await testDatabase();
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  closedPort = (server.address() as AddressInfo).port;
  await new Promise((resolve) => server.close(resolve));
});
afterAll(() => database.close());

function withPort(port: number): string {
  const url = new URL(database.url);
  url.port = String(port);
  return url.href;
}

async function errorOf(work: (db: Database) => Promise<unknown>, url = database.url): Promise<unknown> {
  const db = createDatabase(url, { poolSize: 1 });
  try {
    return await work(db).then(
      () => undefined,
      (error: unknown) => error,
    );
  } finally {
    await db.close();
  }
}

const TERMINATE_SELF = 'SELECT pg_terminate_backend(pg_backend_pid())';

describe('isUnavailable', () => {
  it.each<[string, (db: Database) => Promise<unknown>]>([
    ['a typed query', (db) => db.account.count()],
    ['a raw query', (db) => db.$queryRaw`SELECT 1`],
    ['a transaction', (db) => db.$transaction((tx) => tx.account.count())],
    ['the pool', (db) => db.pool.query('SELECT 1')],
  ])('recognises that nobody listens, from %s', async (_what, work) => {
    expect(isUnavailable(await errorOf(work, withPort(closedPort)))).toBe(true);
  });

  it.each<[string, (db: Database) => Promise<unknown>]>([
    ['a raw query', (db) => db.$queryRawUnsafe(TERMINATE_SELF)],
    ['a transaction', (db) => db.$transaction((tx) => tx.$queryRawUnsafe(TERMINATE_SELF))],
    [
      'a later statement of it',
      (db) =>
        db.$transaction(async (tx) => {
          await tx.$queryRawUnsafe(TERMINATE_SELF).catch(() => undefined);
          await tx.account.count();
        }),
    ],
    ['the pool', (db) => db.pool.query(TERMINATE_SELF)],
  ])('recognises a connection lost on the way, from %s', async (_what, work) => {
    expect(isUnavailable(await errorOf(work))).toBe(true);
  });

  it('recognises a server that accepts and says nothing', async () => {
    const silent = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const error = await errorOf((db) => db.account.count(), withPort((silent.address() as AddressInfo).port));
    silent.close();
    expect(isUnavailable(error)).toBe(true);
  });

  it('recognises it as the cause of another error', async () => {
    const cause = await errorOf((db) => db.account.count(), withPort(closedPort));
    expect(isUnavailable(new AppError('server_error', 'no', { cause }))).toBe(true);
  });

  it.each<[string, (db: Database) => Promise<unknown>]>([
    ['a wrong statement', (db) => db.$queryRawUnsafe('SELEC 1')],
    ['a missing table', (db) => db.$queryRawUnsafe('SELECT * FROM nowhere')],
    ['a violated constraint', (db) => db.$executeRaw`INSERT INTO credential VALUES ('nobody', 'password', '', now())`],
    [
      'an error of ours',
      (db) =>
        db.$transaction(async () => {
          throw new TypeError('x');
        }),
    ],
  ])('is not fooled by %s', async (_what, work) => {
    const error = await errorOf(work);
    expect(error).toBeDefined();
    expect(isUnavailable(error)).toBe(false);
  });

  it.each([[undefined], [null], ['ECONNREFUSED'], [{}], [new Error('boom')]])('is not fooled by %p', (value) => {
    expect(isUnavailable(value)).toBe(false);
  });
});

describe('waitForDatabase', () => {
  it('returns once the database answers', async () => {
    const messages: string[] = [];
    await waitForDatabase(database.url, { timeoutSeconds: 5, log: (message) => messages.push(message) });
    expect(messages).toEqual([]);
  });

  it('tells that it waits, and gives up with a sentence that holds no password', async () => {
    const messages: string[] = [];
    const url = withPort(closedPort);
    const waiting = waitForDatabase(url, { timeoutSeconds: 1, log: (message) => messages.push(message) });
    await expect(waiting).rejects.toMatchObject({
      code: 'database_unreachable',
      message: expect.stringMatching(
        new RegExp(`^The database at 127.0.0.1:${closedPort} did not answer within 1 s .*check DATABASE_URL`),
      ),
    });
    expect(messages[0]).toMatch(/does not answer \(.*ECONNREFUSED.*\); trying for another 1 s/);
    expect(messages.join()).not.toContain(new URL(url).password);
  });

  it.each([
    [
      'a wrong password',
      (url: URL) => {
        url.password = 'guess';
      },
      /password authentication failed/,
    ],
    [
      'a database that is not there',
      (url: URL) => {
        url.pathname = '/nowhere';
      },
      /"nowhere" does not exist/,
    ],
  ])('does not wait for %s to become right', async (_what, change, expected) => {
    const url = new URL(database.url);
    change(url);
    const waiting = waitForDatabase(url.href, { timeoutSeconds: 60, log: () => undefined });
    await expect(waiting).rejects.toMatchObject({
      code: 'database_unreachable',
      message: expect.stringMatching(expected),
    });
  });
});
