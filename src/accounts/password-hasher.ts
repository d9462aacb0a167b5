import { randomBytes } from 'node:crypto';
import { argon2id, hash, needsRehash, verify } from 'argon2';
import { AppError } from '../errors.ts';

export interface PasswordHashParameters {
  /** Memory for one hash, KiB. */
  memoryKib: number;
  /** Passes over that memory. */
  iterations: number;
  /** Lanes of one hash. */
  parallelism: number;
}

export interface PasswordHasherOptions {
  parameters: PasswordHashParameters;
  /** Hashes computed at the same time: each takes `memoryKib` and a CPU. */
  concurrency: number;
  /** Hashes that may wait for their turn; one more is refused. */
  maxWaiting: number;
}

export interface PasswordHasher {
  /** @throws AppError `queue_full` */
  hash: (password: string) => Promise<string>;
  /**
   * Tells whether the password is the one that was hashed. Without a hash the same work is done for nothing, so that
   * the time of the answer does not tell whether there was one.
   *
   * @throws AppError `queue_full`
   */
  verify: (stored: string | undefined, password: string) => Promise<boolean>;
  /** Tells whether a stored hash was made with other parameters than today's. */
  isOutdated: (stored: string) => boolean;
}

/** Longer passwords are refused, not truncated: two people must not share what was cut. */
export const MAX_PASSWORD_BYTES = 1024;

/**
 * Hashes passwords with argon2id, a few at a time, apart from everything else the process does.
 *
 * The bound on those waiting keeps a flood of sign-ins from taking all memory and from making everyone wait for
 * answers that nobody reads any more.
 *
 * @see RFC 9106; OWASP Password Storage Cheat Sheet
 */
export function createPasswordHasher({ parameters, concurrency, maxWaiting }: PasswordHasherOptions): PasswordHasher {
  const queued = boundedQueue(concurrency, maxWaiting);
  const options = {
    type: argon2id,
    memoryCost: parameters.memoryKib,
    timeCost: parameters.iterations,
    parallelism: parameters.parallelism,
  };
  const nobody = unmatchableHash(parameters);
  return {
    hash: (password) => queued(() => hash(normalisePassword(password), options)),
    verify: async (stored, password) => {
      const tooLong = Buffer.byteLength(normalisePassword(password)) > MAX_PASSWORD_BYTES;
      const matches = await queued(() => verify(stored ?? nobody, tooLong ? '' : normalisePassword(password)));
      return matches && stored !== undefined && !tooLong;
    },
    isOutdated: (stored) => needsRehash(stored, options),
  };
}

/** One spelling for what the keyboard of another device writes in other code points (NIST SP 800-63B, Unicode passwords). */
export function normalisePassword(password: string): string {
  return password.normalize('NFKC');
}

/** A well-formed argon2id hash of today's parameters that no password has: checking against it costs what a real one costs. */
function unmatchableHash({ memoryKib, iterations, parallelism }: PasswordHashParameters): string {
  const base64 = (bytes: number) => randomBytes(bytes).toString('base64').replaceAll('=', '');
  return `$argon2id$v=19$m=${memoryKib},t=${iterations},p=${parallelism}$${base64(16)}$${base64(32)}`;
}

function boundedQueue(concurrency: number, maxWaiting: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running < concurrency) {
      running += 1;
    } else if (waiting.length < maxWaiting) {
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
      });
    } else {
      throw new AppError('queue_full', 'too many sign-ins at this moment, please try again in a few seconds', {
        status: 503,
      });
    }
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };
}
