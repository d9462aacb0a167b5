import { describe, expect, it } from '@jest/globals';
import { endSentence, nextStep } from '../../src/pages/reason-texts.ts';
import { END_REASONS } from '../../src/policy/end-reason.ts';

describe('what people are told about an end', () => {
  it.each(END_REASONS)('has whole sentences for %s', (reason) => {
    expect(endSentence({ reason })).toMatch(/^[A-Z].*\.$/);
    expect(nextStep(reason)).toMatch(/^[A-Z].*\.$/);
  });

  it('has words of its own for every reason', () => {
    expect(new Set(END_REASONS.map((reason) => endSentence({ reason }))).size).toBe(END_REASONS.length);
  });

  it.each([
    ['idle_timeout', { idleSeconds: 900 }, 'Your session ended after 15 minutes without activity.'],
    [
      'absolute_timeout',
      { absoluteSeconds: 43_200 },
      'Your session ended after 12 hours, the longest a session may last.',
    ],
    ['idle_timeout', {}, 'Your session ended after a time without activity.'],
    ['absolute_timeout', {}, 'Your session reached the longest time that a session may last.'],
  ] as const)('tells the limit of %s where it is known', (reason, limits, sentence) => {
    expect(endSentence({ reason, ...limits })).toBe(sentence);
  });
});
