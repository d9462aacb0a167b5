import { execFile } from 'node:child_process';
import { chmod, cp, lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { findPostgresBinaries, locatePostgresPackage } from '../../src/storage/postgres-binaries.ts';
import { requireUserFor, type SystemUser } from '../../src/storage/system-user.ts';

const run = promisify(execFile);
let parent: string;
let user: SystemUser | undefined;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'curfew-binaries-'));
  await chmod(parent, 0o755);
  user = await requireUserFor(join(parent, 'postgres'));
});
afterEach(async () => {
  await run('chmod', ['-R', 'u+rwX', parent]);
  await rm(parent, { recursive: true });
});

async function version(postgres: string): Promise<string> {
  const identity = user === undefined ? {} : { uid: user.uid, gid: user.gid };
  return (await run(postgres, ['--version'], { cwd: '/', ...identity })).stdout;
}

/** A package as npm unpacks it with install scripts switched off: without links. */
async function givenPackageWithoutLinks() {
  const installed = await locatePostgresPackage();
  const native = join(parent, 'package', 'native');
  await cp(installed.native, native, { recursive: true, verbatimSymlinks: true });
  for (const name of await readdir(join(native, 'lib'))) {
    const path = join(native, 'lib', name);
    if ((await lstat(path)).isSymbolicLink()) await rm(path);
  }
  return { ...installed, native };
}

it('uses the package where npm put it', async () => {
  const { native } = await locatePostgresPackage();
  const { postgres } = await findPostgresBinaries(parent, user);
  expect(postgres).toBe(join(native, 'bin', 'postgres'));
  expect(await version(postgres)).toMatch(/PostgreSQL\) 18\./);
});

it('makes the links that the install script would have made', async () => {
  const installed = await givenPackageWithoutLinks();
  const { postgres } = await findPostgresBinaries(parent, user, installed);
  expect(postgres).toBe(join(installed.native, 'bin', 'postgres'));
  expect(await version(postgres)).toMatch(/PostgreSQL/);
});

it('takes a copy when the package can not be started where it is', async () => {
  const installed = await givenPackageWithoutLinks();
  await chmod(join(installed.native, 'bin', 'postgres'), 0o600);
  const { postgres } = await findPostgresBinaries(parent, user, installed);
  expect(postgres).toBe(join(parent, `postgres-binaries-${installed.version}`, 'bin', 'postgres'));
  expect(await version(postgres)).toMatch(/PostgreSQL/);
  expect((await findPostgresBinaries(parent, user, installed)).postgres).toBe(postgres);
});
