import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { applyDeclaration } from '../clients/apply.ts';
import { readClientSecrets } from '../clients/client-secrets.ts';
import { parseCurfewYaml } from '../clients/curfew-yaml.ts';
import { formatDifference } from '../clients/difference.ts';
import { DEMO_ACCOUNTS } from '../demo/prepare-demo.ts';
import { whoDeclared } from '../demo/who-declared.ts';
import { AppError } from '../errors.ts';
import type { Storage } from '../storage/open-storage.ts';
import { readEnvironment } from './environment.ts';
import { printLine } from './output.ts';

const SERVE_ACTOR = 'system:serve';

/**
 * Applies the file at start where nothing is declared yet, or nothing but the demo. What somebody applied since is not
 * overwritten by a restart: then the difference is only told.
 *
 * @throws AppError `invalid_configuration`
 */
export async function applyConfigFile({ db }: Storage, file: string, log: Logger): Promise<void> {
  const declaration = parseCurfewYaml(await readConfigFile(file), { fileName: file });
  const secrets = readClientSecrets(declaration.clients, readEnvironment());
  const before = await whoDeclared(db);
  const dryRun = before === 'somebody';
  const result = await applyDeclaration(db, declaration, { actor: SERVE_ACTOR, secrets, source: file, dryRun });
  if (dryRun) {
    if (result.changes.length === 0 && result.secretsChanged.length === 0) return;
    log.warn({ file, changes: result.changes.length }, 'the file differs from what is in force: run "curfew apply"');
    printLine(`${file} differs from what is in force; "npx curfew apply ${file}" would change:`);
    printLine(formatDifference(result.changes));
    return;
  }
  printLine(`Applied ${file}:`);
  printLine(formatDifference(result.changes));
  for (const { clientId, secret } of result.generatedSecrets) {
    printLine(`Secret of client ${clientId}, shown only now: ${secret}`);
  }
  if (before === 'demo') {
    const logins = DEMO_ACCOUNTS.map(({ login }) => login).join(' and ');
    printLine(`The demo's accounts ${logins} may still sign in, unless you "npx curfew account delete" them.`);
  }
}

async function readConfigFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new AppError('invalid_configuration', `CONFIG: ${file} can't be read: check the path.`, { cause });
  }
}
