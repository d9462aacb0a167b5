import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createAccount } from '../../src/accounts/accounts.ts';
import { type ApplyOptions, applyDeclaration } from '../../src/clients/apply.ts';
import { disableClient, findClient } from '../../src/clients/registry.ts';
import { secretMatches } from '../../src/clients/secret.ts';
import { cheapHasher } from '../accounts/hashers.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { givenParticipationRow, givenServiceTokenRow, givenSessionRow } from '../support/given-rows.ts';
import { chat, declared, notes, robot } from './declarations.ts';

let database: TestDatabase;
const actor = 'command_line:test';
const stricter = '\npolicy: { default: { idle: 10m } }';

beforeEach(async () => {
  database = await testDatabase();
});
afterEach(() => database.close());

function apply(text: string, options: Partial<ApplyOptions> = {}) {
  return applyDeclaration(database.db, declared(text), { actor, secrets: new Map(), ...options });
}

/** Everything that applying a file may write, as text. */
async function everything(): Promise<string> {
  const tables = ['client', 'policy_version', 'participation', 'artifact', 'delivery', 'audit_event'];
  const rows = await Promise.all(tables.map((table) => database.query(`SELECT to_json(t) AS row FROM ${table} t`)));
  return JSON.stringify(rows);
}

const versions = () => database.query('SELECT version, source, actor FROM policy_version ORDER BY version');

