import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { prepareDataDirectory } from '../../src/storage/data-directory.ts';
import { startOrJoinEmbedded } from '../../src/storage/embedded-postgres.ts';
import { findPostmaster, isAlive, shutDown } from '../../src/storage/postgres-cluster.ts';
import { isRoot } from '../../src/storage/system-user.ts';

const USER = fileURLToPath(new URL('../support/embedded-user.ts', import.meta.url));
const TYPESCRIPT = new URL('../support/typescript.js', import.meta.url).href;
const NOBODY = 65_534;
const options = { initdbFlags: ['--no-sync'] };

interface User {
  child: ChildProcess;
  url: string;
  owner: boolean;
  stop(): Promise<number | null>;
}

let parent: string;
let dataDir: string;
let children: ChildProcess[];

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'curfew-embedded-'));
  await chmod(parent, 0o755);
  dataDir = join(parent, 'data');
  children = [];
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await shutDown({ folder: join(dataDir, 'postgres') });
  await rm(parent, { recursive: true, force: true });
});

/** A process of its own that has joined. */
async function givenUser(folder = dataDir): Promise<User> {
  const { child, answer } = await startProcess(folder);
  if (answer.error !== undefined) throw new Error(answer.error);
  return {
    child,
    url: answer.url ?? '',
    owner: answer.owner ?? false,
    async stop() {
      const exited = once(child, 'exit');
      child.stdin?.end('stop\n');
      return (await exited)[0];
    },
  };
}

async function startProcess(folder: string, identity: { uid?: number; gid?: number } = {}) {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn(process.execPath, ['--import', TYPESCRIPT, USER, folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
    env,
    ...identity,
  });
  children.push(child);
  const [line] = await once(createInterface(child.stdout), 'line');
  return { child, answer: JSON.parse(line) as { url?: string; owner?: boolean; error?: string } };
}

async function ask<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

const postmaster = () => findPostmaster(join(dataDir, 'postgres'));

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(50);
}

async function messageOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'it worked',
    (error: Error) => error.message,
  );
}

async function prepared(folder = dataDir): Promise<string> {
  return prepareDataDirectory(folder, { isDefault: false, embedded: true, log: () => undefined });
}

