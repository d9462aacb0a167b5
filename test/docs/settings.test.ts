import { describe, expect, it } from '@jest/globals';
import { loadConfig } from '../../src/config.ts';
import { readDocument, tableOf } from './documents.ts';

const example = [...readDocument('.env.example').text.matchAll(/^#?([A-Z][A-Z0-9_]+)=(.*)$/gm)].map(
  ([, name = '', value = '']): [string, string] => [name, value],
);
const table = tableOf(readDocument('README.md'), 'setting').map(([name = '', value = '']): [string, string] => [
  name,
  value,
]);
const asRead = [
  ...new Set([...readDocument('src/config.ts').text.matchAll(/\b(?:read|demand)\('([A-Z0-9_]+)'/g)].map(([, n]) => n)),
];

const names = (settings: readonly [string, string][]) => settings.map(([name]) => name).sort();

describe('the settings', () => {
  it('that are read are those in .env.example', () => {
    expect(names(example)).toEqual([...asRead].sort());
  });

  it('in the README are those in .env.example, with the same defaults and in the same order', () => {
    expect(table).toEqual(example);
  });

  it.each(example.filter(([, value]) => value !== ''))(
    '%s has the default that .env.example shows: %s',
    (name, value) => {
      const { dataDirIsDefault: _chosen, ...given } = loadConfig({ [name]: value }, { cwd: '/nowhere' });
      const { dataDirIsDefault: _default, ...untouched } = loadConfig({}, { cwd: '/nowhere' });
      expect(given).toEqual(untouched);
    },
  );
});
