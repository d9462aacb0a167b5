import { readFile } from 'node:fs/promises';
import { type Logger, pino } from 'pino';
import { createPasswordHasher } from '../accounts/password-hasher.ts';
import { applyDeclaration } from '../clients/apply.ts';
import { readClientSecrets } from '../clients/client-secrets.ts';
import { parseCurfewYaml } from '../clients/curfew-yaml.ts';
import { formatDifference } from '../clients/difference.ts';
import { findCurrentPolicy } from '../clients/policy-store.ts';
import { type Config, loadConfig } from '../config.ts';
import { openDemoPorts } from '../demo/demo-ports.ts';
import { prepareDemo } from '../demo/prepare-demo.ts';
import { startDemoClients } from '../demo/start-demo-clients.ts';
import { AppError } from '../errors.ts';
import { startServer } from '../server.ts';
import { openStorage, type Storage } from '../storage/open-storage.ts';
import { readEnvironment } from './environment.ts';
import { printLine } from './output.ts';

const SERVE_ACTOR = 'system:serve';

/** A terminal sends Ctrl-C to every process, and npm passes its own on: one key, two signals. */
const SAME_KEY_MS = 300;

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
    const demo = config.demo ? await startDemo(config, storage, log) : undefined;
    if (demo) closers.push(demo.close);
    const server = await startServer(config, storage, log);
    closers.push(server.close);
    printLine(`Curfew is ready at ${config.issuer}`);
    for (const line of demo?.lines ?? []) printLine(line);
    await stopped.asked;
  } catch (error) {
    // Asked to stop before anything was served: that is done.
    if (!(stopped.signal.aborted && error instanceof Error && error.name === 'AbortError')) throw error;
  } finally {
    for (const close of closers.reverse()) await close();
    stopped.release();
  }
}

/** The file counts when nothing is stored yet; what was applied since is not overwritten by a restart. */
async function applyConfigFile({ db }: Storage, file: string, log: Logger): Promise<void> {
  const declaration = parseCurfewYaml(await readConfigFile(file), { fileName: file });
  const secrets = readClientSecrets(declaration.clients, readEnvironment());
  const isFirst = (await findCurrentPolicy(db)).version === 0;
  const result = await applyDeclaration(db, declaration, {
    actor: SERVE_ACTOR,
    secrets,
    source: file,
    dryRun: !isFirst,
  });
  if (isFirst) {
    for (const { clientId, secret } of result.generatedSecrets) {
      printLine(`Secret of client ${clientId}, shown only now: ${secret}`);
    }
    return;
  }
  if (result.changes.length === 0 && result.secretsChanged.length === 0) return;
  log.warn({ file, changes: result.changes.length }, 'the file differs from what is in force: run "curfew apply"');
  printLine(`${file} differs from what is in force; "curfew apply ${file}" would change:`);
  printLine(formatDifference(result.changes));
}

async function readConfigFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new AppError('invalid_configuration', `CONFIG: ${file} can't be read: check the path.`, { cause });
  }
}

async function startDemo(config: Config, { db, secrets }: Storage, log: Logger) {
  const ports = await openDemoPorts();
  const hasher = createPasswordHasher(config.passwords);
  const [key] = (await secrets()).keys('demo');
  const prepared = await prepareDemo({ db, hasher, key }, ports.numbers);
  const demo = startDemoClients({ issuer: config.issuer, ports, secrets: prepared.secrets, log });
  const lines = [
    '',
    'This is a demo: two clients to sign in to, with limits short enough to watch.',
    ...demo.addresses.map(({ name, address }) => `  ${name}: ${address}`),
    ...ports.taken.map((port) => `  (Port ${port} is in use, so a free one was taken.)`),
    ...prepared.newAccounts.map(
      ({ login, password, roles }) =>
        `  Sign in as ${login}${roles.length > 0 ? ` (${roles.join(', ')})` : ''} with the password ${password} (shown only now)`,
    ),
    ...(prepared.newAccounts.length === 0
      ? ['  The accounts alice and admin are there; a new password: curfew account set-password alice']
      : []),
    'Stop with Ctrl-C.',
  ];
  return { lines, close: demo.close };
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
