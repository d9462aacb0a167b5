import { writeDuration } from '../policy/durations.ts';
import type { Decided, ParticipationLimits, SessionLimits } from '../policy/limits.ts';
import type {
  DeliveryDetails,
  ParticipationDetails,
  SessionDetails,
  SessionSummary,
} from '../sessions/session-queries.ts';
import { type Column, fields, table } from './output.ts';

export const sessionColumns: readonly Column<SessionSummary>[] = [
  ['uid', ({ uid }) => uid],
  ['login', ({ login, accountId }) => login ?? accountId],
  ['kind', ({ kind }) => kind],
  ['state', ({ state }) => state],
  ['began', ({ beganAt }) => beganAt],
  ['last active', ({ lastActiveAt }) => lastActiveAt],
  ['ends', ({ deadline, endedAt }) => endedAt ?? deadline],
  ['reason', ({ endReason }) => endReason],
  ['clients', ({ clients }) => clients],
];

const participationColumns: readonly Column<ParticipationDetails>[] = [
  ['client', ({ clientId }) => clientId],
  ['state', ({ state }) => state],
  ['began', ({ beganAt }) => beganAt],
  ['last active', ({ lastActiveAt }) => lastActiveAt],
  ['last token', ({ lastTokenAt }) => lastTokenAt],
  ['idle deadline', ({ idleDeadline }) => idleDeadline],
  ['absolute deadline', ({ absoluteDeadline }) => absoluteDeadline],
  ['ended', ({ endedAt }) => endedAt],
  ['reason', ({ endReason }) => endReason],
  ['sid', ({ sid }) => sid],
];

const deliveryColumns: readonly Column<DeliveryDetails>[] = [
  ['client', ({ clientId }) => clientId],
  ['state', ({ state }) => state],
  ['attempts', ({ attempt }) => attempt],
  ['owed', ({ owedAt }) => owedAt],
  ['next attempt', ({ state, nextAttemptAt }) => (state === 'pending' ? nextAttemptAt : null)],
  ['delivered', ({ deliveredAt }) => deliveredAt],
  ['last answer', ({ lastStatus, lastError }) => lastError ?? lastStatus],
];

interface LimitRow {
  of: string;
  limit: string;
  value: string;
  rule: string;
}

const limitColumns: readonly Column<LimitRow>[] = [
  ['of', ({ of }) => of],
  ['limit', ({ limit }) => limit],
  ['value', ({ value }) => value],
  ['set by', ({ rule }) => rule],
];

/** Lays out everything that is known of a session for a person to read. */
export function describeSession(session: SessionDetails): string {
  const { participations, children, deliveries } = session;
  const limits = [
    ...limitRows('session', session.limits),
    ...participations.flatMap(({ clientId, limits }) => limitRows(clientId, limits)),
  ];
  return [
    fields([
      ['session', session.uid],
      ['kind', session.kind],
      ['parent', session.parentUid],
      ['login', session.login],
      ['account', session.accountId],
      ['state', session.state],
      ['ended', session.endedAt],
      ['reason', session.endReason],
      ['note', session.endNote],
      ['end stored', session.endCommittedAt],
      ['began', session.beganAt],
      ['authenticated', session.authenticatedAt],
      ['last active', session.lastActiveAt],
      ['last endpoint', session.lastEndpoint],
      ['last client', session.lastClientId],
      ['idle deadline', session.idleDeadline],
      ['absolute deadline', session.absoluteDeadline],
      ['acr', session.acr],
      ['amr', session.amr],
      ['address', session.ip],
      ['user agent', session.userAgent],
      ['policy version', session.policyVersion],
    ]),
    section('Limits', limits, limitColumns),
    section('Clients', participations, participationColumns),
    section('Sessions that began in it', children, sessionColumns),
    section('Messages owed to clients', deliveries, deliveryColumns),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function section<Row>(title: string, rows: readonly Row[], columns: readonly Column<Row>[]): string {
  return rows.length === 0 ? '' : `${title}\n${table(rows, columns)}`;
}

/** The database keeps no order of keys. */
const LIMIT_ORDER = [
  'idle',
  'absolute',
  'accessToken',
  'idToken',
  'refreshToken',
  'warnBefore',
  'activity',
  'concurrent',
];

function inOrder<T>(limits: Readonly<Record<string, T>>): [string, T][] {
  const place = (key: string) => LIMIT_ORDER.indexOf(key) + 1 || LIMIT_ORDER.length + 1;
  return Object.entries(limits)
    .map(([key, limit]): [string, T] => [key.replace(/Seconds$/, ''), limit])
    .sort(([one], [other]) => place(one) - place(other) || one.localeCompare(other));
}

function limitRows(of: string, limits: SessionLimits | ParticipationLimits): LimitRow[] {
  return inOrder<Decided<unknown>>(limits).map(([limit, { value, rule }]) => ({ of, limit, value: show(value), rule }));
}

function show(value: unknown): string {
  if (typeof value === 'number') return writeDuration(value);
  if (Array.isArray(value)) return value.join(' ');
  if (typeof value !== 'object' || value === null) return String(value);
  const { max, ...others } = value as Record<string, unknown>;
  const parts = inOrder(others).map(([key, part]) => `${key} ${show(part)}`);
  return [...(max === undefined ? [] : [`at most ${max}`]), ...parts].join(', ');
}
