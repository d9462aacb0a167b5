import { CommanderError } from 'commander';
import { AppError } from '../errors.ts';

/** What a command tells the script that runs it. */
export const EXIT = { done: 0, failed: 1, usage: 2, difference: 3 } as const;

/** Commander's own errors are about arguments, and so are ours with the code `usage`; everything else failed. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
  return error instanceof AppError && error.code === 'usage' ? EXIT.usage : EXIT.failed;
}

/**
 * Says an error in words for whoever typed the command.
 *
 * Our own errors are written for them. Others say their last line alone: what comes before it quotes code.
 */
export function sentenceOf(error: unknown): string {
  if (error instanceof AppError) return error.message;
  const lines = (error instanceof Error ? error.message : String(error)).split('\n').map((line) => line.trim());
  return lines.findLast((line) => line !== '') ?? 'something went wrong';
}
