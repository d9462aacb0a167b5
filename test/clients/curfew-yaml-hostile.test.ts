import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseCurfewYaml } from '../../src/clients/curfew-yaml.ts';
import { AppError } from '../../src/errors.ts';

/** Whatever stands in a file, the answer is its content or problems that each begin with file, line and column. */
function expectContentOrProblems(text: string): void {
  try {
    expect(parseCurfewYaml(text, { fileName: 'f' })).toHaveProperty('policy.default.idleSeconds');
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    expect(error.code).toBe('invalid_configuration');
    for (const line of error.message.split('\n')) expect(line).toMatch(/^f:\d+:\d+: \S/);
  }
}

it('any text is content or problems with a place', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab:-?!&*#[]{},"\'|>%@`~ \n\t01') }), expectContentOrProblems),
    { numRuns: 2000 },
  );
});

it('any value under any key is content or problems with a place', () => {
  const value = fc.jsonValue({ maxDepth: 3 });
  const block = (...keys: string[]): fc.Arbitrary<unknown> =>
    fc.oneof(value, fc.dictionary(fc.constantFrom(...keys, '__proto__', 'constructor'), value, { maxKeys: 5 }));
  const limits = block('idle', 'absolute', 'warnBefore', 'activity', 'concurrent', 'offline');
  const rule = fc.oneof(
    value,
    fc.record({ name: value, when: block('roles', 'clients', 'network', 'kind'), limits }, { requiredKeys: [] }),
  );
  const client = block('client_id', 'redirect_uris', 'grant_types', 'scope', 'jwks', 'data', 'application_type');
  const file = fc.record(
    {
      clients: fc.oneof(value, fc.array(client)),
      policy: fc.oneof(value, fc.record({ default: limits, rules: fc.oneof(value, fc.array(rule)) })),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(file, (content) => expectContentOrProblems(JSON.stringify(content))),
    { numRuns: 2000 },
  );
});

it('an expansion bomb of aliases is a problem', () => {
  const levels = 'abcdefghi'.split('');
  const lines = levels.map((name, i) => {
    const inside = i === 0 ? '"x"' : Array.from({ length: 9 }, () => `*${levels[i - 1]}`).join(',');
    return `${name}: &${name} [${inside}]`;
  });
  expect(() => parseCurfewYaml(lines.join('\n'), { fileName: 'f' })).toThrow(/^f:1:1: Excessive alias count/);
});