describe('one process', () => {
  it('makes everything at the first start and finds it as it was at the second', async () => {
    await prepared();
    const first = await startOrJoinEmbedded(dataDir, options);
    expect(first.owner).toBe(true);
    await ask(first.url, 'CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)');
    await first.stop();
    expect(await postmaster()).toBeUndefined();

    const second = await startOrJoinEmbedded(dataDir, options);
    expect(second).toMatchObject({ url: first.url, owner: true });
    expect(await ask(second.url, 'SELECT n FROM kept')).toEqual([{ n: 7 }]);
    await second.stop();
  });

  it('keeps the password to itself and the server to this machine', async () => {
    await prepared();
    const postgres = await startOrJoinEmbedded(dataDir, options);
    for (const file of ['postgres.password', 'postgres.log']) {
      expect((await stat(join(dataDir, file))).mode & 0o777).toBe(0o600);
    }
    const settings = await ask(
      postgres.url,
      `SELECT current_setting('listen_addresses') AS listen, current_setting('unix_socket_directories') AS sockets,
        current_setting('TimeZone') AS zone, current_setting('fsync') AS fsync`,
    );
    expect(settings).toEqual([{ listen: '127.0.0.1', sockets: '', zone: 'UTC', fsync: 'on' }]);
    const withoutPassword = new URL(postgres.url);
    withoutPassword.password = 'guess';
    expect(await messageOf(ask(withoutPassword.href, 'SELECT 1'))).toContain('password authentication failed');
    await postgres.stop();
    expect(await readdir(dataDir)).toEqual(['postgres', 'postgres.log', 'postgres.password', 'postgres.port']);
  });

  it('gets its server back on the same port when that is killed', async () => {
    await prepared();
    const messages: string[] = [];
    const postgres = await startOrJoinEmbedded(dataDir, { ...options, log: (message) => messages.push(message) });
    await ask(postgres.url, 'CREATE TABLE kept (n int)');
    process.kill((await postmaster())?.pid ?? 0, 'SIGKILL');
    await until(async () => (await messageOf(ask(postgres.url, 'SELECT n FROM kept'))) === 'it worked');
    expect(messages).toEqual(['The embedded Postgres is gone and is started again.']);
    await postgres.stop();
    expect(await postmaster()).toBeUndefined();
  });

  it('is not stopped by the pid file of a process that has another job now', async () => {
    await prepared();
    const first = await startOrJoinEmbedded(dataDir, options);
    const folder = join(dataDir, 'postgres');
    const pidFile = await readFile(join(folder, 'postmaster.pid'), 'utf8');
    const { uid, gid } = await stat(folder);
    await first.stop();
    // The other process must be the same user's: Postgres looks at no others.
    const other = spawn('sleep', ['60'], { uid, gid, stdio: 'ignore' });
    children.push(other);
    await writeFile(join(folder, 'postmaster.pid'), pidFile.replace(/^\d+/, String(other.pid)));
    const second = await startOrJoinEmbedded(dataDir, options);
    expect(await ask(second.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await second.stop();
  });
});

describe('several processes', () => {
  it('share one server from a first start together, until the last of them leaves', async () => {
    const users = await Promise.all([givenUser(), givenUser(), givenUser()]);
    expect(new Set(users.map(({ url }) => url)).size).toBe(1);
    expect(users.filter(({ owner }) => owner)).toHaveLength(1);
    users.sort((a, b) => Number(b.owner) - Number(a.owner));
    for (const { url, stop } of users) {
      expect(await ask(url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
      expect(await stop()).toBe(0);
    }
    expect(await postmaster()).toBeUndefined();
    expect((await readdir(dataDir)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('find a working server however they come and go', async () => {
    await (await givenUser()).stop();
    const rounds = Array.from({ length: 4 }, async (_, n) => {
      for (let round = 0; round < 4; round += 1) {
        const postgres = await startOrJoinEmbedded(dataDir, options);
        expect(await ask(postgres.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
        await delay(n * 7);
        await postgres.stop();
      }
    });
    await Promise.all(rounds);
    expect(await postmaster()).toBeUndefined();
  });

  it('take over the server that a killed one left behind, and stop it', async () => {
    const killed = await givenUser();
    const before = await postmaster();
    killed.child.kill('SIGKILL');
    await once(killed.child, 'exit');
    expect(isAlive(before?.pid ?? 0)).toBe(true);

    const next = await givenUser();
    expect(next).toMatchObject({ url: killed.url, owner: false });
    expect(await postmaster()).toEqual(before);
    expect(await next.stop()).toBe(0);
    expect(await postmaster()).toBeUndefined();
  });

  it('keep it through a Ctrl-C that reaches the whole process group', async () => {
    const user = await givenUser();
    process.kill(-(user.child.pid ?? 0), 'SIGINT');
    await delay(200);
    expect(await ask(user.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(await user.stop()).toBe(0);
  });
});

describe('a data folder that can not be used is told in a sentence', () => {
  async function givenStopped(): Promise<string> {
    await prepared();
    await (await startOrJoinEmbedded(dataDir, options)).stop();
    return join(dataDir, 'postgres');
  }

  it('of another Postgres version', async () => {
    await writeFile(join(await givenStopped(), 'PG_VERSION'), '16\n');
    const message = await messageOf(startOrJoinEmbedded(dataDir, options));
    expect(message).toMatch(/was made by Postgres 16, and the embedded one is 18: dump it/);
  });

  it('without a version', async () => {
    await rm(join(await givenStopped(), 'PG_VERSION'));
    const message = await messageOf(startOrJoinEmbedded(dataDir, options));
    expect(message).toMatch(/not a Postgres data folder .*restore it from a backup/);
  });

  it('that is damaged', async () => {
    await truncate(join(await givenStopped(), 'global', 'pg_control'), 10);
    const message = await messageOf(startOrJoinEmbedded(dataDir, options));
    expect(message).toMatch(/does not start: .+ \(more in .*postgres\.log\)\. If the folder is damaged/);
  });

  it('with a file in its place', async () => {
    await writeFile(dataDir, '');
    expect(await messageOf(prepared())).toMatch(/can't be used \(there is a file in its place\): make it readable/);
    expect(await messageOf(prepared(join(dataDir, 'deeper')))).toMatch(/there is a file in its place/);
  });

  it('that can not be written', async () => {
    await mkdir(dataDir, { mode: 0o555 });
    const identity = isRoot() ? { uid: NOBODY, gid: NOBODY } : {};
    const { answer } = await startProcess(dataDir, identity);
    expect(answer.error).toMatch(/can't be used \(permission denied\): make it readable and writable/);
  });

  it('that belongs to somebody else', async () => {
    await mkdir(join(dataDir, 'postgres'), { recursive: true, mode: 0o755 });
    await chmod(dataDir, 0o777);
    if (!isRoot()) {
      // Only root can give a folder away, and root runs Postgres as its owner.
      expect((await stat(join(dataDir, 'postgres'))).uid).toBe(process.getuid?.());
      return;
    }
    await chown(join(dataDir, 'postgres'), 1, 1);
    const { answer } = await startProcess(dataDir, { uid: NOBODY, gid: NOBODY });
    expect(answer.error).toMatch(/belongs to another user \(uid 1\): start Curfew as that user or as root/);
  });

  it('behind a folder that only root may enter', async () => {
    await chmod(parent, 0o700);
    const message = await messageOf(prepared());
    expect(message).toMatch(isRoot() ? /can't reach .*chmod o\+x/ : /it worked/);
  });
});
