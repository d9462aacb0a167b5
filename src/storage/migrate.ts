import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MigrationList } from '@prisma/schema-engine-wasm/schema_engine_bg';
import pg from 'pg';
import { AppError } from '../errors.ts';
import { withSchemaEngine } from './schema-engine.ts';

/** The same place from `src/` and from `dist/`. */
export const MIGRATIONS_FOLDER = fileURLToPath(new URL('../../prisma/migrations', import.meta.url));

/** Whoever migrates holds this advisory lock; any number that no one else uses. */
const MIGRATION_LOCK = 0x63_75_72_66;

/** The engine's code for tables in a database without a history of migrations. */
const FOREIGN_TABLES = 'P3005';

const UNFINISHED = 'finished_at IS NULL AND rolled_back_at IS NULL';

/**
 * Runs at the end of each migration, in its transaction: a migration cut off later (the process was killed
 * before the engine could write `finished_at`) is thereby known to be applied.
 */
const MARK_AS_APPLIED = `UPDATE _prisma_migrations SET applied_steps_count = 1 WHERE ${UNFINISHED};`;

/**
 * Brings the database's schema up to date. Of processes that start together one migrates, the others wait for it.
 *
 * The engine is Prisma's own, so `prisma migrate` reads the same `_prisma_migrations`. Every migration is one
 * transaction: what fails or is cut off half way leaves nothing behind and is tried anew by the next call.
 *
 * @returns the names of the migrations applied now
 * @throws AppError `migration_failed`
 */
export async function migrate(url: string, folder: string = MIGRATIONS_FOLDER): Promise<string[]> {
  const lock = new pg.Client({ connectionString: url });
  lock.on('error', () => undefined);
  await lock.connect();
  try {
    await lock.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await settleInterrupted(lock);
    const [next] = await pendingMigrations(lock, folder);
    if (next === undefined) return [];
    const migrationsList = await readMigrations(folder);
    try {
      return await applyAll(url, migrationsList);
    } catch (error) {
      throw await describeFailure(lock, error);
    }
  } finally {
    await lock.end();
  }
}

/**
 * The migrations that this version brings and the database has not had, oldest first.
 */
export async function pendingMigrations(
  database: Pick<pg.Pool, 'query'>,
  folder: string = MIGRATIONS_FOLDER,
): Promise<string[]> {
  const names = await migrationNames(folder);
  if (!(await hasHistory(database))) return names;
  const { rows } = await database.query<{ name: string }>(
    'SELECT migration_name AS name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL',
  );
  const applied = new Set(rows.map(({ name }) => name));
  return names.filter((name) => !applied.has(name));
}

async function applyAll(url: string, migrationsList: MigrationList): Promise<string[]> {
  const migrations = new Set(
    migrationsList.migrationDirectories.map(({ migrationFile }) => migrationFile.content.value),
  );
  const rewriteScript = (script: string) => (migrations.has(script) ? `${script}\n;${MARK_AS_APPLIED}` : script);
  return withSchemaEngine(url, { rewriteScript }, async (engine) => {
    const filters = { externalTables: [], externalEnums: [] };
    return (await engine.applyMigrations({ migrationsList, filters })).appliedMigrationNames;
  });
}

/** The engine refuses to go on after an unfinished migration; here it is known how each of them ended. */
async function settleInterrupted(database: pg.Client): Promise<void> {
  if (!(await hasHistory(database))) return;
  await database.query(`UPDATE _prisma_migrations SET
    finished_at = CASE WHEN applied_steps_count > 0 THEN clock_timestamp() END,
    rolled_back_at = CASE WHEN applied_steps_count = 0 THEN clock_timestamp() END
    WHERE ${UNFINISHED}`);
}

async function describeFailure(database: pg.Client, cause: unknown): Promise<AppError> {
  if (cause instanceof Error && 'code' in cause && cause.code === FOREIGN_TABLES) {
    const sentence = "The database holds tables that are not Curfew's: set DATABASE_URL to an empty database.";
    return new AppError('migration_failed', sentence, { cause });
  }
  const { rows } = await database
    .query<{ name: string }>(`SELECT migration_name AS name FROM _prisma_migrations WHERE ${UNFINISHED}`)
    .catch(() => ({ rows: [] }));
  const why = /ERROR: .+/.exec(String(cause))?.[0] ?? 'the database went away';
  return new AppError(
    'migration_failed',
    `The migration ${rows[0]?.name ?? ''} failed (${why}). Nothing of it was kept, so the version before still works; ` +
      'put right what the message names and start again: the migration is then tried anew.',
    { cause },
  );
}

async function hasHistory(database: Pick<pg.Pool, 'query'>): Promise<boolean> {
  const { rows } = await database.query<{ found: boolean }>(
    `SELECT to_regclass('_prisma_migrations') IS NOT NULL AS found`,
  );
  return rows[0]?.found === true;
}

async function migrationNames(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort();
}

async function readMigrations(folder: string): Promise<MigrationList> {
  const names = await migrationNames(folder);
  return {
    baseDir: folder,
    lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"\n' },
    shadowDbInitScript: '',
    migrationDirectories: await Promise.all(
      names.map(async (path) => ({
        path,
        migrationFile: {
          path: 'migration.sql',
          content: { tag: 'ok' as const, value: await readFile(join(folder, path, 'migration.sql'), 'utf8') },
        },
      })),
    ),
  };
}
