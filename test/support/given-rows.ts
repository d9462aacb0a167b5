import { randomUUID } from 'node:crypto';
import { decideParticipationLimits, decideSessionLimits } from '../../src/policy/decide.ts';
import { builtInPolicy } from '../../src/policy/policy.ts';
import type { TestDatabase } from './database.ts';

const nobodySpecial = { kind: 'browser', roles: [], groups: [], acr: null, amr: [], ip: '192.0.2.1' } as const;

/** A session as it is stored, with 30 minutes idle and 12 hours absolute unless told otherwise. */
export async function givenSessionRow(
  { query }: TestDatabase,
  accountId: string,
  { began = '0 seconds', idleSeconds = 1_800, absoluteSeconds = 43_200, parentUid = null as string | null } = {},
): Promise<string> {
  const uid = randomUUID();
  await query(
    `INSERT INTO session (uid, kind, parent_uid, account_id, began_at, authenticated_at, last_active_at, idle_seconds,
       absolute_seconds, limits, activity, policy_version, idle_deadline, absolute_deadline, alarm_at, acr, amr, ip)
     SELECT $1, CASE WHEN $6::text IS NULL THEN 'browser' ELSE 'offline' END, $6, $2, t, t, t, $3::int, $4::int, $7,
       '{interactive}', 0, t + $3::int * interval '1 second', t + $4::int * interval '1 second',
       t + $3::int * interval '1 second', 'urn:curfew:acr:pwd', '{pwd}', '192.0.2.1'
     FROM (SELECT curfew_instant() - $5::interval AS t) at`,
    [
      uid,
      accountId,
      idleSeconds,
      absoluteSeconds,
      began,
      parentUid,
      JSON.stringify(decideSessionLimits(builtInPolicy, nobodySpecial)),
    ],
  );
  return uid;
}

/** A client's part in a session, without deadlines of its own, to which tokens were issued. */
export async function givenParticipationRow(
  { query }: TestDatabase,
  sessionUid: string,
  clientId: string,
): Promise<string> {
  const sid = randomUUID();
  const limits = decideParticipationLimits(builtInPolicy, { ...nobodySpecial, clientId, data: [], labels: [] });
  await query(
    `INSERT INTO participation (sid, session_uid, client_id, began_at, last_active_at, last_token_at, limits, activity,
       policy_version)
     SELECT $1, $2, $3, t, t, t, $4, '{interactive}', 0 FROM (SELECT curfew_instant() AS t) at`,
    [sid, sessionUid, clientId, JSON.stringify(limits)],
  );
  return sid;
}

/** A token of a client's own, of client_credentials. */
export async function givenServiceTokenRow({ query }: TestDatabase, clientId: string): Promise<void> {
  await query(
    `INSERT INTO artifact (id_hash, model, client_id, payload, created_at, expires_at)
     SELECT sha256($1::bytea), 'ClientCredentials', $2, '\\x00', t, t + interval '5 minutes'
     FROM (SELECT curfew_instant() AS t) at`,
    [randomUUID(), clientId],
  );
}
