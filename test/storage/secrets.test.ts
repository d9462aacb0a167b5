import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { deriveSecrets, loadMasterKeys } from '../../src/storage/secrets.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'curfew-secrets-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('the generated master key', () => {
  it('is made once, for its owner alone', async () => {
    const keys = await loadMasterKeys(folder);
    expect(keys.map((key) => key.length)).toEqual([32]);
    expect(await loadMasterKeys(folder)).toEqual(keys);
    expect((await stat(join(folder, 'secrets'))).mode & 0o777).toBe(0o600);
  });

  it('is the same for all that start together', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => loadMasterKeys(folder)));
    expect(new Set(all.map(([key]) => Buffer.from(key ?? []).toString('hex'))).size).toBe(1);
    expect(await readdir(folder)).toEqual(['secrets']);
  });

  it('can be rotated by putting another one first', async () => {
    const [old = new Uint8Array()] = await loadMasterKeys(folder);
    const file = join(folder, 'secrets');
    const added = Buffer.alloc(32, 1);
    await writeFile(file, `${added.toString('base64url')},${await readFile(file, 'utf8')}`);
    expect(await loadMasterKeys(folder)).toEqual([new Uint8Array(added), old]);
  });

  it('is not replaced when it was damaged', async () => {
    await writeFile(join(folder, 'secrets'), 'short\n');
    await expect(loadMasterKeys(folder)).rejects.toMatchObject({
      code: 'data_directory',
      message: expect.stringMatching(/holds no key of 32 bytes in base64url: restore it from a backup/),
    });
  });
});

describe('derived keys', () => {
  const masters = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];

  it('follow from the master key, differ by purpose, and come in its order', () => {
    const secrets = deriveSecrets(masters);
    expect(secrets.keys('payload')).toHaveLength(2);
    expect(secrets.keys('payload')).toEqual(deriveSecrets(masters).keys('payload'));
    expect(secrets.keys('payload')[1]).toEqual(deriveSecrets(masters.slice(1)).keys('payload')[0]);
    expect(secrets.keys('payload')[0]).not.toEqual(secrets.keys('cookie')[0]);
  });

  it('are HKDF-SHA-256 of the purpose: changing this would lock out every stored payload', () => {
    expect(Buffer.from(deriveSecrets(masters).keys('payload')[0]).toString('hex')).toBe(
      '34371519a6a076c513c061612f32bd695db7d4adeadb6fed3285c16ac7351349',
    );
  });

  it('need a master key', () => {
    expect(() => deriveSecrets([])).toThrow('set CURFEW_SECRET');
  });
});
