import { AppError } from '../errors.ts';
import { MAX_PASSWORD_BYTES, normalisePassword } from './password-hasher.ts';

/** A person who may sign in. */
export interface Account {
  id: string;
  /** In its normal form, see {@link normaliseLogin}. */
  login: string;
  email?: string;
  name?: string;
  roles: string[];
  groups: string[];
  /** Goes up with every new password: a sign-in counts only for the version it was made with. */
  credentialVersion: number;
  disabledAt?: Date;
}

/** Characters. NIST asks for 8 where a second factor may follow, and for no rules of composition. */
const MIN_PASSWORD_LENGTH = 8;
const MAX_LOGIN_LENGTH = 200;

/**
 * One spelling of a login: what people type differs in case and code points, and still means one account. No login
 * has U+FFFD, so one with a NUL, which Postgres can't even compare, is unknown like any other.
 */
export function normaliseLogin(login: string): string {
  return login.normalize('NFKC').trim().toLowerCase().replaceAll('\0', '\uFFFD');
}

/**
 * @returns the login in its normal form
 * @throws AppError `usage`
 */
export function requireLogin(login: string): string {
  const normal = normaliseLogin(login);
  if (normal === '') throw new AppError('usage', 'the login is empty', { status: 422 });
  if (normal.length > MAX_LOGIN_LENGTH) {
    throw new AppError('usage', `the login is longer than ${MAX_LOGIN_LENGTH} characters`, { status: 422 });
  }
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\uFFFD]/u.test(normal)) {
    throw new AppError('usage', 'the login has invisible characters', { status: 422 });
  }
  return normal;
}

/**
 * Judges a password that somebody chose.
 *
 * @throws AppError `usage`
 * @see NIST SP 800-63B (length, no composition rules), OWASP ASVS 5.0 §6.2
 */
export function requireAcceptablePassword(password: string, login: string): void {
  const normal = normalisePassword(password);
  if ([...normal].length < MIN_PASSWORD_LENGTH) {
    throw new AppError('usage', `the password is shorter than ${MIN_PASSWORD_LENGTH} characters`, { status: 422 });
  }
  if (Buffer.byteLength(normal) > MAX_PASSWORD_BYTES) {
    throw new AppError('usage', `the password is longer than ${MAX_PASSWORD_BYTES} bytes`, { status: 422 });
  }
  if (normaliseLogin(password) === login) {
    throw new AppError('usage', 'the password is the login', { status: 422 });
  }
}
