import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { migrate, pendingMigrations } from '../../src/storage/migrate.ts';
import { schemaDrift } from '../../src/storage/schema-drift.ts';
import { emptyDatabase } from '../support/database.ts';

let database: Awaited<ReturnType<typeof emptyDatabase>>;
let folder: string;
let pool: pg.Pool;

beforeEach(async () => {
  database = await emptyDatabase();
  folder = await mkdtemp(join(tmpdir(), 'curfew-migrations-'));
  pool = new pg.Pool({ connectionString: database.url, max: 2 });
});
afterEach(async () => {
  await pool.end();
  await database.drop();
  await rm(folder, { recursive: true });
});

async function givenMigration(name: string, sql: string): Promise<void> {
  await mkdir(join(folder, name), { recursive: true });
  await writeFile(join(folder, name, 'migration.sql'), sql);
}

async function exists(relation: string): Promise<boolean> {
  return (await pool.query('SELECT to_regclass($1) IS NOT NULL AS found', [relation])).rows[0].found;
}

describe('migrate', () => {
  it('applies every migration once', async () => {
    const names = await pendingMigrations(pool);
    expect(names[0]).toBe('0001_init');
    expect(await migrate(database.url)).toEqual(names);
    expect(await exists('live_session')).toBe(true);
    expect(await pendingMigrations(pool)).toEqual([]);
    expect(await migrate(database.url)).toEqual([]);
  });

  it('is done by one of those that start together', async () => {
    const results = await Promise.all([migrate(database.url), migrate(database.url), migrate(database.url)]);
    expect(results.filter((applied) => applied.length > 0)).toHaveLength(1);
  });

  it('keeps semicolons that end no statement', async () => {
    await givenMigration(
      '0001_text',
      `CREATE TABLE t AS SELECT 'a;b' AS v; -- one; two\nCREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;`,
    );
    await migrate(database.url, folder);
    expect((await pool.query('SELECT v, f() FROM t')).rows).toEqual([{ v: 'a;b', f: 1 }]);
  });

  it('writes the history that `prisma migrate` reads', async () => {
    await migrate(database.url);
    const { rows } = await pool.query(
      'SELECT finished_at, rolled_back_at, logs, checksum FROM _prisma_migrations LIMIT 1',
    );
    expect(rows).toEqual([
      {
        finished_at: expect.any(Date),
        rolled_back_at: null,
        logs: null,
        checksum: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
    ]);
  });
});

describe('a migration that fails half way', () => {
  it('says which and why and what to do, leaves nothing behind, and is tried anew', async () => {
    await givenMigration('0001_good', 'CREATE TABLE good (n int)');
    await givenMigration('0002_bad', 'CREATE TABLE half (n int); SELECT 1 / 0;');
    await expect(migrate(database.url, folder)).rejects.toMatchObject({
      code: 'migration_failed',
      message: expect.stringMatching(
        /^The migration 0002_bad failed \(ERROR: division by zero\)\. Nothing of it was kept/,
      ),
    });
    expect(await exists('good')).toBe(true);
    expect(await exists('half')).toBe(false);
    expect(await pendingMigrations(pool, folder)).toEqual(['0002_bad']);

    await givenMigration('0002_bad', 'CREATE TABLE half (n int);');
    expect(await migrate(database.url, folder)).toEqual(['0002_bad']);
    expect(await exists('half')).toBe(true);
  });

  it('is done again if the process was killed before its end', async () => {
    await givenMigration('0001_slow', 'CREATE TABLE slow (n int); SELECT pg_sleep(60);');
    const failed = expect(migrate(database.url, folder)).rejects.toMatchObject({ code: 'migration_failed' });
    const running = `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()`;
    while ((await pool.query(running)).rowCount === 0);
    await pool.query(`SELECT pg_terminate_backend(pid) FROM (${running}) AS r`);
    await failed;
    await givenMigration('0001_slow', 'CREATE TABLE slow (n int);');
    expect(await migrate(database.url, folder)).toEqual(['0001_slow']);
  });

  it('is not done again if the process was killed after its end', async () => {
    await givenMigration('0001_good', 'CREATE TABLE good (n int)');
    await migrate(database.url, folder);
    // The engine notes the end of a migration in a statement of its own.
    await pool.query('UPDATE _prisma_migrations SET finished_at = NULL');
    expect(await pendingMigrations(pool, folder)).toEqual(['0001_good']);
    expect(await migrate(database.url, folder)).toEqual([]);
    expect(await pendingMigrations(pool, folder)).toEqual([]);
  });
});

describe('schemaDrift', () => {
  it('finds that the Prisma schema matches what the migrations make', async () => {
    await migrate(database.url);
    expect(await schemaDrift(database.url)).toBeUndefined();
  });

  it.each([
    [
      'a missing column',
      'DROP VIEW live_artifact; ALTER TABLE artifact DROP COLUMN model',
      /`artifact`[\s\S]*Added column `model`/,
    ],
    ['a missing table', 'DROP TABLE throttle', /throttle/],
    [
      'another type',
      'ALTER TABLE account ALTER COLUMN email TYPE varchar(20)',
      /`account`[\s\S]*`email` \(type changed\)/,
    ],
    ['a missing index', 'DROP INDEX account_login_key', /unique index on columns \(login\)/],
    ['a column too many', 'ALTER TABLE account ADD COLUMN extra int', /Removed column `extra`/],
  ])('tells %s', async (_what, sql, expected) => {
    await migrate(database.url);
    await pool.query(sql);
    expect(await schemaDrift(database.url)).toMatch(expected);
  });
});
