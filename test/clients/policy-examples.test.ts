import { readFile } from 'node:fs/promises';
import { expect, it } from '@jest/globals';
import { parseCurfewYaml } from '../../src/clients/curfew-yaml.ts';

const examplesIn = (markdown: string): string[] =>
  [...markdown.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)]
    .map(([, text = '']) => text)
    .filter((text) => /^clients:/.test(text));

it('every whole file in docs/policy.md is a good one', async () => {
  const examples = examplesIn(await readFile(new URL('../../docs/policy.md', import.meta.url), 'utf8'));
  expect(examples).toHaveLength(4);
  for (const text of examples) {
    expect(parseCurfewYaml(text, { fileName: 'docs/policy.md' }).clients).not.toHaveLength(0);
  }
});
