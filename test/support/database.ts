import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { createDatabase, type Database } from '../../src/storage/database.ts';
import { CLUSTER_URL_VARIABLE, TEMPLATE } from './test-cluster.ts';

export interface TestDatabase {
  readonly url: string;
  readonly db: Database;
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(sql: string, values?: unknown[]): Promise<Row[]>;
  /** Stops the database's clock at that instant. */
  setNow(instant: Date): Promise<void>;
  /** Lets the database's clock run that many milliseconds ahead of (or behind) the real one; calls add up. */
  travel(milliseconds: number): Promise<void>;
  close(): Promise<void>;
}

/** A migrated database of one's own. Call it in `beforeAll`, and `close` in `afterAll`. */
export async function testDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString('hex')}`;
  await asAdministrator(`CREATE DATABASE ${name} TEMPLATE ${TEMPLATE}`);
  const url = databaseUrl(name);
  const db = createDatabase(url, { poolSize: 10 });
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  pool.on('error', () => undefined);
  let travelled = 0;

  async function query<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return (await pool.query<Row>(sql, values)).rows;
  }

  async function replaceClock(expression: string): Promise<void> {
    await query(`CREATE OR REPLACE FUNCTION curfew_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
      AS $$SELECT ${expression}$$`);
  }

  return {
    url,
    db,
    query,
    setNow: (instant) => replaceClock(`timestamptz '${instant.toISOString()}'`),
    async travel(milliseconds) {
      travelled += milliseconds;
      await replaceClock(`clock_timestamp() + interval '${travelled} milliseconds'`);
    },
    async close() {
      await db.close();
      await pool.end();
      await asAdministrator(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

/** An empty database, not migrated. */
export async function emptyDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `empty_${randomBytes(6).toString('hex')}`;
  await asAdministrator(`CREATE DATABASE ${name}`);
  return { url: databaseUrl(name), drop: () => asAdministrator(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

async function asAdministrator(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: clusterUrl() });
  await client.connect();
  await client.query(sql);
  await client.end();
}

function databaseUrl(name: string): string {
  const url = new URL(clusterUrl());
  url.pathname = `/${name}`;
  return url.href;
}

function clusterUrl(): string {
  const url = process.env[CLUSTER_URL_VARIABLE];
  if (url === undefined) throw new Error('the test cluster is not running: start tests with jest');
  return url;
}
