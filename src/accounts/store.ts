import type { Database, Transaction } from '../storage/database.ts';
import type { Account } from './account.ts';

interface AccountRow {
  id: string;
  login: string;
  email: string | null;
  name: string | null;
  roles: string[];
  groups: string[];
  credentialVersion: number;
  disabledAt: Date | null;
}

export interface NewAccount {
  id: string;
  login: string;
  email: string | null;
  name: string | null;
  roles: readonly string[];
  groups: readonly string[];
}

export type AccountChange = Partial<Omit<NewAccount, 'id'>>;

export type By = { id: string } | { login: string };

function toAccount({ email, name, disabledAt, ...rest }: AccountRow): Account {
  return {
    ...rest,
    ...(email !== null && { email }),
    ...(name !== null && { name }),
    ...(disabledAt !== null && { disabledAt }),
  };
}

const accountColumns = {
  id: true,
  login: true,
  email: true,
  name: true,
  roles: true,
  groups: true,
  credentialVersion: true,
  disabledAt: true,
} as const;

export async function findAccountRow(db: Database | Transaction, by: By): Promise<Account | undefined> {
  const row = await db.account.findUnique({ where: by, select: accountColumns });
  return row === null ? undefined : toAccount(row);
}

/** Reads an account and its password hash in one statement, so that both are of the same `credentialVersion`. */
export async function findAccountAndHash(
  db: Database,
  login: string,
): Promise<{ account: Account; passwordHash: string | undefined } | undefined> {
  const rows = await db.$queryRaw<(AccountRow & { passwordHash: string | null })[]>`
    SELECT a."id", a."login", a."email", a."name", a."roles", a."groups",
      a."credential_version" AS "credentialVersion", a."disabled_at" AS "disabledAt", c."hash" AS "passwordHash"
    FROM "account" a LEFT JOIN "credential" c ON c."account_id" = a."id" AND c."kind" = 'password'
    WHERE a."login" = ${login}`;
  const row = rows[0];
  if (row === undefined) return undefined;
  const { passwordHash, ...account } = row;
  return { account: toAccount(account), passwordHash: passwordHash ?? undefined };
}

export async function hasAccountRows(db: Database): Promise<boolean> {
  return (await db.account.findFirst({ select: { id: true } })) !== null;
}

export async function listAccountRows(db: Database): Promise<Account[]> {
  const rows = await db.account.findMany({ select: accountColumns, orderBy: { login: 'asc' } });
  return rows.map(toAccount);
}

/**
 * Locks an account before anything about it is judged. Sign-in locks it too: whoever comes second sees what the first
 * did (READ COMMITTED).
 */
export async function lockAccount(tx: Transaction, id: string): Promise<Account | undefined> {
  await tx.$queryRaw`SELECT 1 FROM "account" WHERE "id" = ${id} FOR NO KEY UPDATE`;
  return findAccountRow(tx, { id });
}

/** @returns whether the login was free */
export async function insertAccount(tx: Transaction, account: NewAccount): Promise<boolean> {
  const { id, login, email, name, roles, groups } = account;
  const inserted = await tx.$executeRaw`
    INSERT INTO "account" ("id", "login", "email", "name", "roles", "groups", "created_at", "updated_at")
    VALUES (${id}, ${login}, ${email}, ${name}, ${[...roles]}::text[], ${[...groups]}::text[], curfew_instant(), curfew_instant())
    ON CONFLICT ("login") DO NOTHING`;
  return inserted === 1;
}

/** @returns whether no other account has the login */
export async function updateAccountRow(tx: Transaction, account: NewAccount): Promise<boolean> {
  const { id, login, email, name, roles, groups } = account;
  // An existing row is locked by now, and a login that another transaction is about to take blocks here.
  const updated = await tx.$executeRaw`
    UPDATE "account" SET "login" = ${login}, "email" = ${email}, "name" = ${name},
      "roles" = ${[...roles]}::text[], "groups" = ${[...groups]}::text[], "updated_at" = curfew_instant()
    WHERE "id" = ${id} AND NOT EXISTS (SELECT 1 FROM "account" WHERE "login" = ${login} AND "id" <> ${id})`;
  return updated === 1;
}

/** Whoever signed in with the old password has an old `credential_version`: their sign-in no longer begins a session. */
export async function raiseCredentialVersion(tx: Transaction, id: string): Promise<void> {
  await tx.$executeRaw`
    UPDATE "account" SET "credential_version" = "credential_version" + 1, "updated_at" = curfew_instant()
    WHERE "id" = ${id}`;
}

export async function writePasswordHash(tx: Transaction, accountId: string, hash: string): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO "credential" ("account_id", "kind", "hash", "updated_at")
    VALUES (${accountId}, 'password', ${hash}, curfew_instant())
    ON CONFLICT ("account_id", "kind") DO UPDATE SET "hash" = EXCLUDED."hash", "updated_at" = EXCLUDED."updated_at"`;
}

/** Replaces a hash by one of the same password; does nothing if the password changed in the meantime. */
export async function replacePasswordHash(db: Database, accountId: string, from: string, to: string): Promise<void> {
  await db.$executeRaw`
    UPDATE "credential" SET "hash" = ${to}, "updated_at" = curfew_instant()
    WHERE "account_id" = ${accountId} AND "kind" = 'password' AND "hash" = ${from}`;
}

/** @returns whether the account was not disabled yet */
export async function markDisabled(tx: Transaction, id: string): Promise<boolean> {
  const updated = await tx.$executeRaw`
    UPDATE "account" SET "disabled_at" = curfew_instant(), "updated_at" = curfew_instant()
    WHERE "id" = ${id} AND "disabled_at" IS NULL`;
  return updated === 1;
}

/** @returns whether the account was disabled */
export async function markEnabled(tx: Transaction, id: string): Promise<boolean> {
  const updated = await tx.$executeRaw`
    UPDATE "account" SET "disabled_at" = NULL, "updated_at" = curfew_instant()
    WHERE "id" = ${id} AND "disabled_at" IS NOT NULL`;
  return updated === 1;
}

/** Deletes an account with its credentials and consents. */
export async function deleteAccountRow(tx: Transaction, id: string): Promise<void> {
  await tx.$executeRaw`DELETE FROM "account" WHERE "id" = ${id}`;
}
