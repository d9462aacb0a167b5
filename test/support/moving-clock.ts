import type { TestDatabase } from './database.ts';

export interface MovingClock {
  set(instant: Date): Promise<void>;
}

/**
 * Replaces the database's clock by one that a running statement sees move: `setNow` replaces the function, which a
 * statement that waits for a lock has read already. A sequence is outside of transactions and snapshots.
 */
export async function movingClock({ query }: TestDatabase, start: Date): Promise<MovingClock> {
  const set = async (instant: Date) => {
    await query(`SELECT setval('test_clock', $1::bigint)`, [instant.getTime()]);
  };
  await query('CREATE SEQUENCE test_clock');
  await set(start);
  await query(`CREATE OR REPLACE FUNCTION curfew_now() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS $$SELECT timestamptz 'epoch' + (SELECT last_value FROM test_clock) * interval '1 millisecond'$$`);
  return { set };
}
