import type { z } from 'zod';
import type { Problem } from './yaml-source.ts';

type Issue = z.core.$ZodIssue;

const WORDS: Record<string, string> = {
  string: 'text (in quotes, if it looks like a number)',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a block of keys',
};

/**
 * Says what zod found in sentences for whoever wrote the file.
 *
 * Values are shown only where the key takes one of a list of names: anything else may be a secret in the wrong place.
 */
export function problemsOf(issues: readonly Issue[], base: Problem['path'] = []): Problem[] {
  return issues.flatMap((issue) => {
    const path = [...base, ...issue.path.map((step) => (typeof step === 'number' ? step : String(step)))];
    if (issue.code === 'invalid_union') {
      const [meant, ...others] = issue.errors.filter((branch) => !branch.some(isOfAnotherType));
      if (meant !== undefined && others.length === 0) return problemsOf(meant, path);
    }
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ path: [...path, key], message: issue.message, at: 'key' as const }));
    }
    return [{ path, message: sentenceFor(issue) }];
  });
}

/** One branch of a union is meant if the value is of its type at all. */
function isOfAnotherType({ code, path }: Issue): boolean {
  return path.length === 0 && (code === 'invalid_type' || code === 'invalid_value');
}

function sentenceFor(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return 'missing';
      return `expected ${WORDS[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `${JSON.stringify(issue.input)} is not one of: ${issue.values.join(', ')}`;
    case 'too_small':
      if (issue.origin === 'array' || issue.origin === 'string') return 'must not be empty';
      return `must be at least ${issue.minimum}`;
    case 'too_big':
      return issue.origin === 'string'
        ? `is longer than ${issue.maximum} characters`
        : `must be at most ${issue.maximum}`;
    default:
      return issue.message;
  }
}

/** For `error` of a strict object: which keys there are instead. */
export function unknownKeyMessage(known: readonly string[]): z.core.$ZodErrorMap {
  return (issue) => (issue.code === 'unrecognized_keys' ? `unknown key; known here: ${known.join(', ')}` : undefined);
}

/** Writes a path as one would say it: `policy.rules[1].limits.idle`. */
export function writePath(path: Problem['path']): string {
  return path.map((step, i) => (typeof step === 'number' ? `[${step}]` : i === 0 ? step : `.${step}`)).join('');
}
