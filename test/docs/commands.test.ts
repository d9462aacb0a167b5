import { describe, expect, it } from '@jest/globals';
import { runCurfew } from '../cli/curfew.ts';
import { allDocuments, blocksOf, type Document, readDocument, tableOf } from './documents.ts';

interface Mention {
  path: string;
  line: string;
  words: string[];
  options: string[];
}

const GROUPS = ['account', 'client', 'session', 'keys'];

/** What is shown to be typed: lines of shell blocks and spans of code. */
function mentionsIn(document: Document): Mention[] {
  const spans = [...document.text.matchAll(/`(curfew [^`]+)`/g)].map(([, code = '']) => code);
  const lines = blocksOf(document, 'sh').flatMap((block) => block.split('\n'));
  const typed = [...spans, ...lines].flatMap((line) =>
    [...line.replace(/\s#.*$/, '').matchAll(/(?:^|npx |run |\(|\| )curfew ((?:[a-z][\w.-]*|--)[^|;)]*)/g)].map(
      ([, rest = '']) => rest.trim(),
    ),
  );
  return typed.map((line) => {
    const [command = '', next = ''] = line.split(/\s+/);
    return {
      path: document.path,
      line,
      words: GROUPS.includes(command) ? [command, next] : [command],
      options: [...line.matchAll(/\s(--[a-z-]+)/g)].map(([, option = '']) => option),
    };
  });
}

const helpTexts = new Map<string, Promise<string>>();

function helpOf(words: readonly string[]): Promise<string> {
  const key = words.join(' ');
  const known = helpTexts.get(key);
  if (known) return known;
  const asked = runCurfew([...words, '--help']).then(({ stdout }) => stdout);
  helpTexts.set(key, asked);
  return asked;
}

describe('commands that people are told to type', () => {
  const mentions = allDocuments().flatMap(mentionsIn);

  it('are found where they are written', () => {
    expect(mentions.map(({ words }) => words.join(' '))).toEqual(
      expect.arrayContaining(['serve', 'migrate', 'apply', 'account add', 'account logout', 'session list']),
    );
  });

  it.each(mentions.map((mention) => [mention.line, mention.path, mention] as const))(
    'curfew %s (%s) is one that there is, with those options',
    async (_line, _path, { words, options }) => {
      const help = await helpOf(words);
      expect(help).toContain(`Usage: curfew ${words.join(' ')}`);
      for (const option of options) expect(help).toContain(` ${option}`);
    },
  );
});

describe('the table of commands in the README', () => {
  const told = tableOf(readDocument('README.md'), 'command').flatMap(([cell = '']) => {
    const [first = '', ...others] = cell.split(',').map((name) =>
      name
        .trim()
        .replaceAll('`', '')
        .replace(/^curfew /, ''),
    );
    const [group = ''] = first.split(' ');
    return [first, ...others.map((name) => `${group} ${name}`)];
  });

  it('names every command, and no other', async () => {
    const groups = await Promise.all(GROUPS.map(async (group) => [group, commandsIn(await helpOf([group]))] as const));
    const top = commandsIn(await helpOf([])).filter((name) => !GROUPS.includes(name));
    const all = [...top, ...groups.flatMap(([group, names]) => names.map((name) => `${group} ${name}`))];
    expect([...told].sort()).toEqual(all.sort());
  });

  function commandsIn(help: string): string[] {
    const [, list = ''] = help.split('\nCommands:\n');
    const names = [...list.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name = '']) => name);
    return names.slice(0, names.indexOf('help'));
  }
});
