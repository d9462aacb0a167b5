import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { AppError } from '../errors.ts';

/** More than any acceptable password, less than what a mistaken redirection would send. */
const MAX_INPUT_BYTES = 64 * 1024;

/**
 * Reads a new password: from standard input if asked to, else by asking twice on a terminal without showing it.
 * Never from an argument, which every user of the machine could read.
 *
 * @throws AppError `usage`
 */
export async function readPassword({ passwordStdin = false }: { passwordStdin?: boolean }): Promise<string> {
  if (passwordStdin) return readFromStdin();
  if (!process.stdin.isTTY) {
    throw new AppError('usage', 'there is no terminal to ask for the password: use --password-stdin');
  }
  const [password, again] = await askHidden(['Password: ', 'Once more: ']);
  if (password !== again) throw new AppError('usage', 'the two passwords differ');
  return password ?? '';
}

async function readFromStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > MAX_INPUT_BYTES) throw new AppError('usage', '--password-stdin: the input is too long for a password');
    chunks.push(bytes);
  }
  const password = Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
  if (password === '') throw new AppError('usage', '--password-stdin: the input is empty');
  return password;
}

/** Asks with one reader for all questions: what is typed or pasted ahead belongs to the next one. */
async function askHidden(questions: readonly string[]): Promise<string[]> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  terminal.on('SIGINT', () => terminal.close());
  const lines = terminal[Symbol.asyncIterator]();
  const answers: string[] = [];
  try {
    for (const question of questions) {
      process.stderr.write(question);
      const { value, done } = await lines.next();
      process.stderr.write('\n');
      if (done) throw new AppError('usage', 'no password was typed');
      answers.push(value);
    }
    return answers;
  } finally {
    terminal.close();
  }
}
