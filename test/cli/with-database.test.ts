import { existsSync } from 'node:fs';
import { chmod, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { emptyDatabase } from '../support/database.ts';
import { runCurfew, temporaryFolder } from './curfew.ts';

let cwd: string;

beforeAll(async () => {
  cwd = await temporaryFolder();
  // The account that the embedded Postgres runs as passes through.
  await chmod(cwd, 0o755);
});
afterAll(() => rm(cwd, { recursive: true, force: true }));

const add = (login: string) =>
  runCurfew(['account', 'add', '--login', login, '--password-stdin'], {
    cwd,
    env: { DATA_DIR: join(cwd, 'data') },
    stdin: 'a good password',
  });

describe('a command without a server', () => {
  it('starts the embedded database, shares it with others and leaves none running', async () => {
    const outcomes = await Promise.all(['alice', 'bob', 'carol'].map(add));
    expect(outcomes.map(({ code, stderr }) => ({ code, failed: /curfew:/.test(stderr) }))).toEqual(
      Array.from({ length: 3 }, () => ({ code: 0, failed: false })),
    );
    const { stdout } = await runCurfew(['account', 'list', '--json'], { cwd, env: { DATA_DIR: join(cwd, 'data') } });
    const accounts = JSON.parse(stdout) as { login: string }[];
    expect(accounts.map(({ login }) => login)).toEqual(['alice', 'bob', 'carol']);
    expect(existsSync(join(cwd, 'data', 'postgres', 'PG_VERSION'))).toBe(true);
    expect(existsSync(join(cwd, 'data', 'postgres', 'postmaster.pid'))).toBe(false);
  });
});

describe('a command on a database that lacks migrations', () => {
  it('refuses to work until they are applied', async () => {
    const { url, drop } = await emptyDatabase();
    const env = { DATABASE_URL: url };
    const refused = await runCurfew(['account', 'list'], { env });
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('run `curfew migrate` first') });
    const migrated = await runCurfew(['migrate', '--json'], { env });
    expect(JSON.parse(migrated.stdout)).toEqual({ applied: expect.arrayContaining(['0001_init']) });
    expect(await runCurfew(['migrate'], { env })).toMatchObject({ code: 0, stdout: 'The database is up to date.\n' });
    expect(await runCurfew(['account', 'list'], { env })).toMatchObject({ code: 0 });
    await drop();
  });
});
