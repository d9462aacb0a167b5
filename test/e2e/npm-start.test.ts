import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from '@jest/globals';
import { freePort } from '../support/curfew.ts';
import { isAlive, postmasterOf, temporaryFolder } from '../support/server-process.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

let npm: ChildProcess | undefined;
afterAll(() => {
  npm?.kill('SIGKILL');
});

it('npm start hands on the SIGTERM of a supervisor: nothing is left running', async () => {
  const dataDir = await temporaryFolder();
  const { PATH = '', HOME = '' } = process.env;
  const env = { PATH, HOME, DATA_DIR: dataDir, PORT: String(await freePort()) };
  npm = spawn('npm', ['start'], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => npm?.once('close', resolve));
  await new Promise<void>((resolve) => {
    let text = '';
    npm?.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('Stop with Ctrl-C')) resolve();
    });
  });
  const postgres = postmasterOf(dataDir) ?? 0;
  expect(isAlive(postgres)).toBe(true);

  npm.kill('SIGTERM');
  expect(await exited).toBe(0);
  expect(isAlive(postgres)).toBe(false);
  await expect(fetch(`http://localhost:${env.PORT}/healthz`)).rejects.toThrow();
});
