import { createHmac } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { RateLimiterPostgres } from 'rate-limiter-flexible';
import { AppError } from '../errors.ts';
import type { Database } from '../storage/database.ts';

export interface ThrottleLimit {
  /** Failures that are still answered by looking at the password. */
  failures: number;
  /** After the first failure, when all are forgotten. */
  windowSeconds: number;
}

export interface ThrottleLimits {
  /** One account tried from one network: what a person who mistypes runs into. */
  accountAndAddress: ThrottleLimit;
  /** One account tried from everywhere. */
  account: ThrottleLimit;
  /** Any accounts tried from one network. */
  address: ThrottleLimit;
}

export const DEFAULT_THROTTLE_LIMITS: ThrottleLimits = {
  accountAndAddress: { failures: 5, windowSeconds: 300 },
  account: { failures: 30, windowSeconds: 3600 },
  address: { failures: 100, windowSeconds: 3600 },
};

/** How many times the two wider limits a person gets on a network where they signed in before. */
const FAMILIAR_FACTOR = 10;
/** How long after a sign-in its network stays familiar: 90 days. */
const FAMILIAR_SECONDS = 90 * 86_400;

export interface ThrottleOptions {
  db: Database;
  /** Keys the tags that stand for logins and addresses; at least 32 bytes. */
  key: Uint8Array;
  limits?: ThrottleLimits;
}

export type Admission =
  | { throttled: true; retryAfterSeconds: number }
  | {
      throttled: false;
      /** The password was right: failures of this account are forgotten, and its network is familiar. */
      succeeded: () => Promise<void>;
      /** The password was never looked at: the attempt does not count. */
      withdrawn: () => Promise<void>;
    };

export interface SignInThrottle {
  /** Counts an attempt before its password is looked at, so that parallel guesses can't overtake the count. */
  admit: (attempt: { login: string; ip: string }) => Promise<Admission>;
}

/**
 * Limits how often a password may be guessed: for an account, for a network, and for the pair of them.
 *
 * Strangers can exhaust the wide limits only for strangers. Where a person signed in before they keep limits of their
 * own, so that neither an attack on their account nor a bad neighbour behind the same address locks them out.
 * Refused attempts are not counted: an attack that goes on does not lengthen the wait.
 *
 * @see NIST SP 800-63B §5.2.2 (rate limiting)
 */
export function createSignInThrottle({ db, key, limits = DEFAULT_THROTTLE_LIMITS }: ThrottleOptions): SignInThrottle {
  const pairs = createLimiter(db, 'pair', limits.accountAndAddress, { clearsExpired: true });
  const accounts = createLimiter(db, 'account', limits.account);
  const addresses = createLimiter(db, 'address', limits.address);
  const familiar = createLimiter(db, 'familiar', { failures: 1, windowSeconds: FAMILIAR_SECONDS });
  const tag = (...parts: string[]) => createHmac('sha256', key).update(JSON.stringify(parts)).digest('base64url');

  return {
    admit: ({ login, ip }) =>
      failingClosed(async () => {
        const network = networkOf(ip);
        const pairTag = tag('pair', login, network);
        const factor = (await familiar.get(pairTag)) === null ? 1 : FAMILIAR_FACTOR;
        const counters: Counter[] = [
          { limiter: addresses, tag: tag('address', network), failures: limits.address.failures * factor },
          { limiter: accounts, tag: tag('account', login), failures: limits.account.failures * factor },
          { limiter: pairs, tag: pairTag, failures: limits.accountAndAddress.failures },
        ];
        const retryAfterSeconds = await count(counters);
        if (retryAfterSeconds !== undefined) return { throttled: true, retryAfterSeconds };
        return {
          throttled: false,
          withdrawn: () => failingClosed(() => uncount(counters)),
          succeeded: () =>
            failingClosed(async () => {
              const [address, ...ofAccount] = counters;
              if (address !== undefined) await uncount([address]);
              for (const counter of ofAccount) await counter.limiter.delete(counter.tag);
              await familiar.set(pairTag, 1, FAMILIAR_SECONDS);
            }),
        };
      }),
  };
}

/** @param options.clearsExpired one limiter of a process clears the whole table of what ran out */
export function createLimiter(
  db: Database,
  keyPrefix: string,
  { failures, windowSeconds }: ThrottleLimit,
  { clearsExpired = false }: { clearsExpired?: boolean } = {},
): RateLimiterPostgres {
  return new RateLimiterPostgres({
    storeClient: db.pool,
    storeType: 'pool',
    tableName: 'throttle',
    tableCreated: true,
    clearExpiredByTimeout: clearsExpired,
    keyPrefix,
    points: failures,
    duration: windowSeconds,
  });
}

export interface Counter {
  limiter: RateLimiterPostgres;
  tag: string;
  failures: number;
}

/** @returns seconds to wait, if one counter is full; then none has counted */
export async function count(counters: readonly Counter[]): Promise<number | undefined> {
  const counted: Counter[] = [];
  for (const counter of counters) {
    const before = await counter.limiter.get(counter.tag);
    const full = before !== null && before.consumedPoints >= counter.failures;
    const after = full ? before : await counter.limiter.penalty(counter.tag, 1);
    if (!full) counted.push(counter);
    if (full || after.consumedPoints > counter.failures) {
      await uncount(counted);
      return Math.max(1, Math.ceil(after.msBeforeNext / 1000));
    }
  }
  return undefined;
}

/** Takes back what was counted. */
export async function uncount(counters: readonly Counter[]): Promise<void> {
  for (const { limiter, tag } of counters) await limiter.reward(tag, 1);
}

/** An attempt that can't be counted is refused. */
export async function failingClosed<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw new AppError('temporarily_unavailable', 'sign-in is not possible right now, please try again soon', {
      status: 503,
      cause,
    });
  }
}

/**
 * The network that an address stands for: an IPv4 address alone, an IPv6 address with its /64, which is what one
 * household or one host gets.
 */
export function networkOf(ip: string): string {
  const address = ip.replace(/%.*$/, '');
  if (!isIPv6(address)) return address;
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(canonical);
  if (mapped) {
    const [high = 0, low = 0] = mapped.slice(1).map((group) => Number.parseInt(group, 16));
    return [high >> 8, high & 255, low >> 8, low & 255].join('.');
  }
  const [head = '', tail] = canonical.split('::').map((groups) => (groups === '' ? [] : groups.split(':')));
  const zeros = tail === undefined ? [] : Array<string>(8 - head.length - tail.length).fill('0');
  return `${[...head, ...zeros, ...(tail ?? [])].slice(0, 4).join(':')}::/64`;
}
