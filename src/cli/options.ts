import { userInfo } from 'node:os';
import { InvalidArgumentError } from 'commander';

const MAX_NOTE_LENGTH = 500;

/** Who acts, for the audit log: whoever runs the command. */
export function commandLineActor(): string {
  return `command_line:${systemUser()}`;
}

function systemUser(): string {
  try {
    return userInfo().username;
  } catch {
    // A user id without a name, as containers have.
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}

/** Reads a list such as `admin,staff`; the empty string is the empty list. */
export function parseList(text: string): string[] {
  const entries = text.split(',').map((entry) => entry.trim());
  return [...new Set(entries.filter((entry) => entry !== ''))];
}

export function parseNote(text: string): string {
  const note = text.trim();
  if (note === '') throw new InvalidArgumentError('It is empty: say why.');
  if (note.length > MAX_NOTE_LENGTH) throw new InvalidArgumentError(`It is longer than ${MAX_NOTE_LENGTH} characters.`);
  return note;
}

/** Makes a parser for whole numbers within bounds. */
export function parseCount(max: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (!/^\d+$/.test(text) || count < 1 || count > max) {
      throw new InvalidArgumentError(`Expected a whole number from 1 to ${max}.`);
    }
    return count;
  };
}
