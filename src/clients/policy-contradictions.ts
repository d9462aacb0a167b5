import { readDuration, writeDuration } from '../policy/durations.ts';
import type { ChildKind } from '../policy/limits.ts';
import type { PolicyDefault } from '../policy/policy.ts';
import { asBlock, asList, asText, isBlock, type RawBlock, textsOf } from './raw-values.ts';
import type { Path, Problem } from './yaml-source.ts';

const CHILD_KINDS: readonly ChildKind[] = ['offline', 'device'];

interface Times {
  idle: number | undefined;
  absolute: number | undefined;
}

/**
 * Finds what each key for itself is right about, but not together: idle longer than absolute, rules that can't
 * have an effect, names that refer to nothing.
 *
 * It looks at the raw file, so that one wrong key doesn't hide the contradictions among the others.
 *
 * @param policy the value of `policy`
 * @param builtIn what holds where the file's default says nothing
 */
export function policyContradictions(
  policy: unknown,
  builtIn: PolicyDefault,
  clientIds: ReadonlySet<string>,
): Problem[] {
  const block = asBlock(policy);
  const byDefault = asBlock(block.default);
  const rules = asList(block.rules).map(asBlock);
  return [
    ...defaultProblems(byDefault, builtIn),
    ...rules.flatMap((rule, i) => ruleProblems(rule, ['policy', 'rules', i], byDefault, builtIn)),
    ...rules.flatMap((rule, i) => unknownClients(rule, ['policy', 'rules', i], clientIds)),
    ...duplicateNames(rules),
  ];
}

function secondsOf(value: unknown): number | undefined {
  const reading = readDuration(value);
  return reading.ok ? reading.seconds : undefined;
}

const timesOf = (block: RawBlock): Times => ({
  idle: secondsOf(block.idle),
  absolute: secondsOf(block.absolute),
});

function idleOverAbsolute({ idle, absolute }: Times, path: Path, whose = ''): Problem[] {
  if (idle === undefined || absolute === undefined || idle <= absolute) return [];
  const message = `${writeDuration(idle)} is longer than absolute ${writeDuration(absolute)}${whose}, which ends the session first`;
  return [{ path: [...path, 'idle'], message }];
}

function warnBeforeOverIdle(limits: RawBlock, path: Path): Problem[] {
  const [warnBefore, idle] = [secondsOf(limits.warnBefore), secondsOf(limits.idle)];
  if (warnBefore === undefined || idle === undefined || warnBefore <= idle) return [];
  const message = `${writeDuration(warnBefore)} is longer than idle ${writeDuration(idle)}: the warning would come before the idle time begins`;
  return [{ path: [...path, 'warnBefore'], message }];
}

function defaultProblems(limits: RawBlock, builtIn: PolicyDefault): Problem[] {
  const path = ['policy', 'default'];
  return [
    ...againstBuiltIn(timesOf(limits), { idle: builtIn.idleSeconds, absolute: builtIn.absoluteSeconds }, path),
    ...CHILD_KINDS.flatMap((kind) => {
      const child = builtIn[kind] === 'forbid' ? undefined : builtIn[kind];
      const times = { idle: child?.idleSeconds, absolute: child?.absoluteSeconds };
      return againstBuiltIn(timesOf(asBlock(limits[kind])), times, [...path, kind]);
    }),
    ...warnBeforeOverIdle(limits, path),
  ];
}

/** A default that states only one of the two is completed by the built-in other one. */
function againstBuiltIn(stated: Times, builtIn: Times, path: Path): Problem[] {
  if (stated.absolute === undefined) {
    return idleOverAbsolute({ idle: stated.idle, absolute: builtIn.absolute }, path, ' of the built-in default');
  }
  if (stated.idle !== undefined) return idleOverAbsolute(stated, path);
  if (builtIn.idle === undefined || builtIn.idle <= stated.absolute) return [];
  const message = `${writeDuration(stated.absolute)} is shorter than idle ${writeDuration(builtIn.idle)} of the built-in default: state idle too`;
  return [{ path: [...path, 'absolute'], message }];
}

