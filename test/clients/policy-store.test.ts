import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { applyDeclaration } from '../../src/clients/apply.ts';
import { type CurrentPolicy, createPolicyStore, type PolicyStore } from '../../src/clients/policy-store.ts';
import { builtInPolicy } from '../../src/policy/policy.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { declared } from './declarations.ts';

let database: TestDatabase;
let stores: PolicyStore[];

beforeEach(async () => {
  database = await testDatabase();
  stores = [];
});
afterEach(async () => {
  await Promise.all(stores.map((store) => store.close()));
  await database.close();
});

const apply = (idle: string) =>
  applyDeclaration(database.db, declared(`clients: []\npolicy: { default: { idle: ${idle} } }`), {
    actor: 'command_line:test',
    secrets: new Map(),
  });

/** A store, and a function that waits until it has a version. */
async function givenStore(onTrouble?: (cause: unknown) => void) {
  const waiting = new Map<number, (current: CurrentPolicy) => void>();
  const store = await createPolicyStore(database.db, {
    url: database.url,
    onChange: (current) => waiting.get(current.version)?.(current),
    ...(onTrouble && { onTrouble }),
  });
  stores.push(store);
  const reached = (version: number) =>
    new Promise<CurrentPolicy>((resolve) => {
      waiting.set(version, resolve);
      if (store.current().version >= version) resolve(store.current());
    });
  return { store, reached };
}

describe('the policy store', () => {
  it('has the built-in policy as version 0 where none is stored', async () => {
    const { store } = await givenStore();
    expect(store.current()).toEqual({ version: 0, policy: builtInPolicy });
  });

  it('has the newest stored policy at start', async () => {
    await apply('20m');
    await apply('10m');
    const { store } = await givenStore();
    expect(store.current()).toMatchObject({ version: 2, policy: { default: { idleSeconds: 600 } } });
  });

  it('completes a version that was stored before a limit was known', async () => {
    await apply('20m');
    await database.query(`UPDATE policy_version SET policy = policy #- '{default,device}'`);
    const { store } = await givenStore();
    expect(store.current().policy.default).toMatchObject({ idleSeconds: 1_200, device: builtInPolicy.default.device });
  });

  it('learns of a new version on every node, without being asked', async () => {
    const nodes = [await givenStore(), await givenStore()];
    await apply('10m');
    for (const { reached } of nodes) {
      expect(await reached(1)).toMatchObject({ policy: { default: { idleSeconds: 600 } } });
    }
  });

  it('catches up with what was applied while its connection was lost', async () => {
    let noticed = () => {};
    const lost = new Promise<void>((resolve) => {
      noticed = resolve;
    });
    const { reached } = await givenStore(() => noticed());
    await database.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name LIKE 'curfew listen%' AND datname = current_database()`);
    await apply('10m');
    await lost;
    expect(await reached(1)).toMatchObject({ policy: { default: { idleSeconds: 600 } } });
    await apply('5m');
    expect(await reached(2)).toMatchObject({ policy: { default: { idleSeconds: 300 } } });
  });

  it('does not start without a database', async () => {
    const unreachable = 'postgresql://nobody@127.0.0.1:9/none';
    await expect(createPolicyStore(database.db, { url: unreachable })).rejects.toThrow();
  });
});
