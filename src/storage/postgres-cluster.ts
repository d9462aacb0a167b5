import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, link, mkdir, open, readdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { AppError } from '../errors.ts';
import { createOnce, errorCode, giveToFolderOwner, readIfPresent } from './data-directory.ts';
import { findPostgresBinaries, type PostgresBinaries } from './postgres-binaries.ts';
import { requireUserFor, type SystemUser } from './system-user.ts';

const run = promisify(execFile);

/** The major version of Postgres that npm brings; its data folders fit no other. */
const MAJOR_VERSION = '18';
const LOG_BYTES_KEPT = 10_000_000;
export const SUPERUSER = 'curfew';

/** On the command line, so that a data folder made by an earlier version gets them too. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // One node, no replicas: half the journal.
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_wal_size: '512MB',
  // Short statements gain nothing from being compiled.
  jit: 'off',
  // Statements and key values may be personal data: they stay out of the log.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_checkpoints: 'off',
};

/** A data folder of the embedded Postgres and what it takes to run it. */
export interface Cluster {
  dataDir: string;
  /** What Postgres calls its data directory, symbolic links resolved. */
  folder: string;
  logFile: string;
  password: string;
  user: SystemUser | undefined;
  binaries: PostgresBinaries;
}

/** A Postgres that this process started and that is not known to accept connections yet. */
export interface Launch {
  port: number;
  /** What Postgres said when it gave up; undefined while it runs. */
  failure(): string | undefined;
}

/** What a running Postgres tells in `postmaster.pid`. */
export interface Postmaster {
  pid: number;
  port: number;
  ready: boolean;
}

/**
 * Opens the data folder, or makes it. Processes that start together may each make one; the first to finish wins.
 *
 * @throws AppError `data_directory`, `database_version`, `unsupported_platform`
 */
export async function openCluster(dataDir: string, initdbFlags: readonly string[] = []): Promise<Cluster> {
  const folder = join(dataDir, 'postgres');
  const user = await requireUserFor(folder);
  const binaries = await findPostgresBinaries(dataDir, user);
  const password = await createOnce(join(dataDir, 'postgres.password'), () => randomBytes(24).toString('base64url'));
  if (!(await holdsData(folder))) await initialise({ dataDir, folder, password, user, binaries }, initdbFlags);
  await requireVersion(folder);
  return { dataDir, folder: await realpath(folder), logFile: join(dataDir, 'postgres.log'), password, user, binaries };
}

/**
 * Starts Postgres in a session of its own: Ctrl-C goes to every process of a terminal's group, and what is in
 * flight here still needs the database then.
 */