function ruleProblems(rule: RawBlock, path: Path, byDefault: RawBlock, builtIn: PolicyDefault): Problem[] {
  const limits = asBlock(rule.limits);
  const when = asBlock(rule.when);
  const limitsPath = [...path, 'limits'];
  const kinds = asList(when.kind);
  const [onlyKind] = CHILD_KINDS.filter((child) => kinds.length > 0 && kinds.every((kind) => kind === child));
  const childDefaults = {
    offline: childTimes(byDefault, builtIn, 'offline'),
    device: childTimes(byDefault, builtIn, 'device'),
  };
  const sessionDefault = {
    idle: undefined,
    absolute: secondsOf(byDefault.absolute) ?? builtIn.absoluteSeconds,
  };
  return [
    ...ruleTimes(timesOf(limits), onlyKind ? childDefaults[onlyKind] : sessionDefault, limitsPath),
    ...CHILD_KINDS.flatMap((kind) =>
      ruleTimes(timesOf(asBlock(limits[kind])), childDefaults[kind], [...limitsPath, kind]),
    ),
    ...warnBeforeOverIdle(limits, limitsPath),
    ...empty(rule.when, [...path, 'when'], 'says nothing: what holds for everyone belongs in policy.default'),
    ...empty(rule.limits, limitsPath, 'sets no limit'),
    ...CHILD_KINDS.flatMap((kind) => empty(limits[kind], [...limitsPath, kind], 'says nothing')),
    ...withoutEffect(limits, when, limitsPath, childDefaults),
  ];
}

function childTimes(byDefault: RawBlock, builtIn: PolicyDefault, kind: ChildKind): Times | 'forbid' {
  const setting = byDefault[kind];
  const whole = builtIn[kind];
  if (setting === 'forbid' || (setting === undefined && whole === 'forbid')) return 'forbid';
  const completion = whole === 'forbid' ? undefined : whole.absoluteSeconds;
  return { idle: undefined, absolute: secondsOf(asBlock(setting).absolute) ?? completion };
}

function ruleTimes(stated: Times, byDefault: Times | 'forbid', path: Path): Problem[] {
  const within = idleOverAbsolute(stated, path);
  if (within.length > 0 || byDefault === 'forbid') return within;
  return idleOverAbsolute({ idle: stated.idle, absolute: byDefault.absolute }, path, ' of policy.default');
}

function empty(block: unknown, path: Path, message: string): Problem[] {
  return isBlock(block) && Object.keys(block).length === 0 ? [{ path, message }] : [];
}

const hasAny = (block: RawBlock, keys: readonly string[]): boolean => keys.some((key) => block[key] !== undefined);

function withoutEffect(
  limits: RawBlock,
  when: RawBlock,
  path: Path,
  byDefault: Readonly<Record<ChildKind, Times | 'forbid'>>,
): Problem[] {
  const problems: Problem[] = [];
  const refuse = (key: string, message: string): void => {
    problems.push({ path: [...path, key], message: `has no effect: ${message}`, at: 'key' });
  };
  if (limits.concurrent !== undefined) {
    const kinds = asList(when.kind);
    if (hasAny(when, ['clients', 'data', 'labels'])) {
      refuse('concurrent', 'it counts sessions of a person, and this rule is about clients, data or labels');
    } else if (kinds.length > 0 && !kinds.includes('browser')) {
      refuse('concurrent', 'it counts browser sessions, and this rule is about others');
    }
  }
  for (const kind of CHILD_KINDS) {
    if (limits[kind] !== undefined && limits[kind] !== 'forbid' && byDefault[kind] === 'forbid') {
      refuse(kind, `policy.default forbids ${kind} sessions, and a rule can only make it stricter`);
    }
  }
  return problems;
}

function unknownClients(rule: RawBlock, path: Path, clientIds: ReadonlySet<string>): Problem[] {
  return textsOf(asBlock(rule.when).clients)
    .filter(({ text }) => !clientIds.has(text.trim()))
    .map(({ text, index }) => ({
      path: [...path, 'when', 'clients', index],
      message: `there is no client "${text}" in this file`,
    }));
}

function duplicateNames(rules: readonly RawBlock[]): Problem[] {
  const names = rules.map((rule) => asText(rule.name)?.trim());
  return names.flatMap((name, i) =>
    name !== undefined && names.indexOf(name) < i
      ? [{ path: ['policy', 'rules', i, 'name'], message: `another rule is named "${name}" too` }]
      : [],
  );
}
