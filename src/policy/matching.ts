import type { SessionKind } from './limits.ts';
import { isInNetwork } from './network.ts';
import type { Policy, Rule, When } from './policy.ts';

/** What is known of a person's session when its limits are decided. */
export interface SessionFacts {
  kind: SessionKind;
  roles: readonly string[];
  groups: readonly string[];
  acr: string | null;
  amr: readonly string[];
  /** The person's address; null if it isn't known, and then rules about networks apply. */
  ip: string | null;
}

/** What is known of the client that takes part. */
export interface ClientFacts {
  clientId: string;
  data: readonly string[];
  labels: readonly string[];
}

/** Facts of a decision that isn't about a session, or about no client, leave out what they don't have. */
export type Facts = Omit<SessionFacts, 'kind'> & Partial<Pick<SessionFacts, 'kind'>> & Partial<ClientFacts>;

/** Rules that mention a client, its data or its labels limit that client's participation, never the whole session. */
export function isClientSpecific(rule: Rule): boolean {
  const { clients, data, labels } = rule.when;
  return clients !== undefined || data !== undefined || labels !== undefined;
}

type Test = (listed: readonly string[], facts: Facts) => boolean;

const among = (listed: readonly string[], fact: string | null | undefined): boolean =>
  typeof fact === 'string' && listed.includes(fact);
const anyAmong = (listed: readonly string[], facts: readonly string[] = []): boolean =>
  facts.some((fact) => listed.includes(fact));

const tests: { readonly [K in keyof Required<When>]: Test } = {
  roles: (listed, { roles }) => anyAmong(listed, roles),
  groups: (listed, { groups }) => anyAmong(listed, groups),
  clients: (listed, { clientId }) => among(listed, clientId),
  data: (listed, { data }) => anyAmong(listed, data),
  labels: (listed, { labels }) => anyAmong(listed, labels),
  acr: (listed, { acr }) => among(listed, acr),
  amr: (listed, { amr }) => anyAmong(listed, amr),
  network: (listed, { ip }) => isInNetwork(ip, listed),
  kind: (listed, { kind }) => among(listed, kind),
};

/** Whether a rule applies: AND over the keys of its `when`, OR within the list of each. */
export function matches(when: When, facts: Facts): boolean {
  return (Object.keys(tests) as (keyof When)[]).every((key) => {
    const listed = when[key];
    return listed === undefined || tests[key](listed, facts);
  });
}

/** The rules that apply to these facts, in the order of the policy. */
export function matchingRules(policy: Policy, facts: Facts): Rule[] {
  return policy.rules.filter((rule) => matches(rule.when, facts));
}
