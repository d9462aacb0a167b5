import type { JWK } from 'jose';
import type { Database } from '../storage/database.ts';
import { listen } from '../storage/listen.ts';
import {
  listSigningKeys,
  loadSigningKeys,
  retireSigningKey,
  rotateSigningKeys,
  type WrappingKeys,
} from './signing-keys.ts';
import { SIGNING_KEY_CHANNEL } from './store.ts';

export interface KeySchedule {
  /** Age at which a signing key gets a successor. */
  rotateAfterSeconds: number;
  /** How long a successor is published before it signs. */
  overlapSeconds: number;
  /** How long a key stays published after its successor signs: longer than the tokens that it signed are shown to us. */
  retireAfterSeconds: number;
}

export interface KeyStoreOptions {
  url: string;
  wrapping: WrappingKeys;
  schedule: KeySchedule;
  /** Runs when another set of keys, or another order of them, holds in this process. */
  onChange: (jwks: JWK[]) => void;
  onTrouble: (cause: unknown) => void;
}

export interface KeyStore {
  current: () => JWK[];
  close: () => Promise<void>;
}

const ACTOR = 'system:key_schedule';
/** Whatever is announced is seen at once; this bounds how late a key starts to sign, and a lost announcement. */
const LONGEST_SLEEP_MS = 60_000;

/**
 * Keeps the signing keys that hold now in memory, on any number of nodes: learns of changes at once, wakes when a key's
 * turn to sign comes, and rotates and retires by the schedule, whichever node is first.
 */
export async function createKeyStore(db: Database, options: KeyStoreOptions): Promise<KeyStore> {
  const { url, wrapping, schedule, onChange, onTrouble } = options;
  let current = await loadSigningKeys(db, wrapping);
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let returned = false;
  let refreshing: Promise<void> | undefined;

  async function refresh(): Promise<void> {
    await keepSchedule(db, wrapping, schedule);
    const loaded = await loadSigningKeys(db, wrapping);
    if (kids(loaded) !== kids(current)) {
      current = loaded;
      if (returned) onChange(loaded);
    }
  }

  async function wake(): Promise<void> {
    clearTimeout(timer);
    let sleepMs = 1_000;
    try {
      // One at a time, and once more for whoever came while it ran.
      await refreshing;
      refreshing = refresh();
      await refreshing;
      sleepMs = await untilNextKeySigns(db);
    } catch (cause) {
      if (!closed) onTrouble(cause);
    } finally {
      refreshing = undefined;
    }
    if (closed) return;
    clearTimeout(timer);
    timer = setTimeout(wake, sleepMs);
    timer.unref();
  }

  const listener = await listen({ url, channel: SIGNING_KEY_CHANNEL, onWake: () => void wake(), onLost: onTrouble });
  returned = true;
  return {
    current: () => current,
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await listener.close();
      await refreshing?.catch(() => undefined);
    },
  };
}

const kids = (jwks: readonly JWK[]): string => jwks.map(({ kid }) => kid).join(' ');

async function untilNextKeySigns(db: Database): Promise<number> {
  const waits = (await listSigningKeys(db))
    .filter(({ state }) => state === 'next')
    .map((key) => -key.signsForSeconds * 1_000);
  return Math.max(10, Math.min(LONGEST_SLEEP_MS, ...waits));
}

async function keepSchedule(db: Database, wrapping: WrappingKeys, schedule: KeySchedule): Promise<void> {
  const { rotateAfterSeconds, overlapSeconds, retireAfterSeconds } = schedule;
  const keys = await listSigningKeys(db);
  if (keys.some(({ state, signsForSeconds }) => state === 'active' && signsForSeconds >= rotateAfterSeconds)) {
    await rotateSigningKeys(db, wrapping, { overlapSeconds, ifOlderThanSeconds: rotateAfterSeconds, actor: ACTOR });
  }
  for (const { kid, state, supersededForSeconds } of keys) {
    if (state === 'retiring' && (supersededForSeconds ?? 0) >= retireAfterSeconds) {
      await retireSigningKey(db, wrapping, kid, { actor: ACTOR });
    }
  }
}