export async function launch(
  cluster: Cluster,
  port: number,
  settings: Readonly<Record<string, string>>,
): Promise<Launch> {
  const log = await openLog(cluster.logFile);
  const { size: logStart } = await log.stat();
  const flags = Object.entries({ ...SETTINGS, ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const child = spawn(cluster.binaries.postgres, ['-D', cluster.folder, '-p', String(port), ...flags], {
    ...identity(cluster.user),
    cwd: cluster.folder,
    env: childEnvironment(),
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  });
  const ended = whenEnded(child, async () => lastWords(await readFrom(cluster.logFile, logStart)));
  let failure: string | undefined;
  void ended.then((words) => {
    failure = words;
  });
  child.unref();
  await log.close();
  return { port, failure: () => failure };
}

/** Asks Postgres to disconnect everybody and stop; past 5 s it has to stop at once and recovers at its next start. */
export async function shutDown({ folder }: Pick<Cluster, 'folder'>): Promise<void> {
  for (const [signal, milliseconds] of [
    ['SIGINT', 5_000],
    ['SIGQUIT', 2_000],
  ] as const) {
    const postmaster = await findPostmaster(folder);
    if (!postmaster || !sendSignal(postmaster.pid, signal)) return;
    for (let waited = 0; waited < milliseconds; waited += 20) {
      const now = await findPostmaster(folder);
      if (now?.pid !== postmaster.pid) return;
      await delay(20);
    }
  }
}

/** Reads who runs this data folder, if anybody does or did. */
export async function findPostmaster(folder: string): Promise<Postmaster | undefined> {
  const lines = (await readIfPresent(join(folder, 'postmaster.pid')))?.split('\n');
  const pid = Number(lines?.[0]);
  if (lines === undefined || !Number.isSafeInteger(pid) || pid <= 0) return undefined;
  return { pid, port: Number(lines[3] ?? 0), ready: lines[7]?.trim() === 'ready' };
}

/**
 * Whether that process is a Postgres. After a crash or in a new container its number may be another process's,
 * which Postgres itself can't tell apart and therefore refuses to start.
 */
export async function isPostgres(pid: number): Promise<boolean> {
  const command =
    process.platform === 'linux'
      ? await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
      : await run('ps', ['-o', 'comm=', '-p', String(pid)]).then(
          ({ stdout }) => stdout,
          () => '',
        );
  const [program = ''] = command.split('\0');
  return /^postgres\b/.test(basename(program.trim()));
}

/**
 * Puts aside the `postmaster.pid` of a Postgres that is no more and whose number another process has now.
 *
 * Taking away the file of a running one would allow two on the same data: what was not the stale file is put back.
 */
export async function dropStalePidFile(folder: string, stalePid: number): Promise<void> {
  const file = join(folder, 'postmaster.pid');
  const aside = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(file, aside);
    const [pid] = (await readFile(aside, 'utf8')).split('\n');
    if (Number(pid) !== stalePid) await link(aside, file);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' && errorCode(error) !== 'EEXIST') throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

export function isAlive(pid: number): boolean {
  return sendSignal(pid, 0);
}

/** The port that the data folder had last, so that addresses stay valid over a restart; a free one the first time. */
export async function choosePort(dataDir: string, taken: ReadonlySet<number>): Promise<number> {
  const last = Number(await readIfPresent(join(dataDir, 'postgres.port')));
  return last > 0 && !taken.has(last) ? last : freePort();
}

export async function rememberPort(dataDir: string, port: number): Promise<void> {
  const file = join(dataDir, 'postgres.port');
  if (Number(await readIfPresent(file)) === port) return;
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, `${port}\n`, { mode: 0o600 });
  await giveToFolderOwner(draft);
  await rename(draft, file);
}

async function initialise(cluster: Omit<Cluster, 'logFile'>, flags: readonly string[]): Promise<void> {
  const { dataDir, folder, password, user, binaries } = cluster;
  const draft = join(dataDir, `.postgres-${process.pid}-${randomBytes(4).toString('hex')}`);
  const passwordFile = join(draft, 'password');
  try {
    await mkdir(draft, { mode: 0o700 });
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
    for (const path of user ? [draft, passwordFile] : []) await chown(path, user?.uid ?? 0, user?.gid ?? 0);
    // Postgres' own locale: text sorts alike on every system, whatever locales that has.
    const locale = ['--encoding=UTF8', '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--locale=C'];
    const access = [`--username=${SUPERUSER}`, '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
    await run(binaries.initdb, ['-D', join(draft, 'data'), ...locale, ...access, ...flags], {
      ...identity(user),
      cwd: draft,
      env: childEnvironment(),
    });
    await rename(join(draft, 'data'), folder).catch((error: unknown) => {
      if (errorCode(error) !== 'ENOTEMPTY' && errorCode(error) !== 'EEXIST') throw error;
    });
    await syncFolder(dataDir);
  } catch (cause) {
    const { stderr, message } = cause as { stderr?: string; message?: string };
    const words = stderr ? lastWords(stderr) : message;
    throw new AppError('data_directory', `Postgres could not make its data folder ${folder}: ${words}.`, { cause });
  } finally {
    await rm(draft, { recursive: true, force: true });
    await removeAbandonedDrafts(dataDir);
  }
}

/** A kill in the middle of the first start leaves a draft: 40 MB that nobody would miss. */
async function removeAbandonedDrafts(dataDir: string): Promise<void> {
  for (const name of await readdir(dataDir)) {
    const pid = /^\.postgres-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) await rm(join(dataDir, name), { recursive: true, force: true });
  }
}

async function holdsData(folder: string): Promise<boolean> {
  return readdir(folder).then(
    (names) => names.length > 0,
    (error: unknown) => {
      if (errorCode(error) === 'ENOENT') return false;
      throw new AppError('data_directory', `${folder} can't be read (${errorCode(error)}).`, { cause: error });
    },
  );
}

async function requireVersion(folder: string): Promise<void> {
  const found = (await readIfPresent(join(folder, 'PG_VERSION')))?.trim();
  if (found === MAJOR_VERSION) return;
  if (found === undefined) {
    throw new AppError(
      'data_directory',
      `${folder} is not a Postgres data folder (it has no PG_VERSION): move it away or restore it from a backup, or set another DATA_DIR.`,
    );
  }
  throw new AppError(
    'database_version',
    `${folder} was made by Postgres ${found}, and the embedded one is ${MAJOR_VERSION}: dump it with version ${found} ` +
      'and restore it into an empty DATA_DIR, or set DATABASE_URL to a server of your own.',
  );
}

async function openLog(file: string) {
  const log = await open(file, 'a', 0o600);
  await giveToFolderOwner(file);
  if ((await log.stat()).size > LOG_BYTES_KEPT) await log.truncate();
  return log;
}

async function readFrom(file: string, start: number): Promise<string> {
  return (await readFile(file)).subarray(start).toString();
}

/** The line that says why: Postgres ends with FATAL or PANIC, `initdb` with an error. */
function lastWords(output: string): string {
  const lines = output.split('\n').filter((line) => /FATAL|PANIC|error:|could not/.test(line));
  return (lines.at(-1) ?? output.trim().split('\n').at(-1) ?? '').replace(/^.*?(FATAL|PANIC|error): +/, '').trim();
}

function whenEnded(child: ChildProcess, words: () => Promise<string>): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', () => void words().then(resolve, () => resolve('no reason given')));
  });
}

/** Nothing of this process's environment: it holds secrets, and PG… variables would change what Postgres does. */
function childEnvironment(): NodeJS.ProcessEnv {
  const { PATH, LD_LIBRARY_PATH } = process.env;
  return { LC_ALL: 'C', ...(PATH && { PATH }), ...(LD_LIBRARY_PATH && { LD_LIBRARY_PATH }) };
}

function identity(user: SystemUser | undefined): { uid?: number; gid?: number } {
  return user === undefined ? {} : { uid: user.uid, gid: user.gid };
}

/** @returns false if there is no such process */
function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    return errorCode(error) !== 'ESRCH';
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync();
  await handle.close();
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(address !== null && typeof address === 'object' ? address.port : 0));
    });
  });
}
