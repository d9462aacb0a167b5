import { randomUUID } from 'node:crypto';
import { appendEvents } from '../audit/append-event.ts';
import { AppError } from '../errors.ts';
import { type EndResult, endSessionsIn } from '../sessions/end-sessions.ts';
import type { Database, Transaction } from '../storage/database.ts';
import { transact } from '../storage/transact.ts';
import { type Account, normaliseLogin, requireAcceptablePassword, requireLogin } from './account.ts';
import type { PasswordHasher } from './password-hasher.ts';
import {
  type AccountChange,
  deleteAccountRow,
  findAccountRow,
  hasAccountRows,
  insertAccount,
  listAccountRows,
  lockAccount,
  markDisabled,
  markEnabled,
  raiseCredentialVersion,
  updateAccountRow,
  writePasswordHash,
} from './store.ts';

/** Who does something to an account, and what they say about it. */
export interface AccountAct {
  /** Typed and never empty, such as `command_line:root`. */
  actor: string;
  note?: string;
}

export interface AccountToCreate {
  login: string;
  email?: string;
  name?: string;
  roles?: readonly string[];
  groups?: readonly string[];
  /** Without one the account can't sign in until it has one. */
  password?: string;
}

/** What to change; a key that is absent stays, `null` removes. */
export interface AccountToUpdate {
  login?: string;
  email?: string | null;
  name?: string | null;
  roles?: readonly string[];
  groups?: readonly string[];
}

export interface PasswordToSet {
  accountId: string;
  password: string;
  /** The session in which a person changes their own password goes on. */
  exceptUid?: string;
}

/** @throws AppError `usage` for an unacceptable login or password, `already_exists` */
export async function createAccount(
  { db, hasher }: { db: Database; hasher: PasswordHasher },
  { login: typedLogin, password, email, name, roles = [], groups = [] }: AccountToCreate,
  { actor }: AccountAct,
): Promise<Account> {
  const login = requireLogin(typedLogin);
  if (password !== undefined) requireAcceptablePassword(password, login);
  const hash = password === undefined ? undefined : await hasher.hash(password);
  const id = randomUUID();
  return transact(db, async (tx) => {
    const account = { id, login, email: email ?? null, name: name ?? null, roles: [...roles], groups: [...groups] };
    if (!(await insertAccount(tx, account))) throw loginTaken(login);
    if (hash !== undefined) await writePasswordHash(tx, id, hash);
    await appendEvents(tx, [{ type: 'account.created', outcome: 'success', actor, accountId: id }]);
    return requireRow(await findAccountRow(tx, { id }), id);
  });
}

export async function findAccountById(db: Database | Transaction, id: string): Promise<Account | undefined> {
  return findAccountRow(db, { id });
}

export async function findAccountByLogin(db: Database | Transaction, login: string): Promise<Account | undefined> {
  return findAccountRow(db, { login: normaliseLogin(login) });
}

export async function hasAccounts(db: Database): Promise<boolean> {
  return hasAccountRows(db);
}

/** All accounts, by login. */
export async function listAccounts(db: Database): Promise<Account[]> {
  return listAccountRows(db);
}

/** @throws AppError `not_found`, `already_exists` for a login that another account has */
export async function updateAccount(
  db: Database,
  accountId: string,
  { login, ...change }: AccountToUpdate,
  { actor, note }: AccountAct,
): Promise<Account> {
  const wanted: AccountChange = { ...change, ...(login !== undefined && { login: requireLogin(login) }) };
  return transact(db, async (tx) => {
    const { email = null, name = null, ...before } = await requireLocked(tx, accountId);
    const after = { email, name, ...before, ...wanted };
    if (!(await updateAccountRow(tx, after))) throw loginTaken(after.login);
    const changed = Object.keys(wanted);
    await appendEvents(tx, [
      { type: 'account.updated', outcome: 'success', actor, accountId, details: { changed, ...(note && { note }) } },
    ]);
    return requireRow(await findAccountRow(tx, { id: accountId }), accountId);
  });
}

/**
 * Sets a password and ends every session that began with another one, in one transaction.
 *
 * @throws AppError `not_found`, `usage` for an unacceptable password
 * @see OWASP ASVS 5.0 §7.4.3 (sessions end with a changed credential)
 */
export async function setPassword(
  { db, hasher }: { db: Database; hasher: PasswordHasher },
  { accountId, password, exceptUid }: PasswordToSet,
  act: AccountAct,
): Promise<EndResult> {
  const { login } = requireRow(await findAccountRow(db, { id: accountId }), accountId);
  requireAcceptablePassword(password, login);
  const hash = await hasher.hash(password);
  return transact(db, async (tx) => {
    await requireLocked(tx, accountId);
    await raiseCredentialVersion(tx, accountId);
    await writePasswordHash(tx, accountId, hash);
    await appendEvents(tx, [{ type: 'account.password_changed', outcome: 'success', actor: act.actor, accountId }]);
    const selector = exceptUid === undefined ? { accountId } : { accountId, exceptUid };
    return endSessionsIn(tx, selector, { reason: 'credential_changed', ...act });
  });
}

/**
 * Disables an account: it can't sign in, and all its sessions end. Disabled already is no error.
 *
 * @throws AppError `not_found`
 * @see OWASP ASVS 5.0 §7.4.2
 */
export async function disableAccount(db: Database, accountId: string, act: AccountAct): Promise<EndResult> {
  return transact(db, async (tx) => {
    await requireLocked(tx, accountId);
    if (await markDisabled(tx, accountId)) {
      await appendEvents(tx, [{ type: 'account.disabled', outcome: 'success', actor: act.actor, accountId }]);
    }
    return endSessionsIn(tx, { accountId }, { reason: 'account_disabled', ...act });
  });
}

/** Lets an account sign in again; what ended stays ended. @throws AppError `not_found` */
export async function enableAccount(db: Database, accountId: string, { actor }: AccountAct): Promise<void> {
  await transact(db, async (tx) => {
    await requireLocked(tx, accountId);
    if (await markEnabled(tx, accountId)) {
      await appendEvents(tx, [{ type: 'account.enabled', outcome: 'success', actor, accountId }]);
    }
  });
}

/** Deletes an account with its credentials and consents; its sessions end and stay as tombstones. @throws AppError `not_found` */
export async function deleteAccount(db: Database, accountId: string, act: AccountAct): Promise<EndResult> {
  return transact(db, async (tx) => {
    await requireLocked(tx, accountId);
    const result = await endSessionsIn(tx, { accountId }, { reason: 'account_deleted', ...act });
    await deleteAccountRow(tx, accountId);
    await appendEvents(tx, [{ type: 'account.deleted', outcome: 'success', actor: act.actor, accountId }]);
    return result;
  });
}

async function requireLocked(tx: Transaction, id: string): Promise<Account> {
  return requireRow(await lockAccount(tx, id), id);
}

function requireRow(account: Account | undefined, id: string): Account {
  if (account === undefined) throw new AppError('not_found', `no account ${id}`, { status: 404 });
  return account;
}

function loginTaken(login: string): AppError {
  return new AppError('already_exists', `there is an account with the login ${login} already`, { status: 409 });
}
