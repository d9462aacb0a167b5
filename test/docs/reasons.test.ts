import { expect, it } from '@jest/globals';
import { END_REASONS } from '../../src/policy/end-reason.ts';
import { ACTIVITY_KINDS } from '../../src/policy/limits.ts';
import { readDocument, tableOf } from './documents.ts';

it('docs/sessions.md tells every reason for an end, and no other', () => {
  expect(tableOf(readDocument('docs/sessions.md'), 'reason').map(([reason]) => reason)).toEqual([...END_REASONS]);
});

it('docs/sessions.md tells every kind of activity', () => {
  const rows = tableOf(readDocument('docs/sessions.md'), 'kind').map(([kind]) => kind);
  expect(rows).toEqual(expect.arrayContaining(['browser', 'offline', 'anonymous']));
  const { text } = readDocument('docs/sessions.md');
  for (const kind of ACTIVITY_KINDS) expect(text).toContain(`| \`${kind}\` |`);
});
