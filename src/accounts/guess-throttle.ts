import { createHmac } from 'node:crypto';
import type { Database } from '../storage/database.ts';
import { count, createLimiter, failingClosed, networkOf, type ThrottleLimit, uncount } from './throttle.ts';

/** Of 20^8 user codes few are in use at a time: nobody guesses one at this rate (RFC 8628 §5.1). */
export const DEFAULT_GUESS_LIMIT: ThrottleLimit = { failures: 10, windowSeconds: 600 };

export type GuessAdmission =
  | { throttled: true; retryAfterSeconds: number }
  | {
      throttled: false;
      /** It was no wrong guess: it does not count. */
      succeeded: () => Promise<void>;
    };

export interface GuessThrottle {
  /** Counts a guess before it is looked at, so that parallel guesses can't overtake the count. */
  admit: (ip: string) => Promise<GuessAdmission>;
}

export interface GuessThrottleOptions {
  db: Database;
  /** Keys the tags that stand for addresses; at least 32 bytes. */
  key: Uint8Array;
  limit?: ThrottleLimit;
}

/** Limits how often user codes may be guessed from one network. @see RFC 8628 §5.1 */
export function createGuessThrottle({ db, key, limit = DEFAULT_GUESS_LIMIT }: GuessThrottleOptions): GuessThrottle {
  const limiter = createLimiter(db, 'user_code', limit);
  return {
    admit: (ip) =>
      failingClosed(async () => {
        const tag = createHmac('sha256', key)
          .update(JSON.stringify(['user_code', networkOf(ip)]))
          .digest('base64url');
        const counters = [{ limiter, tag, failures: limit.failures }];
        const retryAfterSeconds = await count(counters);
        if (retryAfterSeconds !== undefined) return { throttled: true, retryAfterSeconds };
        return { throttled: false, succeeded: () => failingClosed(() => uncount(counters)) };
      }),
  };
}
