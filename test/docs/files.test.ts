import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { parseCurfewYaml } from '../../src/clients/curfew-yaml.ts';
import { allDocuments, blocksOf, ROOT, readDocument } from './documents.ts';

describe('every curfew.yaml that is shown', () => {
  const shown = allDocuments().flatMap((document) =>
    blocksOf(document, 'yaml')
      .filter((block) => block.startsWith('clients:'))
      .map((block) => [document.path, block] as const),
  );

  it('is there to be read', () => expect(shown.length).toBeGreaterThan(1));

  it.each(shown)('in %s is a good one', (path, block) => {
    expect(parseCurfewYaml(block, { fileName: path }).clients).not.toHaveLength(0);
  });
});

describe('npm scripts that people are told to run', () => {
  const { scripts } = JSON.parse(readDocument('package.json').text) as { scripts: Record<string, string> };
  const told = allDocuments().flatMap(({ path, text }) =>
    [...text.matchAll(/\bnpm (?:run (?:--silent )?([a-z:]+)|(start|test)\b)/g)].map(
      ([, script, lifecycle]) => [script ?? lifecycle ?? '', path] as const,
    ),
  );

  it.each(told)('%s (%s) is one that there is', (name) => {
    expect(Object.keys(scripts)).toContain(name);
  });
});

describe('the container', () => {
  const dockerfile = readDocument('Dockerfile').text;
  const ignored = readDocument('.dockerignore').text.split('\n');

  it('copies files that there are, and that .dockerignore lets through', () => {
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+)$/gm)].flatMap(([, words = '']) =>
      words.split(' ').slice(0, -1),
    );
    for (const name of copied) {
      expect([name, existsSync(join(ROOT, name)), ignored.includes(`!${name}`)]).toEqual([name, true, true]);
    }
  });

  it('is a YAML file with the settings that production asks for', () => {
    const compose = parse(readDocument('compose.yaml').text) as {
      services: { curfew: { environment: Record<string, string> } };
    };
    expect(Object.keys(compose.services.curfew.environment)).toEqual(
      expect.arrayContaining(['ISSUER', 'CURFEW_SECRET', 'DATABASE_URL']),
    );
    expect(dockerfile).toContain('NODE_ENV=production');
    expect(dockerfile).toMatch(/^USER node$/m);
  });
});

describe('the licence', () => {
  it('is the one that package.json names, and whole', () => {
    const { license } = JSON.parse(readDocument('package.json').text) as { license: string };
    const { text } = readDocument('LICENSE');
    expect(license).toBe('Apache-2.0');
    expect(text).toMatch(/Apache License\s+Version 2\.0, January 2004[\s\S]*END OF TERMS AND CONDITIONS/);
  });
});

describe('the changelog', () => {
  it('has the version of package.json', () => {
    const { version } = JSON.parse(readDocument('package.json').text) as { version: string };
    expect(readDocument('CHANGELOG.md').text).toContain(`## [${version}]`);
  });
});
