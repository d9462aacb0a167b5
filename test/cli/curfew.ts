import { spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  stdin?: string;
  cwd?: string;
}

/** Runs the built command as a person would, in a folder without settings. */
export async function runCurfew(args: readonly string[], { env = {}, stdin = '', cwd = tmpdir() }: RunOptions = {}) {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, env: { PATH, HOME, ...env } });
  const outcome: Outcome = { code: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    outcome.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    outcome.stderr += text;
  });
  // A command that refuses its arguments doesn't read.
  child.stdin.on('error', () => undefined).end(stdin);
  outcome.code = await new Promise((resolve) => child.once('close', resolve));
  return outcome;
}

export async function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'curfew-cli-'));
}

export const actor = `command_line:${userInfo().username}`;
