import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { type ApplyResult, applyDeclaration } from '../clients/apply.ts';
import { readClientSecrets } from '../clients/client-secrets.ts';
import { parseCurfewYaml } from '../clients/curfew-yaml.ts';
import { formatDifference } from '../clients/difference.ts';
import { AppError } from '../errors.ts';
import { readEnvironment } from './environment.ts';
import { EXIT } from './exit-code.ts';
import { commandLineActor } from './options.ts';
import { counted, type OutputOptions, printJson, printLine } from './output.ts';
import { withDatabase } from './with-database.ts';

interface ApplyCommandOptions extends OutputOptions {
  dryRun?: boolean;
}

export function applyCommand(): Command {
  return new Command('apply')
    .description('make clients and policy what the file declares, all of it or nothing')
    .argument('<file>', 'curfew.yaml')
    .option('--dry-run', `only tell the difference; exit code ${EXIT.difference} if there is one`)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
A client that is not in the file any more is disabled and its part in all sessions ends.
Secrets come from the variables that client_secret_env names, or are generated and shown once.

Examples:
  curfew apply curfew.yaml --dry-run
  NOTES_SECRET=... curfew apply curfew.yaml`,
    )
    .action(apply);
}

async function apply(file: string, { dryRun = false, json }: ApplyCommandOptions): Promise<void> {
  const declaration = parseCurfewYaml(await readDeclaration(file), { fileName: file });
  const secrets = readClientSecrets(declaration.clients, readEnvironment());
  const result = await withDatabase(({ db }) =>
    applyDeclaration(db, declaration, { actor: commandLineActor(), secrets, source: file, dryRun }),
  );
  if (json) printJson({ dryRun, ...result });
  else printLine(describe(result, dryRun));
  if (dryRun && isDifferent(result)) process.exitCode = EXIT.difference;
}

async function readDeclaration(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const { code } = cause as { code?: string };
    const why = code === 'ENOENT' ? 'there is no such file' : `the file can't be read (${code})`;
    throw new AppError('invalid_configuration', `${file}: ${why}`, { cause });
  }
}

function isDifferent({ changes, secretsChanged }: ApplyResult): boolean {
  return changes.length > 0 || secretsChanged.length > 0;
}

function describe(result: ApplyResult, dryRun: boolean): string {
  const { changes, secretsChanged, generatedSecrets, policyVersion, ended } = result;
  const difference = [
    ...(changes.length > 0 || !isDifferent(result) ? [formatDifference(changes)] : []),
    ...secretsChanged.map((clientId) => `~ client ${clientId}: another secret, or none any more`),
  ];
  if (dryRun) return difference.join('\n');
  return [
    ...difference,
    ...(ended.ended > 0 ? [`${counted(ended.ended, 'participation')} ended.`] : []),
    `Policy version ${policyVersion} holds.`,
    ...generatedSecrets.map(({ clientId, secret }) => `Secret of client ${clientId}, shown only now: ${secret}`),
  ].join('\n');
}
