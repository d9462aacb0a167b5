import { describe, expect, it } from '@jest/globals';
import type { RegisteredClient } from '../../src/clients/client.ts';
import { parseCurfewYaml } from '../../src/clients/curfew-yaml.ts';
import { differenceOf, formatDifference } from '../../src/clients/difference.ts';

const before = `
clients:
  - { client_id: chat, redirect_uris: [https://chat.example.com/cb], data: [internal] }
  - { client_id: wiki, redirect_uris: [https://wiki.example.com/cb] }
policy:
  default: { idle: 30m }
  rules:
    - { name: contractors, when: { groups: [contractors] }, limits: { idle: 10m, offline: forbid } }
    - { name: night, when: { labels: [batch] }, limits: { accessToken: 2m } }
`;
const after = `
clients:
  - { client_id: chat, redirect_uris: [https://chat.example.com/cb], data: [restricted], client_name: Chat }
  - { client_id: console, redirect_uris: [https://console.example.com/cb] }
policy:
  default: { idle: 15m, offline: { idle: 7d } }
  rules:
    - { name: restricted, when: { data: [restricted] }, limits: { idle: 5m } }
    - { name: contractors, when: { groups: [contractors] }, limits: { idle: 5m } }
`;

const parse = (text: string) => parseCurfewYaml(text, { fileName: 'curfew.yaml' });

/** As Postgres gives JSON back: without the order of keys. */
const stored = (text: string, with_: Partial<RegisteredClient> = {}) => {
  const { clients, policy } = parse(text);
  const reversed = <T>(value: T): T =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? (Object.fromEntries(
          Object.entries(value)
            .map(([k, v]) => [k, reversed(v)])
            .reverse(),
        ) as T)
      : value;
  return {
    clients: clients.map(({ clientSecretEnv: _notStored, ...client }) => ({ ...reversed(client), ...with_ })),
    policy: reversed(policy),
  };
};

it('is nothing between a file and what it was applied to', () => {
  const changes = differenceOf(stored(before), parse(before));
  expect(changes).toEqual([]);
  expect(formatDifference(changes)).toBe('no difference');
});

it('tells clients and rules that came, changed and went, in the words of the file', () => {
  const changes = differenceOf(stored(before), parse(after));
  expect(changes).toEqual([
    {
      kind: 'client_changed',
      clientId: 'chat',
      fields: [
        { field: 'data', before: ['internal'], after: ['restricted'] },
        { field: 'client_name', after: 'Chat' },
      ],
    },
    { kind: 'client_added', clientId: 'console' },
    { kind: 'client_removed', clientId: 'wiki' },
    {
      kind: 'policy_default_changed',
      fields: [
        { field: 'idle', before: '30m', after: '15m' },
        {
          field: 'offline',
          before: { idle: '14d', absolute: '30d', endWith: 'none' },
          after: { idle: '7d', absolute: '30d', endWith: 'none' },
        },
      ],
    },
    { kind: 'policy_rule_added', rule: 'restricted' },
    {
      kind: 'policy_rule_changed',
      rule: 'contractors',
      fields: [
        { field: 'limits.idle', before: '10m', after: '5m' },
        { field: 'limits.offline', before: 'forbid' },
      ],
    },
    { kind: 'policy_rule_removed', rule: 'night' },
  ]);
  expect(formatDifference(changes)).toBe(
    `
~ client chat
    data: ["internal"] -> ["restricted"]
    client_name: (not set) -> Chat
+ client console
- client wiki: gets disabled, and its participations end
~ policy default
    idle: 30m -> 15m
    offline: {"idle":"14d","absolute":"30d","endWith":"none"} -> {"idle":"7d","absolute":"30d","endWith":"none"}
+ policy rule "restricted"
~ policy rule "contractors"
    limits.idle: 10m -> 5m
    limits.offline: forbid -> (not set)
- policy rule "night"
`.trim(),
  );
});

describe('a client that was disabled', () => {
  const byFile = { disabledAt: new Date('2026-01-01T08:00:00Z'), disabledBy: 'file' as const };
  const byHand = { ...byFile, disabledBy: 'hand' as const };

  it('by an earlier file comes back with one that has it', () => {
    const changes = differenceOf(stored(before, byFile), parse(before));
    expect(formatDifference(changes)).toBe('+ client chat: enabled again\n+ client wiki: enabled again');
  });

  it('by hand stays so, and that is no difference', () => {
    expect(differenceOf(stored(before, byHand), parse(before))).toEqual([]);
  });

  it('is not disabled a second time', () => {
    const { policy } = parse(before);
    expect(differenceOf(stored(before, byFile), { clients: [], policy })).toEqual([]);
  });
});

it('does not mind the order of rules', () => {
  const { clients, policy } = parse(before);
  expect(differenceOf(stored(before), { clients, policy: { ...policy, rules: policy.rules.toReversed() } })).toEqual(
    [],
  );
});
