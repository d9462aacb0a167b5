import type { Database, Transaction } from './database.ts';

const ATTEMPTS = 5;

/** deadlock_detected, serialization_failure, and Prisma's word for both. */
const CONFLICT = /\b(40P01|40001|P2034)\b|TransactionWriteConflict/;

/**
 * Runs `work` in one transaction (READ COMMITTED), again if Postgres chose it as the victim of a deadlock: such a
 * transaction has done nothing. `work` must have no effect outside the database.
 */
export async function transact<T>(db: Database, work: (tx: Transaction) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await db.$transaction(work, { timeout: 30_000, maxWait: 10_000 });
    } catch (error) {
      if (attempt === ATTEMPTS || !isConflict(error)) throw error;
    }
  }
}

function isConflict(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, meta } = error as { code?: unknown; meta?: unknown };
  return (
    CONFLICT.test(`${String(code)} ${JSON.stringify(meta ?? '')} ${error.name} ${error.message}`) ||
    isConflict(error.cause)
  );
}
