#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { accountCommand } from './account.ts';
import { applyCommand } from './apply.ts';
import { clientCommand } from './client.ts';
import { exitCodeOf, sentenceOf } from './exit-code.ts';
import { keysCommand } from './keys.ts';
import { migrateCommand } from './migrate.ts';
import { serveCommand } from './serve.ts';
import { sessionCommand } from './session.ts';
import { shieldUids } from './shield-uids.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('curfew')
  .description('Single sign-on in which every session ends on time, everywhere, and can be proven to have ended.')
  .version(version)
  .addCommand(serveCommand())
  .addCommand(migrateCommand())
  .addCommand(applyCommand())
  .addCommand(accountCommand())
  .addCommand(clientCommand())
  .addCommand(sessionCommand())
  .addCommand(keysCommand())
  .addHelpText(
    'after',
    `
Settings are environment variables; .env is read too. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a difference found.

Examples:
  curfew account add --login alice
  curfew apply curfew.yaml --dry-run
  curfew session list --state live`,
  );

/** Errors of usage are thrown like all others, so that one place decides about exit codes. */
function throwErrors(command: Command): void {
  command.exitOverride();
  command.configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'curfew: ')) });
  for (const child of command.commands) throwErrors(child);
}

async function main(): Promise<void> {
  throwErrors(program);
  // Whoever reads the output may have seen enough, as `head` has.
  process.stdout.on('error', () => undefined);
  try {
    await program.parseAsync(shieldUids(process.argv.slice(2)), { from: 'user' });
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    // Commander has written its own already.
    if (error instanceof CommanderError) return;
    process.stderr.write(`curfew: ${sentenceOf(error)}\n`);
    if (process.env.LOG_LEVEL === 'debug') console.error(error);
  }
}

await main();
