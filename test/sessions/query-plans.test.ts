import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { givenChild, givenClient, givenPart, givenSession, storeToken } from '../support/given-sessions.ts';

interface Node {
  'Node Type': string;
  'Index Name'?: string;
  'Relation Name'?: string;
  Plans?: Node[];
}

const SESSIONS = 20_000;

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
  await givenClient(database, 'app');
  const session = await givenSession(database);
  const { sid } = await givenPart(database, session);
  await givenChild(database, session);
  await storeToken(database, { sessionUid: session.uid, sid });
  const columnsOf = async (table: string, without: string[]) =>
    (
      await database.query<{ name: string }>(
        `SELECT column_name AS name FROM information_schema.columns
         WHERE table_name = $1 AND is_generated = 'NEVER' AND column_name <> ALL($2)`,
        [table, without],
      )
    )
      .map(({ name }) => name)
      .join(', ');
  const sessions = await columnsOf('session', ['uid', 'cookie_hash', 'account_id', 'alarm_at']);
  await database.query(
    `INSERT INTO session (uid, cookie_hash, account_id, alarm_at, ${sessions})
     SELECT 's' || n, sha256(n::text::bytea), 'account' || n / 3, alarm_at + n * interval '1 second', ${sessions}
     FROM session, generate_series(1, $2) n WHERE uid = $1`,
    [session.uid, SESSIONS],
  );
  const participations = await columnsOf('participation', ['sid', 'session_uid', 'client_id', 'alarm_at']);
  await database.query(
    `INSERT INTO participation (sid, session_uid, client_id, alarm_at, ${participations})
     SELECT 'p' || n, 's' || n, 'client' || n % 100, curfew_now() + n * interval '1 second', ${participations}
     FROM participation, generate_series(1, $2) n WHERE sid = $1`,
    [sid, SESSIONS],
  );
  const artifacts = await columnsOf('artifact', ['id_hash', 'session_uid', 'sid', 'client_id']);
  await database.query(
    `INSERT INTO artifact (id_hash, session_uid, sid, client_id, ${artifacts})
     SELECT sha256(n::text::bytea), 's' || n, 'p' || n, 'client' || n % 100, ${artifacts}
     FROM artifact, generate_series(1, $2) n WHERE sid = $1`,
    [sid, SESSIONS],
  );
  await database.query('ANALYZE');
});
afterAll(() => database.close());

function nodesOf(node: Node): Node[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}

async function planOf(sql: string): Promise<Node[]> {
  const [row] = await database.query<{ 'QUERY PLAN': { Plan: Node }[] }>(`EXPLAIN (FORMAT JSON) ${sql}`);
  const plan = row?.['QUERY PLAN'][0]?.Plan;
  if (plan === undefined) throw new Error('no plan');
  return nodesOf(plan);
}

const indexesOf = (nodes: Node[]) => [...new Set(nodes.flatMap((node) => node['Index Name'] ?? []))].sort();
const read = (nodes: Node[]) => nodes.filter((node) => node['Node Type'] === 'Seq Scan').map((n) => n['Relation Name']);

/** As the stores have them, with values in the place of parameters. */
describe('the plan of', () => {
  it.each([
    [
      'finding an artifact',
      `SELECT * FROM live_artifact WHERE id_hash = sha256('7')`,
      ['artifact_pkey', 'participation_pkey', 'session_pkey'],
    ],
    [
      'finding a session by its cookie',
      `SELECT * FROM live_session WHERE cookie_hash = sha256('7')`,
      ['session_cookie_hash_key', 'session_pkey'],
    ],
    ['finding a session by its uid', `SELECT * FROM live_session WHERE uid = 's7'`, ['session_pkey']],
    [
      'finding the parts of a session',
      `SELECT * FROM live_participation WHERE session_uid = 's7' AND client_id = 'client7'`,
      [expect.stringMatching(/^participation_(live_client|session_uid_idx)$/), 'session_pkey'],
    ],
    [
      'what is overdue',
      `SELECT uid FROM session WHERE ended_at IS NULL AND parent_uid IS NULL AND alarm_at <= (SELECT curfew_now())
         AND deadline <= (SELECT curfew_now())`,
      ['session_alarm_at'],
    ],
    [
      'which participations are overdue',
      `SELECT sid FROM participation p WHERE p.ended_at IS NULL AND p.alarm_at <= (SELECT curfew_now())
         AND p.deadline <= (SELECT curfew_now())`,
      ['participation_alarm_at'],
    ],
    [
      'locking the sessions of an account for their end',
      `WITH chosen AS MATERIALIZED (SELECT uid FROM session WHERE ended_at IS NULL AND parent_uid IS NULL
           AND account_id = 'account7' ORDER BY uid LIMIT 500)
         SELECT uid FROM session WHERE uid IN (SELECT uid FROM chosen) ORDER BY uid FOR UPDATE`,
      ['session_account_id', 'session_pkey'],
    ],
    [
      'locking their children',
      `WITH chosen AS MATERIALIZED ((SELECT uid FROM session WHERE ended_at IS NULL AND parent_uid IS NOT NULL
           AND uid = ANY('{s7}') ORDER BY uid LIMIT 500)
         UNION SELECT uid FROM session WHERE ended_at IS NULL AND end_with_parent AND parent_uid = ANY('{s7}'))
         SELECT uid FROM session WHERE uid IN (SELECT uid FROM chosen) ORDER BY uid FOR UPDATE`,
      ['session_parent_uid', 'session_pkey'],
    ],
    [
      'wiping the artifacts of sessions',
      `UPDATE artifact SET payload = NULL WHERE session_uid = ANY('{s7,s8}') AND payload IS NOT NULL`,
      ['artifact_session_uid'],
    ],
    [
      'wiping the artifacts of participations',
      `UPDATE artifact SET payload = NULL WHERE sid = ANY('{p7,p8}') AND payload IS NOT NULL`,
      ['artifact_sid'],
    ],
    [
      'a client’s participations',
      `SELECT sid FROM participation p WHERE p.ended_at IS NULL AND p.client_id = 'client7'`,
      ['participation_client_id'],
    ],
  ])('%s uses its indexes and reads no table whole', async (_what, sql, indexes) => {
    const plan = await planOf(sql);
    expect(indexesOf(plan)).toEqual(indexes);
    expect(read(plan)).toEqual([]);
  });

  it('what is overdue would read the whole table if the clock were asked for each row', async () => {
    const plan = await planOf(`SELECT uid FROM session WHERE ended_at IS NULL AND alarm_at <= curfew_now()`);
    expect(read(plan)).toEqual(['session']);
  });
});
