import { Command } from 'commander';
import { AppError } from '../errors.ts';
import {
  listSigningKeys,
  retireSigningKey,
  rotateSigningKeys,
  SIGNING_ALGORITHMS,
  type SigningAlgorithm,
} from '../provider/signing-keys.ts';
import { commandLineActor, parseList } from './options.ts';
import { type OutputOptions, printJson, printLine, printRows } from './output.ts';
import { withDatabase } from './with-database.ts';

export function keysCommand(): Command {
  return new Command('keys')
    .description('the keys that sign tokens')
    .addCommand(listCommand())
    .addCommand(rotateCommand())
    .addCommand(retireCommand());
}

function listCommand(): Command {
  return new Command('list')
    .description('which keys sign, wait for their turn, or are published for what they signed')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExample:\n  curfew keys list --json')
    .action(async ({ json }: OutputOptions) => {
      const keys = await withDatabase(({ db }) => listSigningKeys(db));
      printRows(
        keys,
        [
          ['kid', ({ kid }) => kid],
          ['alg', ({ alg }) => alg],
          ['state', ({ state }) => state],
          ['signs from', ({ signsFrom }) => signsFrom],
          ['superseded', ({ supersededAt }) => supersededAt],
          ['retired', ({ retiredAt }) => retiredAt],
        ],
        { ...(json && { json }), none: 'There are no keys yet: the server makes them when it starts.' },
      );
    });
}

function rotateCommand(): Command {
  return new Command('rotate')
    .description('make new keys; they sign after an overlap in which clients fetch them')
    .option('--algorithms <list>', `of ${SIGNING_ALGORITHMS.join(', ')}; default: all`, parseList)
    .option('--now', 'sign with them at once: clients that keep an older key set refuse what they sign')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExamples:\n  curfew keys rotate\n  curfew keys rotate --algorithms ES256 --now')
    .action(async ({ algorithms, now = false, json }: OutputOptions & { algorithms?: string[]; now?: boolean }) => {
      const wanted = algorithms?.map(requireAlgorithm) ?? SIGNING_ALGORITHMS;
      const { made, overlapSeconds } = await withDatabase(async ({ db, config, secrets }) => {
        const overlapSeconds = now ? 0 : config.signingKeys.overlapSeconds;
        const wrapping = (await secrets()).keys('signing-key');
        const options = { algorithms: wanted, overlapSeconds, actor: commandLineActor() };
        return { made: await rotateSigningKeys(db, wrapping, options), overlapSeconds };
      });
      if (json) printJson({ made, overlapSeconds });
      else if (made.length === 0) printLine('Keys are waiting for their turn already: see curfew keys list.');
      else
        printLine(
          `Made ${made.join(', ')}; ${overlapSeconds === 0 ? 'they sign now' : `they sign in ${overlapSeconds} s`}.`,
        );
    });
}

function retireCommand(): Command {
  return new Command('retire')
    .description('stop publishing a key, at once and for good: nothing it signed verifies any more')
    .argument('<kid>', 'from curfew keys list')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nFor a key that may be known to others. If it signs, the next one takes its place.\n\nExample:\n  curfew keys retire kRZ1…',
    )
    .action(async (kid: string, { json }: OutputOptions) => {
      await withDatabase(async ({ db, secrets }) =>
        retireSigningKey(db, (await secrets()).keys('signing-key'), kid, { actor: commandLineActor() }),
      );
      if (json) printJson({ retired: kid });
      else printLine(`Retired ${kid}.`);
    });
}

function requireAlgorithm(text: string): SigningAlgorithm {
  const algorithm = SIGNING_ALGORITHMS.find((known) => known === text);
  if (algorithm === undefined) {
    throw new AppError('usage', `--algorithms: ${text} is none of ${SIGNING_ALGORITHMS.join(', ')}`);
  }
  return algorithm;
}
