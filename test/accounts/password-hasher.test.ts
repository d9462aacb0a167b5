import { describe, expect, it } from '@jest/globals';
import { createPasswordHasher } from '../../src/accounts/password-hasher.ts';
import { cheap, cheapHasher } from './hashers.ts';

describe('the password hasher', () => {
  it('makes argon2id hashes with the configured parameters', async () => {
    expect(await cheapHasher().hash('correct horse')).toMatch(/^\$argon2id\$v=19\$m=64,t=2,p=1\$/);
  });

  it('recognises the password it hashed and no other', async () => {
    const hasher = cheapHasher();
    const stored = await hasher.hash('correct horse');
    expect(await hasher.verify(stored, 'correct horse')).toBe(true);
    expect(await hasher.verify(stored, 'correct horsf')).toBe(false);
  });

  it('takes one password for the same, whichever code points a keyboard writes', async () => {
    const hasher = cheapHasher();
    expect(await hasher.verify(await hasher.hash('Ångström'), 'A\u030Angstro\u0308m')).toBe(true);
  });

  it('finds no password right where there is no hash', async () => {
    expect(await cheapHasher().verify(undefined, '')).toBe(false);
  });

  it('works as hard where there is no hash', async () => {
    const slow = createPasswordHasher({
      parameters: { memoryKib: 19_456, iterations: 4, parallelism: 1 },
      concurrency: 1,
      maxWaiting: 0,
    });
    const cpuOf = async (work: () => Promise<unknown>) => {
      const before = process.cpuUsage();
      await work();
      const { user, system } = process.cpuUsage(before);
      return user + system;
    };
    const stored = await slow.hash('correct horse');
    const withHash = await cpuOf(() => slow.verify(stored, 'wrong'));
    const without = await cpuOf(() => slow.verify(undefined, 'wrong'));
    expect(without).toBeGreaterThan(withHash / 3);
  });

  it('refuses a password that is too long, even if what would be left of it is right', async () => {
    const hasher = cheapHasher();
    const stored = await hasher.hash('');
    expect(await hasher.verify(stored, 'x'.repeat(1025))).toBe(false);
  });

  it.each([
    ['memory', { ...cheap, memoryKib: 128 }],
    ['iterations', { ...cheap, iterations: 3 }],
    ['parallelism', { ...cheap, memoryKib: 64, parallelism: 2 }],
  ])('calls a hash outdated when %s was raised', async (_parameter, raised) => {
    const stored = await cheapHasher().hash('correct horse');
    expect(cheapHasher().isOutdated(stored)).toBe(false);
    expect(cheapHasher(raised).isOutdated(stored)).toBe(true);
  });

  it('refuses what exceeds its queue and goes on afterwards', async () => {
    const hasher = createPasswordHasher({ parameters: cheap, concurrency: 1, maxWaiting: 2 });
    const results = await Promise.allSettled(Array.from({ length: 5 }, () => hasher.hash('correct horse')));
    expect(results.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
    ]);
    expect(results[4]).toMatchObject({ reason: { code: 'queue_full', status: 503 } });
    await expect(hasher.hash('correct horse')).resolves.toBeDefined();
  });
});
