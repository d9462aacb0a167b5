import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { AppError } from '../errors.ts';

const run = promisify(execFile);
const ACCOUNT_NAMES = ['postgres', '_postgres'];

/** The account that the embedded Postgres runs as. */
export interface SystemUser {
  name: string;
  uid: number;
  gid: number;
}

/** True where processes may be started as somebody else, and where Postgres therefore refuses to run. */
export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * The account to run Postgres as on that folder when this process is root's: the owner of the data, or, for data
 * to be made, `postgres`, which is created if the system has none.
 *
 * @returns undefined for everyone but root: Postgres then runs as the same person
 * @throws AppError `data_directory` if the data is another person's, `unsupported_platform`
 */
export async function requireUserFor(folder: string): Promise<SystemUser | undefined> {
  const owner = await stat(folder).catch(() => undefined);
  if (!isRoot()) {
    if (owner === undefined || owner.uid === process.getuid?.()) return undefined;
    throw new AppError(
      'data_directory',
      `${folder} belongs to another user (uid ${owner.uid}): start Curfew as that user or as root, or set another DATA_DIR.`,
    );
  }
  if (owner === undefined || owner.uid === 0) return requirePostgresUser();
  return { name: `uid ${owner.uid}`, uid: owner.uid, gid: owner.gid };
}

async function requirePostgresUser(): Promise<SystemUser> {
  const found = await findPostgresUser();
  if (found) return found;
  const [name = 'postgres'] = ACCOUNT_NAMES;
  const home = ['--no-create-home', '--home-dir', '/nonexistent', '--shell', '/usr/sbin/nologin'];
  const failure = await run('useradd', ['--system', '--user-group', ...home, name]).then(
    () => undefined,
    (error: unknown) => error,
  );
  const created = await findPostgresUser();
  if (created) return created;
  throw new AppError(
    'unsupported_platform',
    'Postgres does not run as root, and the system account "postgres" could not be created: ' +
      'create it, start Curfew as another user, or set DATABASE_URL.',
    { cause: failure },
  );
}

/** Whether that account can enter the folder, by whatever rules the system has (modes, ACLs). */
export async function canEnter(user: SystemUser, folder: string): Promise<boolean> {
  return run('/bin/sh', ['-c', 'cd "$0"', folder], { uid: user.uid, gid: user.gid, cwd: '/' }).then(
    () => true,
    () => false,
  );
}

async function findPostgresUser(): Promise<SystemUser | undefined> {
  for (const name of ACCOUNT_NAMES) {
    const ids = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]).catch(() => undefined);
    if (ids) return { name, uid: Number(ids[0].stdout), gid: Number(ids[1].stdout) };
  }
  return undefined;
}
