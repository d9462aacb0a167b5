import { AppError } from '../errors.ts';
import type { ChildKind, ChildSetting } from '../policy/limits.ts';
import { builtInPolicy, type Policy, type PolicyDefault, type Rule, type RuleLimits } from '../policy/policy.ts';
import { clientContradictions } from './client-contradictions.ts';
import { type ClientDeclaration, clientSchema } from './client-metadata-schema.ts';
import { policyContradictions } from './policy-contradictions.ts';
import { limitsSchema, ruleSchema } from './policy-schema.ts';
import { problemsOf, writePath } from './problem-list.ts';
import { asBlock, asList, asText, isBlock, type RawBlock } from './raw-values.ts';
import { type Path, type Problem, readYamlSource, type YamlSource } from './yaml-source.ts';

/** Which parts of the policy the file states; the others are the built-in ones. */
export interface PolicySource {
  default: 'file' | 'built-in';
  rules: 'file' | 'built-in';
}

export interface CurfewYaml {
  clients: ClientDeclaration[];
  policy: Policy;
  policySource: PolicySource;
}

/**
 * Reads what an administrator declares in curfew.yaml. All or nothing.
 *
 * @param fileName as it is to stand in messages
 * @throws AppError `invalid_configuration`, whose message tells every problem, one per line, as
 *   `curfew.yaml:12:5: policy.default.idle: …`
 */
export function parseCurfewYaml(text: string, { fileName }: { fileName: string }): CurfewYaml {
  const source = readYamlSource(text);
  if (
    source.syntaxProblems.length > 0 &&
    !source.syntaxProblems.every(({ message }) => /^duplicate key/.test(message))
  ) {
    throw invalid(fileName, source, []);
  }
  const problems: Problem[] = [];
  const file = readBlock(source.value, [], ['clients', 'policy'], problems);
  const clients = readClients(file.clients, problems);
  const { policy, policySource } = readPolicy(file.policy, problems);
  const clientIds = asList(file.clients).flatMap((client) => asText(asBlock(client).client_id) ?? []);
  problems.push(
    ...clientContradictions(file.clients),
    ...policyContradictions(file.policy, builtInPolicy.default, new Set(clientIds)),
  );
  if (problems.length > 0 || source.syntaxProblems.length > 0) throw invalid(fileName, source, problems);
  return { clients, policy, policySource };
}

function readBlock(value: unknown, path: Path, known: readonly string[], problems: Problem[]): RawBlock {
  if (!isBlock(value)) {
    const message = value === null && path.length === 0 ? 'the file is empty' : 'expected a block of keys';
    problems.push({ path, message: `${message}; known here: ${known.join(', ')}` });
    return {};
  }
  for (const key of Object.keys(value).filter((one) => !known.includes(one))) {
    problems.push({ path: [...path, key], message: `unknown key; known here: ${known.join(', ')}`, at: 'key' });
  }
  if (path.length === 0 && !('clients' in value)) {
    const message = 'missing: clients that are not in the file get disabled, so write `clients: []` if there are none';
    problems.push({ path: ['clients'], message });
  }
  return value;
}

function readList(value: unknown, path: Path, problems: Problem[]): readonly unknown[] {
  if (!Array.isArray(value)) problems.push({ path, message: 'expected a list' });
  return asList(value);
}

interface Schema<T> {
  safeParse(
    input: unknown,
    options: { reportInput: true },
  ): { success: true; data: T } | { success: false; error: { issues: Parameters<typeof problemsOf>[0][number][] } };
}

function read<T>(schema: Schema<T>, value: unknown, path: Path, problems: Problem[]): T[] {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return [result.data];
  problems.push(...problemsOf(result.error.issues, path));
  return [];
}

function readClients(value: unknown, problems: Problem[]): ClientDeclaration[] {
  if (value === undefined) return [];
  return readList(value, ['clients'], problems).flatMap((client, i) =>
    read<ClientDeclaration>(clientSchema, client, ['clients', i], problems),
  );
}

function readPolicy(value: unknown, problems: Problem[]): Pick<CurfewYaml, 'policy' | 'policySource'> {
  const block = value === undefined ? {} : readBlock(value, ['policy'], ['default', 'rules'], problems);
  const { default: statedDefault, rules: statedRules } = block;
  const [limits = {}] =
    statedDefault === undefined ? [] : read<RuleLimits>(limitsSchema, statedDefault, ['policy', 'default'], problems);
  const rules =
    statedRules === undefined
      ? builtInPolicy.rules
      : readList(statedRules, ['policy', 'rules'], problems).flatMap((rule, i) =>
          read<Rule>(ruleSchema, rule, ['policy', 'rules', i], problems),
        );
  return {
    policy: { default: completeDefault(limits), rules },
    policySource: {
      default: statedDefault === undefined ? 'built-in' : 'file',
      rules: statedRules === undefined ? 'built-in' : 'file',
    },
  };
}

function completeDefault({ offline, device, ...limits }: RuleLimits): PolicyDefault {
  const builtIn = builtInPolicy.default;
  return {
    ...builtIn,
    ...limits,
    offline: completeChild(offline, builtIn.offline),
    device: completeChild(device, builtIn.device),
  };
}

function completeChild(stated: RuleLimits[ChildKind], builtIn: ChildSetting): ChildSetting {
  if (stated === undefined) return builtIn;
  return stated === 'forbid' || builtIn === 'forbid' ? 'forbid' : { ...builtIn, ...stated };
}

function invalid(fileName: string, source: YamlSource, problems: readonly Problem[]): AppError {
  const found = [
    ...source.syntaxProblems,
    ...problems.map(({ path, message, at = 'value' }) => ({
      offset: source.offsetOf(path, at),
      message: path.length === 0 ? message : `${writePath(path)}: ${message}`,
    })),
  ];
  const lines = found
    .sort((one, other) => one.offset - other.offset)
    .map(({ offset, message }) => {
      const { line, col } = source.positionOf(offset);
      return `${fileName}:${line}:${col}: ${message}`;
    });
  return new AppError('invalid_configuration', [...new Set(lines)].join('\n'));
}
