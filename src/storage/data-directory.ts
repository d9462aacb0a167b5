import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, chmod, chown, link, mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { AppError } from '../errors.ts';
import { canEnter, isRoot, requireUserFor } from './system-user.ts';

const FALLBACK_PARENT = '/var/lib/curfew';
const REASONS = new Map([
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
  ['EROFS', 'read-only file system'],
  ['ENOSPC', 'the disk is full'],
  ['ENOTDIR', 'there is a file in its place'],
  ['EEXIST', 'there is a file in its place'],
]);

export interface DataDirectoryOptions {
  /** Nobody chose this folder: another one may be taken if Postgres could not live in it. */
  isDefault: boolean;
  /** Will hold the embedded Postgres too, not only secrets. */
  embedded: boolean;
  /** Told about a folder taken instead. */
  log: (message: string) => void;
}

/**
 * Makes sure that the data folder exists, can be written, and can be entered by the account that Postgres runs as.
 *
 * @returns the folder to use: the one asked for, or for root a default that Postgres can reach
 * @throws AppError `data_directory`
 */
export async function prepareDataDirectory(folder: string, options: DataDirectoryOptions): Promise<string> {
  await makeWritable(folder);
  const user = options.embedded ? await requireUserFor(join(folder, 'postgres')) : undefined;
  if (user === undefined || (await canEnter(user, folder))) return folder;
  await letThrough(folder);
  if (await canEnter(user, folder)) return folder;
  if (!options.isDefault || (await exists(join(folder, 'postgres')))) {
    throw new AppError(
      'data_directory',
      `The embedded Postgres runs as the user "${user.name}", who can't reach ${folder}: ` +
        `let others pass through its parent folders (chmod o+x) or set DATA_DIR to a folder like ${FALLBACK_PARENT}.`,
    );
  }
  const fallback = join(FALLBACK_PARENT, fallbackName(folder));
  options.log(`The user "${user.name}" can't reach ${folder}, so the data is kept in ${fallback}.`);
  await makeWritable(fallback);
  await letThrough(FALLBACK_PARENT);
  await letThrough(fallback);
  return fallback;
}

/**
 * Writes a file for the owner's eyes only, unless it is there already; of processes that start together one wins.
 *
 * @returns what the file contains, whoever wrote it
 * @throws AppError `data_directory`
 */
export async function createOnce(file: string, content: () => string): Promise<string> {
  try {
    return (await readIfPresent(file)) ?? (await createThenRead(file, content()));
  } catch (error) {
    throw unusable(file, error);
  }
}

export async function readIfPresent(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw error;
  });
}

/** In a folder that isn't root's, what root writes belongs to the folder's owner, who runs Curfew next time. */
export async function giveToFolderOwner(file: string): Promise<void> {
  if (!isRoot()) return;
  const { uid, gid } = await stat(dirname(file));
  await chown(file, uid, gid);
}

/** The system's or the database's code for what went wrong, if the error carries one. */
export function errorCode(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

async function createThenRead(file: string, content: string): Promise<string> {
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    const handle = await open(draft, 'wx', 0o600);
    await handle.writeFile(content);
    await handle.sync();
    await handle.close();
    await giveToFolderOwner(draft);
    // A link, unlike a rename, refuses to replace what another process created meanwhile.
    await link(draft, file).catch((error: unknown) => {
      if (errorCode(error) !== 'EEXIST') throw error;
    });
  } finally {
    await rm(draft, { force: true });
  }
  return readFile(file, 'utf8');
}

async function makeWritable(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unusable(folder, error);
  }
}

/** Postgres lives in a folder inside, so its account must be able to pass, though not to look around. */
async function letThrough(folder: string): Promise<void> {
  const { mode } = await stat(folder);
  if ((mode & 0o011) !== 0o011) await chmod(folder, (mode & 0o777) | 0o011);
}

function unusable(path: string, cause: unknown): AppError {
  const code = errorCode(cause) ?? 'unknown reason';
  const what = REASONS.get(code) ?? code;
  return new AppError(
    'data_directory',
    `${path} can't be used (${what}): make it readable and writable for the user who runs Curfew, or set DATA_DIR.`,
    { cause },
  );
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function fallbackName(folder: string): string {
  const project = basename(dirname(folder)).replace(/[^\w.-]/g, '_');
  return `${project}-${createHash('sha256').update(folder).digest('hex').slice(0, 8)}`;
}
