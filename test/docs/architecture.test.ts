import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { blocksOf, ROOT, readDocument } from './documents.ts';

const SOURCES = join(ROOT, 'src');
const document = readDocument('docs/architecture.md');

/** The rooms in the order of the arrows; those of one step may know each other. */
const steps = (blocksOf(document, '').find((block) => block.includes('──>')) ?? '')
  .split(/──>/)
  .map((step) => step.replace(/[│┌└─┐┘\s]+/g, ' ').trim())
  .filter((step) => step !== '')
  .map((step) => step.split(/[ ,]+/));

const files = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter(
  (name) => name.endsWith('.ts') && !name.includes('generated'),
);

const roomOf = (file: string) => file.split('/')[0]?.replace(/\.ts$/, '') ?? '';
const stepOf = (room: string) => steps.findIndex((rooms) => rooms.includes(room));

/** What a file imports of ours, from the root of the sources. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(SOURCES, file), 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?'(\.[^']+)'/g)]
    .map(([, path = '']) => normalize(join(dirname(file), path)))
    .filter((path) => !path.includes('generated'));
}

const imports = new Map(files.map((file) => [file, importsOf(file)]));

describe('docs/architecture.md', () => {
  it('shows every room of the house, twice', () => {
    const rooms = [...new Set(files.map(roomOf))].sort();
    expect(steps.flat().sort()).toEqual(rooms);
    const [tree = ''] = blocksOf(document, '');
    const listed = [...tree.matchAll(/^ {2}([a-z]+)(?:\/|\.ts) /gm)].map(([, room]) => room);
    expect(listed.sort()).toEqual(rooms);
  });

  it('is right about the direction of imports', () => {
    const against = [...imports].flatMap(([file, targets]) =>
      targets
        .filter((target) => stepOf(roomOf(target)) < stepOf(roomOf(file)))
        .map((target) => `${file} imports ${target}`),
    );
    expect(against).toEqual([]);
  });

  it('is right that there is no circle', () => {
    expect(circle()).toEqual([]);
  });

  it.each([
    ['oidc-provider', /^provider\//],
    ['koa', /^(?:demo|observe|pages|provider|server)\b/],
    ['@koa/router', /^(?:demo|pages)\//],
  ])('is right about where %s may be imported', (library, rooms) => {
    const importers = files.filter((file) => readFileSync(join(SOURCES, file), 'utf8').includes(`from '${library}'`));
    expect(importers.filter((file) => !rooms.test(file))).toEqual([]);
  });
});

/** @returns the files of a circle of imports, if there is one */
function circle(): string[] {
  const done = new Set<string>();
  function visit(file: string, path: readonly string[]): string[] {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return [];
    for (const target of imports.get(file) ?? []) {
      const found = visit(target, [...path, file]);
      if (found.length > 0) return found;
    }
    done.add(file);
    return [];
  }
  return files.map((file) => visit(file, [])).find((found) => found.length > 0) ?? [];
}
