import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { createKeyStore, type KeyStore } from '../../src/provider/key-store.ts';
import {
  listSigningKeys,
  loadSigningKeys,
  retireSigningKey,
  rotateSigningKeys,
} from '../../src/provider/signing-keys.ts';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { newBrowser, relyingParty } from '../support/relying-party.ts';
import { until } from '../support/until.ts';

const OLD = new Uint8Array(32).fill(1);
const NEW = new Uint8Array(32).fill(2);
const ACTOR = 'system:test';
const HOUR = 3_600;

describe('the stored signing keys', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await testDatabase();
  });
  afterAll(() => database.close());
  afterEach(() => database.query('TRUNCATE signing_key'));

  const states = async () =>
    (await listSigningKeys(database.db)).filter(({ alg }) => alg === 'ES256').map(({ state }) => state);

  it('are made once by processes that start together, one of each algorithm, RS256 first', async () => {
    const loaded = await Promise.all([1, 2, 3].map(() => loadSigningKeys(database.db, [OLD])));

    expect(new Set(loaded.map((jwks) => jwks.map(({ kid }) => kid).join())).size).toBe(1);
    expect(loaded[0]?.map(({ alg }) => alg)).toEqual(['RS256', 'ES256', 'EdDSA']);
  });

  it('hold no private part in the clear', async () => {
    const [jwk] = await loadSigningKeys(database.db, [OLD]);
    const rows = await database.query<{ text: string }>('SELECT signing_key::text AS text FROM signing_key');

    expect(rows.map(({ text }) => text).join('\n')).not.toContain(String(jwk?.d));
  });

  it('are encrypted anew under a new secret, and open without the old one from then on', async () => {
    const before = await loadSigningKeys(database.db, [OLD]);
    await expect(loadSigningKeys(database.db, [NEW])).rejects.toMatchObject({ code: 'key_missing' });

    expect(await loadSigningKeys(database.db, [NEW, OLD])).toEqual(before);
    expect(await loadSigningKeys(database.db, [NEW])).toEqual(before);
  });

  it('wait in the published set until their overlap is over, then sign, and the former ones stay published', async () => {
    await loadSigningKeys(database.db, [OLD]);
    const [made] = await rotateSigningKeys(database.db, [OLD], {
      algorithms: ['ES256'],
      overlapSeconds: HOUR,
      actor: ACTOR,
    });
    const signing = async () => (await loadSigningKeys(database.db, [OLD])).find(({ alg }) => alg === 'ES256')?.kid;

    expect(await states()).toEqual(['next', 'active']);
    expect(await signing()).not.toBe(made);
    expect((await loadSigningKeys(database.db, [OLD])).map(({ kid }) => kid)).toContain(made);

    await database.travel(HOUR * 1_000);
    expect(await states()).toEqual(['active', 'retiring']);
    expect(await signing()).toBe(made);
    expect(await loadSigningKeys(database.db, [OLD])).toHaveLength(4);
    await database.travel(-HOUR * 1_000);
  });

  it('get one successor however often they are rotated while it waits', async () => {
    await loadSigningKeys(database.db, [OLD]);
    const rotate = () => rotateSigningKeys(database.db, [OLD], { overlapSeconds: HOUR, actor: ACTOR });
    const made = (await Promise.all([rotate(), rotate()])).flat();

    expect(made).toHaveLength(3);
    expect(await states()).toEqual(['next', 'active']);
  });

  it('are replaced at once where the one that signs is retired: by the one that waits, else by a new one', async () => {
    const [, first] = await loadSigningKeys(database.db, [OLD]);
    const [waiting] = await rotateSigningKeys(database.db, [OLD], {
      algorithms: ['ES256'],
      overlapSeconds: HOUR,
      actor: ACTOR,
    });
    await retireSigningKey(database.db, [OLD], String(first?.kid), { actor: ACTOR });
    const second = (await loadSigningKeys(database.db, [OLD])).filter(({ alg }) => alg === 'ES256');
    expect(second.map(({ kid }) => kid)).toEqual([waiting]);

    await retireSigningKey(database.db, [OLD], String(waiting), { actor: ACTOR });
    const third = (await loadSigningKeys(database.db, [OLD])).filter(({ alg }) => alg === 'ES256');
    expect(third).toHaveLength(1);
    expect(third[0]?.kid).not.toBe(waiting);
  });

  it('are not found by a kid that nobody has', async () => {
    await expect(retireSigningKey(database.db, [OLD], 'nobody', { actor: ACTOR })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('are rotated and retired by the schedule, once for any number of nodes', async () => {
    await loadSigningKeys(database.db, [OLD]);
    await database.travel(90 * 24 * HOUR * 1_000);
    const open = () =>
      createKeyStore(database.db, {
        url: database.url,
        wrapping: [OLD],
        schedule: { rotateAfterSeconds: 30 * 24 * HOUR, overlapSeconds: 0, retireAfterSeconds: 7 * 24 * HOUR },
        onChange: () => undefined,
        onTrouble: () => undefined,
      });
    let nodes: KeyStore[] = await Promise.all([open(), open()]);
    try {
      await until(async () => (await states()).join() === 'active,retiring', 'the rotation');
      await Promise.all(nodes.map((node) => node.close()));
      await database.travel(8 * 24 * HOUR * 1_000);
      nodes = await Promise.all([open(), open()]);
      console.log(await listSigningKeys(database.db), await database.query('select curfew_now()'));
      await until(async () => (await states()).join() === 'active,retired', 'the retirement');
    } finally {
      await Promise.all(nodes.map((node) => node.close()));
      await database.travel(-98 * 24 * HOUR * 1_000);
    }
  });
});

describe('a rotation', () => {
  let curfew: Curfew;
  beforeAll(async () => {
    curfew = await startCurfew();
    await curfew.addAccount('alice');
  });
  afterAll(() => curfew.close());

  it('reaches every node without a restart: new ID tokens have the new key, old ones still verify and still are a hint', async () => {
    const app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
    const other = await curfew.startNode();
    const browser = newBrowser(curfew.issuer);
    const before = String((await (await app.signIn(browser, 'alice')).redeem()).id_token);
    const wrapping = await curfew.wrappingKeys();

    const made = await rotateSigningKeys(curfew.db, wrapping, {
      algorithms: ['RS256'],
      overlapSeconds: 0,
      actor: ACTOR,
    });

    const published = async (issuer: string): Promise<string[]> => {
      const { keys } = (await (await fetch(`${issuer}/jwks`)).json()) as { keys: { kid: string }[] };
      return keys.map(({ kid }) => kid);
    };
    await until(
      async () => (await published(curfew.issuer)).includes(String(made[0])),
      'the new key at the first node',
    );
    await until(
      async () => (await published(other.issuer)).includes(String(made[0])),
      'the new key at the second node',
    );
    const after = String((await (await app.authorize(browser, { id_token_hint: before })).redeem()).id_token);
    expect(decodeProtectedHeader(after).kid).toBe(made[0]);
    expect(decodeProtectedHeader(before).kid).not.toBe(made[0]);
    const keySet = createRemoteJWKSet(new URL(`${curfew.issuer}/jwks`));
    for (const token of [before, after]) {
      await expect(jwtVerify(token, keySet, { issuer: curfew.issuer, audience: 'app' })).resolves.toBeDefined();
    }
  });
});
