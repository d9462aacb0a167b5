import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll } from '@jest/globals';
import { freePort } from './curfew.ts';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const PATIENCE_MS = 20_000;

/** Said by oidc-provider of Node 20, which it no longer names: our own tests are what vouches for it. */
const RUNTIME_ADVICE = /^oidc-provider WARNING: Unsupported runtime.*\n/gm;

/** What our own output must never say, whatever the weather. */
const TROUBLE = /unhandled|uncaught|UnhandledPromise|MaxListenersExceeded/i;

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** From the signal or the start, whichever came last. */
  milliseconds: number;
}

export interface CurfewProcess {
  issuer: string;
  port: number;
  pid: number;
  stdout(): string;
  stderr(): string;
  /** Waits until it printed that. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
  signal(signal: NodeJS.Signals): void;
  exited: Promise<Exit>;
  stop(): Promise<Exit>;
}

export interface StartOptions {
  env?: Record<string, string>;
  cwd?: string;
  args?: readonly string[];
  stdin?: string;
  /** What it prints when it is worth talking to; the default waits for a ready server. */
  until?: RegExp | 'nothing';
}

const running = new Set<ChildProcess>();
const folders = new Set<string>();

process.once('exit', killAll);
afterAll(async () => {
  killAll();
  await Promise.all([...folders].map((folder) => removeFolder(folder)));
});

/** Starts the built command in a process of its own, with nothing of this process's environment. */
export async function startProcess({
  env = {},
  cwd = tmpdir(),
  args = ['serve'],
  stdin,
  until = /Curfew is ready at \S+/,
}: StartOptions = {}): Promise<CurfewProcess> {
  const port = Number(env.PORT ?? (await freePort()));
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    env: { PATH, HOME, PORT: String(port), LOG_LEVEL: 'info', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  // A command that refuses its arguments doesn't read.
  child.stdin.on('error', () => undefined).end(stdin);
  running.add(child);
  const output = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      output[stream] += text;
    });
  }
  let since = performance.now();
  const exited = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => {
      running.delete(child);
      resolve({ code, signal, milliseconds: performance.now() - since });
    });
  });
  let hasExited = false;
  void exited.then(() => {
    hasExited = true;
  });

  async function printed(pattern: RegExp): Promise<RegExpExecArray> {
    const giveUpAt = performance.now() + PATIENCE_MS;
    for (;;) {
      const found = pattern.exec(`${output.stdout}\n${output.stderr}`);
      if (found) return found;
      if (hasExited || performance.now() > giveUpAt) {
        throw new Error(`${hasExited ? 'ended' : 'too late'} before ${pattern}:\n${output.stdout}\n${output.stderr}`);
      }
      await delay(10);
    }
  }

  function signal(name: NodeJS.Signals): void {
    since = performance.now();
    child.kill(name);
  }

  if (until !== 'nothing') await printed(until);
  return {
    issuer: env.ISSUER ?? `http://localhost:${port}`,
    port,
    pid: child.pid ?? 0,
    stdout: () => output.stdout,
    stderr: () => output.stderr.replace(RUNTIME_ADVICE, ''),
    printed,
    signal,
    exited,
    async stop() {
      if (!hasExited) signal('SIGTERM');
      const exit = await exited;
      if (TROUBLE.test(output.stdout + output.stderr)) throw new Error(`${output.stdout}\n${output.stderr}`);
      return exit;
    },
  };
}

/** Runs a command to its end. */
export async function runProcess(options: StartOptions): Promise<Exit & { stdout: string; stderr: string }> {
  const child = await startProcess({ ...options, until: 'nothing' });
  const exit = await child.exited;
  return { ...exit, stdout: child.stdout(), stderr: child.stderr() };
}

/** A folder that the embedded Postgres can reach; what runs in it ends with the test file. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-e2e-'));
  await chmod(folder, 0o755);
  folders.add(folder);
  return folder;
}

/** The embedded Postgres of a data folder as it says itself in `postmaster.pid`. */
export function postmasterOf(dataDir: string): number | undefined {
  const file = join(dataDir, 'postgres', 'postmaster.pid');
  return existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : undefined;
}

/** The embedded database, for looking at it beside the server. */
export function embeddedUrl(dataDir: string): string {
  const [port, password] = ['postgres.port', 'postgres.password'].map((name) =>
    readFileSync(join(dataDir, name), 'utf8').trim(),
  );
  return `postgresql://curfew:${password}@127.0.0.1:${port}/curfew`;
}

/** Waits for a condition, rather than for a time. */
export async function until<T>(what: string, condition: () => T | Promise<T>, patienceMs = PATIENCE_MS) {
  const giveUpAt = performance.now() + patienceMs;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (performance.now() > giveUpAt) throw new Error(`still waiting for ${what}`);
    await delay(20);
  }
}

/** A process that is dead and that nobody has buried yet is not alive. */
export function isAlive(pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' });
  return /^[^Z]/.test(stdout.trim());
}

function killAll(): void {
  for (const child of running) child.kill('SIGKILL');
  for (const folder of folders) {
    for (const dataDir of [folder, join(folder, '.curfew'), join(folder, 'data')]) {
      const pid = postmasterOf(dataDir);
      if (pid !== undefined && isAlive(pid)) process.kill(pid, 'SIGQUIT');
    }
  }
}

async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
}
