import { endSessionsIn } from '../../src/sessions/end-sessions.ts';
import { transact } from '../../src/storage/transact.ts';
import type { TestDatabase } from './database.ts';
import { holdLock, untilWaiting } from './locks.ts';

/** Where what is under way waits until the test lets it go on. */
export interface Gate {
  /** Waits at the gate; the test is told. */
  pass(): Promise<void>;
  /** Resolves once so many wait. */
  reached(count?: number): Promise<void>;
  open(): void;
}

export function createGate(): Gate {
  const arrivals: (() => void)[] = [];
  let waiting = 0;
  let release: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    release = resolve;
  });
  return {
    pass() {
      waiting += 1;
      for (const arrived of arrivals.splice(0)) arrived();
      return opened;
    },
    async reached(count = 1) {
      while (waiting < count) await new Promise<void>((resolve) => arrivals.push(resolve));
    },
    open: () => release(),
  };
}

/** Starts requests, lets them run until that many wait for the lock that `lock` takes, and does something else first. */
export async function whileWaiting<T>(
  database: TestDatabase,
  { lock, values = [], waiting = 1 }: { lock: string; values?: unknown[]; waiting?: number },
  start: () => Promise<T>,
  first: () => Promise<unknown> = async () => undefined,
): Promise<T> {
  const held = await holdLock(database, lock, values);
  const started = start();
  try {
    await untilWaiting(database, waiting);
    await first();
  } finally {
    await held.release();
  }
  return started;
}

/** Starts requests, lets them run until that many wait for the session's row, and ends the session before they go on. */
export async function whileItEnds<T>(
  database: TestDatabase,
  uid: string,
  start: () => Promise<T>,
  { waiting = 1 }: { waiting?: number } = {},
): Promise<T> {
  let started: Promise<T> | undefined;
  await transact(database.db, async (tx) => {
    await tx.$queryRaw`SELECT uid FROM session WHERE uid = ${uid} FOR UPDATE`;
    started = start();
    await untilWaiting(database, waiting);
    await endSessionsIn(tx, { uids: [uid] }, { reason: 'admin_forced', actor: 'system:test' });
  });
  if (started === undefined) throw new Error('nothing was started');
  return started;
}
