import { appendEvents } from '../audit/append-event.ts';
import { AppError } from '../errors.ts';
import type { Database } from '../storage/database.ts';
import { type Account, normaliseLogin } from './account.ts';
import type { PasswordHasher } from './password-hasher.ts';
import { findAccountAndHash, replacePasswordHash } from './store.ts';
import type { SignInThrottle } from './throttle.ts';

/** Whoever tries has not shown yet who they are. */
const NOBODY_YET = 'person:unknown';

export interface SignInAttempt {
  login: string;
  password: string;
  ip: string;
  userAgent?: string;
}

export type SignInResult =
  | { ok: true; account: Account }
  | { ok: false; reason: 'wrong_credentials' }
  | { ok: false; reason: 'throttled'; retryAfterSeconds: number };

export type SignIn = (attempt: SignInAttempt) => Promise<SignInResult>;

export interface SignInParts {
  db: Database;
  hasher: PasswordHasher;
  throttle: SignInThrottle;
}

/**
 * Makes the function that decides whether somebody is who they say.
 *
 * An unknown login, a disabled account and a wrong password cost the same work and get the same answer: exactly one
 * hash is verified for each. The account it returns carries the `credentialVersion` that the password was checked
 * against; beginning the session checks that it still is the current one.
 *
 * The function throws AppError `queue_full` or `temporarily_unavailable`; neither counts as a failure.
 */
export function createSignIn({ db, hasher, throttle }: SignInParts): SignIn {
  return async ({ login: typedLogin, password, ip, userAgent }) => {
    const login = normaliseLogin(typedLogin);
    const from = { address: ip, userAgent };
    const admission = await throttle.admit({ login, ip });
    if (admission.throttled) {
      const { retryAfterSeconds } = admission;
      await appendEvents(db, [{ type: 'sign_in.throttled', outcome: 'denied', actor: NOBODY_YET, ...from }]);
      return { ok: false, reason: 'throttled', retryAfterSeconds };
    }

    const { found, matches } = await judged(admission.withdrawn, async () => {
      const found = await findAccountAndHash(db, login);
      return { found, matches: await hasher.verify(found?.passwordHash, password) };
    });
    if (found === undefined || !matches || found.account.disabledAt !== undefined) {
      const accountId = found?.account.id;
      await appendEvents(db, [{ type: 'sign_in.failed', outcome: 'failure', actor: NOBODY_YET, accountId, ...from }]);
      return { ok: false, reason: 'wrong_credentials' };
    }

    const { account, passwordHash } = found;
    await admission.succeeded();
    if (passwordHash !== undefined && hasher.isOutdated(passwordHash)) {
      await rehash({ db, hasher }, account.id, passwordHash, password);
    }
    const actor = `person:${account.id}`;
    await appendEvents(db, [{ type: 'sign_in.succeeded', outcome: 'success', actor, accountId: account.id, ...from }]);
    return { ok: true, account };
  };
}

async function judged<T>(withdraw: () => Promise<void>, judge: () => Promise<T>): Promise<T> {
  try {
    return await judge();
  } catch (error) {
    await withdraw();
    throw error;
  }
}

/** Nothing is lost if there is no room for it now: the next sign-in tries again. */
async function rehash(
  { db, hasher }: Pick<SignInParts, 'db' | 'hasher'>,
  accountId: string,
  outdated: string,
  password: string,
): Promise<void> {
  try {
    await replacePasswordHash(db, accountId, outdated, await hasher.hash(password));
  } catch (error) {
    if (!(error instanceof AppError && error.code === 'queue_full')) throw error;
  }
}