describe('applying a declaration', () => {
  it('registers clients, generates the secrets that are missing and stores the policy', async () => {
    const result = await apply(`clients:${notes}${chat}${robot}`, { source: 'curfew.yaml' });
    expect(result.changes.map(({ kind }) => kind)).toEqual(['client_added', 'client_added', 'client_added']);
    expect(result.generatedSecrets.map(({ clientId }) => clientId)).toEqual(['notes', 'robot']);
    expect(result.policyVersion).toBe(1);
    for (const { clientId, secret } of result.generatedSecrets) {
      expect(secretMatches((await findClient(database.db, clientId))?.secretHash, secret)).toBe(true);
    }
    expect(await versions()).toEqual([{ version: 1, source: 'curfew.yaml', actor }]);
    const uris = await database.query(`SELECT backchannel_logout_uri AS uri FROM client WHERE client_id = 'notes'`);
    expect(uris).toEqual([{ uri: 'https://notes.example.com/logout' }]);
  });

  it('changes nothing the second time', async () => {
    await apply(`clients:${notes}${chat}${stricter}`);
    const before = await everything();
    const result = await apply(`clients:${notes}${chat}${stricter}`);
    expect(result).toMatchObject({ changes: [], secretsChanged: [], generatedSecrets: [], policyVersion: 1 });
    expect(await everything()).toBe(before);
  });

  it('appends a policy version only when the policy changes', async () => {
    await apply(`clients:${notes}`);
    expect((await apply(`clients:${notes}${stricter}`)).policyVersion).toBe(2);
    expect((await apply(`clients:${notes}${chat}${stricter}`)).policyVersion).toBe(2);
    expect((await apply(`clients:${notes}`)).policyVersion).toBe(3);
    expect((await versions()).map(({ version }) => version)).toEqual([1, 2, 3]);
  });

  it('takes a secret from the environment, and replaces it when that changes', async () => {
    const [first, second] = ['1'.repeat(40), '2'.repeat(40)];
    const given = (secret: string) => ({ secrets: new Map([['notes', secret]]) });
    expect((await apply(`clients:${notes}`, given(first))).generatedSecrets).toEqual([]);
    expect((await apply(`clients:${notes}`, given(first))).secretsChanged).toEqual([]);
    expect((await apply(`clients:${notes}`, given(second))).secretsChanged).toEqual(['notes']);
    const { secretHash } = (await findClient(database.db, 'notes')) ?? {};
    expect([first, second].map((secret) => secretMatches(secretHash, secret))).toEqual([false, true]);
  });

  it('drops the secret of a client that becomes public', async () => {
    await apply(`clients:${notes}`);
    const result = await apply(`clients:${notes}\n    token_endpoint_auth_method: none`);
    expect(result.secretsChanged).toEqual(['notes']);
    expect(await findClient(database.db, 'notes')).not.toHaveProperty('secretHash');
  });

  it('disables a client gone from the file, ends its part in sessions and wipes its tokens', async () => {
    await apply(`clients:${notes}${chat}${robot}`);
    const parts = { db: database.db, hasher: cheapHasher() };
    const { id } = await createAccount(parts, { login: 'alice' }, { actor });
    const uid = await givenSessionRow(database, id);
    const gone = await givenParticipationRow(database, uid, 'notes');
    const kept = await givenParticipationRow(database, uid, 'chat');
    await givenServiceTokenRow(database, 'robot');

    const result = await apply(`clients:${chat}`);
    expect(result.ended).toEqual({ found: 1, ended: 1 });
    expect(await findClient(database.db, 'notes')).toMatchObject({ disabledBy: 'file' });
    const reasonOf = async (sid: string) => (await database.db.participation.findUnique({ where: { sid } }))?.endReason;
    expect([await reasonOf(gone), await reasonOf(kept)]).toEqual(['client_removed', null]);
    expect(await database.db.artifact.count({ where: { clientId: 'robot', payload: { not: null } } })).toBe(0);
    expect(await database.query('SELECT DISTINCT client_id, state FROM delivery')).toEqual([
      { client_id: 'notes', state: 'pending' },
    ]);
  });

  it('enables a client again that is back in the file, with the secret it had', async () => {
    const [{ secret = '' } = {}] = (await apply(`clients:${notes}`)).generatedSecrets;
    await apply('clients: []');
    const result = await apply(`clients:${notes}`);
    expect(result.changes).toEqual([{ kind: 'client_returned', clientId: 'notes' }]);
    expect(result.generatedSecrets).toEqual([]);
    const client = await findClient(database.db, 'notes');
    expect(client).not.toHaveProperty('disabledAt');
    expect(secretMatches(client?.secretHash, secret)).toBe(true);
  });

  it('leaves a client disabled that was disabled by hand', async () => {
    await apply(`clients:${notes}`);
    await disableClient(database.db, 'notes', { actor });
    await apply('clients: []');
    await apply(`clients:${notes}`);
    expect(await findClient(database.db, 'notes')).toMatchObject({ disabledBy: 'hand' });
  });

  it('tells the same difference in a dry run and writes nothing', async () => {
    await apply(`clients:${notes}`);
    const before = await everything();
    const text = `clients:${chat}${robot}${stricter}`;
    const dry = await apply(text, { dryRun: true });
    expect(await everything()).toBe(before);
    expect(dry).toMatchObject({ generatedSecrets: [], policyVersion: 1, ended: { ended: 0 } });
    const wet = await apply(text);
    expect(wet.changes).toEqual(dry.changes);
    expect(dry.changes.map(({ kind }) => kind)).toEqual([
      'client_added',
      'client_added',
      'client_removed',
      'policy_default_changed',
    ]);
  });

  it('keeps everything as it was when the last step fails', async () => {
    await apply(`clients:${notes}`);
    const before = await everything();
    await database.query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'refused'; END $$`);
    await database.query(
      'CREATE TRIGGER refuse BEFORE INSERT ON policy_version FOR EACH ROW EXECUTE FUNCTION refuse()',
    );
    await expect(apply(`clients:${chat}${robot}${stricter}`)).rejects.toThrow();
    expect(await everything()).toBe(before);
  });

  it('takes turns when several apply at once', async () => {
    const texts = ['10m', '11m', '12m', '13m'].map(
      (idle) => `clients:${notes}\npolicy: { default: { idle: ${idle} } }`,
    );
    const results = await Promise.all(texts.map((text) => apply(text)));
    expect(results.map(({ policyVersion }) => policyVersion).sort()).toEqual([1, 2, 3, 4]);
    expect(results.filter(({ generatedSecrets }) => generatedSecrets.length === 1)).toHaveLength(1);
  });

  it('leaves an event for each change, and no secret in any', async () => {
    await apply(`clients:${notes}${chat}`);
    const secrets = new Map([['notes', 's3cret-'.repeat(6)]]);
    await apply(`clients:${notes}\n    client_name: Notes${stricter}`, { secrets });
    await apply(`clients:${chat}`);
    const events = await database.query(`SELECT type, client_id, actor FROM audit_event ORDER BY id`);
    expect(events.map(({ type, client_id }) => [type, client_id].filter(Boolean).join(' '))).toEqual([
      'client.registered notes',
      'client.registered chat',
      'policy.changed',
      'client.updated notes',
      'client.disabled chat',
      'client.secret_changed notes',
      'policy.changed',
      'client.enabled chat',
      'client.disabled notes',
      'policy.changed',
    ]);
    expect(await everything()).not.toContain('s3cret-');
  });
});
