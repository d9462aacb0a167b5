import { type Logger, pino } from 'pino';
import { hasAccounts } from '../accounts/accounts.ts';
import { createPasswordHasher } from '../accounts/password-hasher.ts';
import { type Config, loadConfig } from '../config.ts';
import { type DemoPorts, openDemoPorts } from '../demo/demo-ports.ts';
import { prepareDemo } from '../demo/prepare-demo.ts';
import { startDemoClients } from '../demo/start-demo-clients.ts';
import { whoDeclared } from '../demo/who-declared.ts';
import { startServer } from '../server.ts';
import { openStorage, type Storage } from '../storage/open-storage.ts';
import { applyConfigFile } from './apply-config-file.ts';
import { printLine } from './output.ts';

/** A terminal sends Ctrl-C to every process, and npm passes its own on: one key, two signals. */
const SAME_KEY_MS = 300;

/** Supervisors often kill after 10 s. */
const STOP_MS = 9_000;

/** Runs the server until SIGTERM or Ctrl-C. */
export async function runServer(): Promise<void> {
  const config = loadConfig(process.env, { cwd: process.cwd() });
  const log = pino({ level: config.logLevel });
  const stopped = untilStopped();
  const closers: (() => Promise<void>)[] = [];
  try {
    const storage = await openStorage(config, {
      log: printLine,
      migrations: 'apply',
      connectTimeoutSeconds: config.databaseConnectTimeoutSeconds,
      poolSize: config.databasePoolSize,
      signal: stopped.signal,
    });
    closers.push(storage.close);
    if (config.configFile !== undefined) await applyConfigFile(storage, config.configFile, log);
    const ports = config.demo && (await whoDeclared(storage.db)) !== 'somebody' ? await openDemoPorts() : undefined;
    if (ports) closers.push(ports.close);
    const lines = ports ? await startDemo(config, storage, ports, log) : await adviceWithoutDemo(config, storage);
    const server = await startServer(config, storage, log);
    closers.push(server.close);
    printLine(`Curfew is ready at ${config.issuer}`);
    for (const line of lines) printLine(line);
    await stopped.asked;
    printLine('Stopping: requests in flight are finished first.');
  } catch (error) {
    // Asked to stop before anything was served: that is done.
    if (!(stopped.signal.aborted && error instanceof Error && error.name === 'AbortError')) throw error;
  } finally {
    // What hangs then, a connection into a network that says nothing, would hang for hours.
    const late = stopped.signal.aborted ? setTimeout(() => process.exit(), STOP_MS) : undefined;
    for (const close of closers.reverse()) await close();
    clearTimeout(late);
    stopped.release();
  }
}

/** @returns what to print when all is ready */
async function startDemo(config: Config, { db, secrets }: Storage, ports: DemoPorts, log: Logger): Promise<string[]> {
  const hasher = createPasswordHasher(config.passwords);
  const [key] = (await secrets()).keys('demo');
  const prepared = await prepareDemo({ db, hasher, key }, ports.numbers);
  const demo = startDemoClients({ issuer: config.issuer, ports, secrets: prepared.secrets, log });
  return [
    '',
    'This is a demo: two clients to sign in to, with limits short enough to watch.',
    ...demo.addresses.map(({ name, address }) => `  ${name}: ${address}`),
    ...ports.taken.map((port) => `  (Port ${port} is in use, so a free one was taken.)`),
    ...prepared.newAccounts.map(
      ({ login, password, roles }) =>
        `  Sign in as ${login}${roles.length > 0 ? ` (role ${roles.join(', ')})` : ''} with the password ${password} (shown only now)`,
    ),
    ...(prepared.newAccounts.length === 0
      ? ['  The accounts alice and admin are there; a new password: npx curfew account set-password alice']
      : []),
    'Who is signed in: npx curfew session list. Clients of your own: npx curfew apply curfew.yaml.',
    'Stop with Ctrl-C.',
  ];
}

/** @returns what to print when all is ready */
async function adviceWithoutDemo({ demo }: Config, { db }: Storage): Promise<string[]> {
  return [
    ...(demo
      ? [
          'No demo starts here, for somebody has declared clients or policy of their own: npx curfew client list.',
          'The demo in a folder of its own: DATA_DIR=.curfew-demo npm start',
        ]
      : []),
    ...((await hasAccounts(db)) ? [] : ['Nobody can sign in yet: npx curfew account add --login NAME']),
  ];
}

interface Stop {
  asked: Promise<void>;
  signal: AbortSignal;
  release(): void;
}

/** The first SIGTERM or Ctrl-C asks to finish; a second one ends at once. */
function untilStopped(): Stop {
  const controller = new AbortController();
  let askedAtMs = 0;
  const onSignal = () => {
    if (!controller.signal.aborted) {
      askedAtMs = performance.now();
      controller.abort();
    } else if (performance.now() - askedAtMs > SAME_KEY_MS) {
      process.exit(1);
    }
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return {
    asked: new Promise((resolve) => controller.signal.addEventListener('abort', () => resolve())),
    signal: controller.signal,
    release: () => {
      process.off('SIGTERM', onSignal);
      process.off('SIGINT', onSignal);
    },
  };
}
