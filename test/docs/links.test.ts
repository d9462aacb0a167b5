import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { allDocuments, brokenLinks, ROOT, readDocument } from './documents.ts';

describe('links', () => {
  it.each(allDocuments().map((document) => [document.path, document] as const))(
    'in %s lead to files and headings that are there',
    (_path, document) => {
      expect(brokenLinks(document)).toEqual([]);
    },
  );

  it('lead from the list of decisions to each of them', () => {
    const { text } = readDocument('docs/decisions/README.md');
    const linked = [...text.matchAll(/\((\d{4}-[^)]+\.md)\)/g)].map(([, file]) => file);
    const files = readdirSync(join(ROOT, 'docs', 'decisions')).filter((name) => /^\d{4}-/.test(name));
    expect(linked).toEqual(files.sort());
  });
});

describe('a decision', () => {
  it.each(
    allDocuments()
      .filter(({ path }) => /decisions\/\d{4}/.test(path))
      .map(({ path, text }) => [path, text] as const),
  )('%s has its number, context, decision and consequence', (path, text) => {
    const number = Number(/(\d{4})-/.exec(path)?.[1]);
    expect(text).toMatch(new RegExp(`^# ${number}\\. `));
    expect([...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)).toEqual([
      'Context',
      'Decision',
      'Consequence',
    ]);
  });
});
