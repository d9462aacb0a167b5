import { isDeepStrictEqual } from 'node:util';
import type { Policy, Rule } from '../policy/policy.ts';
import type { DeclaredFacts, RegisteredClient } from './client.ts';
import { writeClient, writeLimits, writeRule } from './write-declaration.ts';

/** One key of the file whose value is another now; `before` or `after` is absent where it wasn't or isn't stated. */
export interface FieldChange {
  field: string;
  before?: unknown;
  after?: unknown;
}

/** What applying a file would change. */
export type Change =
  | { kind: 'client_added'; clientId: string }
  | { kind: 'client_changed'; clientId: string; fields: FieldChange[] }
  /** Disabled because an earlier file didn't have it, and now one has it again. */
  | { kind: 'client_returned'; clientId: string }
  | { kind: 'client_removed'; clientId: string }
  | { kind: 'policy_default_changed'; fields: FieldChange[] }
  | { kind: 'policy_rule_added'; rule: string }
  | { kind: 'policy_rule_changed'; rule: string; fields: FieldChange[] }
  | { kind: 'policy_rule_removed'; rule: string };

export interface Stored {
  clients: readonly RegisteredClient[];
  policy: Policy;
}

export interface Declared {
  clients: readonly DeclaredFacts[];
  policy: Policy;
}

/**
 * Compares what is stored with what a file declares, in the words of the file.
 *
 * Secrets are not compared. The order of rules is no difference: it changes no limit. Nor is a client that was
 * disabled before and isn't in the file.
 *
 * @returns nothing if applying the file would change nothing
 */
export function differenceOf(stored: Stored, declared: Declared): Change[] {
  return [...clientChanges(stored.clients, declared.clients), ...policyChanges(stored.policy, declared.policy)];
}

function clientChanges(stored: readonly RegisteredClient[], declared: readonly DeclaredFacts[]): Change[] {
  const before = new Map(stored.map((client) => [client.clientId, client]));
  const kept = new Set(declared.map(({ clientId }) => clientId));
  const changes = declared.flatMap((client): Change[] => {
    const { clientId } = client;
    const old = before.get(clientId);
    if (old === undefined) return [{ kind: 'client_added', clientId }];
    const fields = fieldChanges(writeClient(old), writeClient(client));
    return [
      ...(old.disabledBy === 'file' ? [{ kind: 'client_returned' as const, clientId }] : []),
      ...(fields.length > 0 ? [{ kind: 'client_changed' as const, clientId, fields }] : []),
    ];
  });
  const removed = stored
    .filter(({ clientId, disabledAt }) => !kept.has(clientId) && disabledAt === undefined)
    .map(({ clientId }): Change => ({ kind: 'client_removed', clientId }));
  return [...changes, ...removed];
}

function policyChanges(stored: Policy, declared: Policy): Change[] {
  const fields = fieldChanges(writeLimits(stored.default), writeLimits(declared.default));
  const byName = (rules: readonly Rule[]): Map<string, Rule> => new Map(rules.map((rule) => [rule.name, rule]));
  const [before, after] = [byName(stored.rules), byName(declared.rules)];
  return [
    ...(fields.length > 0 ? [{ kind: 'policy_default_changed' as const, fields }] : []),
    ...declared.rules.flatMap((rule) => ruleChange(before.get(rule.name), rule)),
    ...stored.rules
      .filter(({ name }) => !after.has(name))
      .map(({ name }): Change => ({ kind: 'policy_rule_removed', rule: name })),
  ];
}

function ruleChange(before: Rule | undefined, after: Rule): Change[] {
  if (before === undefined) return [{ kind: 'policy_rule_added', rule: after.name }];
  const fields = fieldChanges(writeRule(before), writeRule(after));
  return fields.length > 0 ? [{ kind: 'policy_rule_changed', rule: after.name, fields }] : [];
}

type Written = Readonly<Record<string, unknown>>;

function fieldChanges(before: Written, after: Written): FieldChange[] {
  const fields = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return fields
    .filter((field) => !isDeepStrictEqual(before[field], after[field]))
    .map((field) => ({
      field,
      ...(before[field] === undefined ? {} : { before: before[field] }),
      ...(after[field] === undefined ? {} : { after: after[field] }),
    }));
}

/** Writes the changes for people, one line each and one more for each changed key. */
export function formatDifference(changes: readonly Change[]): string {
  return changes.length === 0 ? 'no difference' : changes.flatMap(linesFor).join('\n');
}

function linesFor(change: Change): string[] {
  switch (change.kind) {
    case 'client_added':
      return [`+ client ${change.clientId}`];
    case 'client_changed':
      return [`~ client ${change.clientId}`, ...fieldLines(change.fields)];
    case 'client_returned':
      return [`+ client ${change.clientId}: enabled again`];
    case 'client_removed':
      return [`- client ${change.clientId}: gets disabled, and its participations end`];
    case 'policy_default_changed':
      return ['~ policy default', ...fieldLines(change.fields)];
    case 'policy_rule_added':
      return [`+ policy rule "${change.rule}"`];
    case 'policy_rule_changed':
      return [`~ policy rule "${change.rule}"`, ...fieldLines(change.fields)];
    case 'policy_rule_removed':
      return [`- policy rule "${change.rule}"`];
  }
}

const show = (value: unknown): string =>
  value === undefined ? '(not set)' : typeof value === 'string' ? value : JSON.stringify(value);

function fieldLines(fields: readonly FieldChange[]): string[] {
  return fields.map(({ field, before, after }) => `    ${field}: ${show(before)} -> ${show(after)}`);
}
