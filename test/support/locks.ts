import pg from 'pg';
import type { TestDatabase } from './database.ts';

/** A lock that a test holds in a transaction of its own, until it lets go. */
export interface HeldLock {
  release(): Promise<void>;
}

/** Runs a statement that locks, and keeps its transaction open. */
export async function holdLock({ url }: TestDatabase, sql: string, values: unknown[] = []): Promise<HeldLock> {
  const client = new pg.Client({ connectionString: url, application_name: 'holder' });
  await client.connect();
  await client.query('BEGIN');
  await client.query(sql, values);
  return {
    async release() {
      await client.query('COMMIT');
      await client.end();
    },
  };
}

/** Waits until that many of the product's connections wait for a lock. */
export async function untilWaiting({ query }: TestDatabase, count = 1): Promise<void> {
  const end = performance.now() + 10_000;
  for (;;) {
    const [row] = await query<{ n: number }>(
      `SELECT count(*)::int AS n FROM pg_stat_activity
       WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name = 'curfew'`,
    );
    if ((row?.n ?? 0) >= count) return;
    if (performance.now() > end) throw new Error(`${row?.n} connections wait for a lock, not ${count}`);
  }
}

/** How often Postgres had to break a deadlock in this database. */
export async function deadlocksOf({ query }: TestDatabase): Promise<number> {
  await query('SELECT pg_stat_force_next_flush()');
  const [row] = await query<{ n: number }>(
    'SELECT deadlocks::int AS n FROM pg_stat_database WHERE datname = current_database()',
  );
  return row?.n ?? 0;
}
