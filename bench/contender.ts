import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAccount } from '../src/accounts/accounts.ts';
import { createPasswordHasher } from '../src/accounts/password-hasher.ts';
import { applyDeclaration } from '../src/clients/apply.ts';
import { parseCurfewYaml } from '../src/clients/curfew-yaml.ts';
import { createDatabase } from '../src/storage/database.ts';
import { migrate } from '../src/storage/migrate.ts';
import { SCHEMA } from './contenders/hand-written-schema.ts';
import { ARGON2, type BenchAccount, CURFEW_YAML, LOGINS, PASSWORD, SECRET } from './fixtures.ts';
import type { BenchPostgres } from './postgres.ts';
import { chooseCores } from './processes.ts';

export const CONTENDER_NAMES = ['memory', 'hand-written', 'curfew'] as const;
export type ContenderName = (typeof CONTENDER_NAMES)[number];

export const CONTENDER_TITLES: Readonly<Record<ContenderName, string>> = {
  memory: 'oidc-provider, in memory',
  'hand-written': 'oidc-provider, hand-written adapter',
  curfew: 'Curfew',
};

export interface Contender {
  name: ContenderName;
  issuer: string;
  pid: number;
  /** Undefined: it keeps everything in memory. */
  database: string | undefined;
  stop(): Promise<void>;
}

export interface ContenderParts {
  postgres: BenchPostgres;
  accounts: readonly BenchAccount[];
  /** Folder for CPU profiles. */
  profile: string | undefined;
  /** Folder of a build of Curfew; undefined: `dist/`. */
  dist: string | undefined;
}

const fromHere = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const TYPESCRIPT = ['--import', fromHere('../test/support/typescript.js')];

/** Starts a contender in a process of its own, with a database of its own. */
export async function startContender(name: ContenderName, parts: ContenderParts): Promise<Contender> {
  if (name === 'curfew') return startCurfew(parts);
  if (name === 'hand-written') return startHandWritten(parts);
  const env = { BENCH_ACCOUNTS: JSON.stringify(parts.accounts) };
  return start(name, [...TYPESCRIPT, fromHere('./contenders/memory.ts')], env, parts);
}

async function startHandWritten(parts: ContenderParts): Promise<Contender> {
  const { postgres, accounts } = parts;
  const database = 'hand_written';
  const url = await postgres.createDatabase(database);
  await postgres.query(database, SCHEMA);
  for (const { id, login, hash } of accounts) {
    await postgres.query(database, 'INSERT INTO account VALUES ($1, $2, $3, $4, $2)', [
      id,
      login,
      hash,
      `${login}@example.test`,
    ]);
  }
  const args = [...TYPESCRIPT, fromHere('./contenders/hand-written.ts')];
  return start('hand-written', args, { DATABASE_URL: url }, { ...parts, database });
}

/** The built server as it is run, with its own accounts, whose passwords are hashed alike. */
async function startCurfew(parts: ContenderParts): Promise<Contender> {
  const database = 'curfew_bench';
  const url = await parts.postgres.createDatabase(database);
  await migrate(url);
  const db = createDatabase(url, { poolSize: 2 });
  const hasher = createPasswordHasher({ parameters: ARGON2, concurrency: 2, maxWaiting: 100 });
  try {
    const declaration = parseCurfewYaml(CURFEW_YAML, { fileName: 'curfew.yaml' });
    const secrets = new Map(declaration.clients.map(({ clientId }) => [clientId, SECRET]));
    await applyDeclaration(db, declaration, { actor: 'system:bench', secrets });
    for (const login of LOGINS) {
      const account = { login, password: PASSWORD, name: login, email: `${login}@example.test` };
      await createAccount({ db, hasher }, account, { actor: 'system:bench' });
    }
  } finally {
    await db.close();
  }
  const env = {
    DATABASE_URL: url,
    CURFEW_SECRET: Buffer.alloc(32, 7).toString('base64url'),
    ARGON2_MEMORY_KIB: String(ARGON2.memoryKib),
    ARGON2_TIME_COST: String(ARGON2.iterations),
    ARGON2_PARALLELISM: String(ARGON2.parallelism),
  };
  const main = join(resolve(parts.dist ?? fromHere('../dist')), 'cli/main.js');
  return start('curfew', [main, 'serve'], env, { ...parts, database });
}

async function start(
  name: ContenderName,
  args: readonly string[],
  env: Record<string, string>,
  { profile, database }: ContenderParts & { database?: string },
): Promise<Contender> {
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const profiling = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}/${name}`];
  const cores = await chooseCores();
  const command = [process.execPath, ...profiling, ...args];
  const [program = '', ...rest] = cores ? ['taskset', '--cpu-list', cores.served, ...command] : command;
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(program, rest, {
    env: { PATH, HOME, PORT: String(port), ISSUER: issuer, NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  process.once('exit', () => child.kill('SIGKILL'));
  await ready(name, child);
  return {
    name,
    issuer,
    pid: child.pid ?? 0,
    database,
    async stop() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function ready(name: ContenderName, child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    const onData = (text: Buffer) => {
      output += text;
      if (/is ready/.test(output)) resolve();
    };
    child.stdout?.on('data', onData);
    child.stderr?.on('data', onData);
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code}:\n${output}`)));
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
