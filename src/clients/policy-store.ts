import { builtInPolicy, type Policy } from '../policy/policy.ts';
import type { Database } from '../storage/database.ts';
import { listen } from '../storage/listen.ts';
import { findNewestPolicy, POLICY_CHANNEL } from './store.ts';

/** The policy that decides, and which version of it: 0 is the built-in one, where none is stored. */
export interface CurrentPolicy {
  version: number;
  policy: Policy;
  /** Where it was declared: a file, or the demo. */
  source?: string;
}

export interface PolicyStore {
  /** From memory: limits are decided where nothing can be awaited. */
  current: () => CurrentPolicy;
  close: () => Promise<void>;
}

export interface PolicyStoreOptions {
  /** Of the same database, for a connection that listens. */
  url: string;
  /** Runs when a newer version took effect in this process. */
  onChange?: (current: CurrentPolicy) => void;
  /** Runs when a version could not be read or the connection was lost; both are tried again. */
  onTrouble?: (cause: unknown) => void;
}

const RETRY_MS = 1_000;

/** @returns the stored policy of the highest version, or the built-in one as version 0 */
export async function findCurrentPolicy(db: Database): Promise<CurrentPolicy> {
  return (await findNewestPolicy(db)) ?? { version: 0, policy: builtInPolicy };
}

/**
 * Keeps the current policy in memory and learns of a new version as soon as it is committed, on whichever node.
 *
 * Versions only go up: an answer that was overtaken by a newer one changes nothing.
 */
export async function createPolicyStore(
  db: Database,
  { url, onChange, onTrouble }: PolicyStoreOptions,
): Promise<PolicyStore> {
  let current: CurrentPolicy | undefined;
  let closed = false;
  let retry: NodeJS.Timeout | undefined;

  async function refresh(): Promise<CurrentPolicy> {
    const newest = await findCurrentPolicy(db);
    if (current !== undefined && newest.version <= current.version) return current;
    const isChange = current !== undefined;
    current = newest;
    if (isChange) onChange?.(newest);
    return newest;
  }

  function refreshUntilDone(): void {
    clearTimeout(retry);
    refresh().catch((cause: unknown) => {
      if (closed) return;
      onTrouble?.(cause);
      retry = setTimeout(refreshUntilDone, RETRY_MS);
    });
  }

  const listener = await listen({
    url,
    channel: POLICY_CHANNEL,
    onWake: refreshUntilDone,
    ...(onTrouble && { onLost: onTrouble }),
  });
  // Read only now that we listen: a version committed before is read, one committed later is announced.
  let atStart: CurrentPolicy;
  try {
    atStart = await refresh();
  } catch (error) {
    await listener.close();
    throw error;
  }
  return {
    current: () => current ?? atStart,
    close: async () => {
      closed = true;
      clearTimeout(retry);
      await listener.close();
    },
  };
}
