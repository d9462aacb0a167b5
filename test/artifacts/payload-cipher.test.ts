import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { hashArtifact, hashBearer } from '../../src/artifacts/bearer-hash.ts';
import { createPayloadCipher } from '../../src/artifacts/payload-cipher.ts';

const key = new Uint8Array(32).fill(1);
const otherKey = new Uint8Array(32).fill(2);
const row = hashArtifact('token', 'a token');
const payload = { jti: 'the bearer value itself', exp: 1, nested: { text: 'ümläut \u{1f511}' } };

describe('a sealed payload', () => {
  it('opens for the row it belongs to', () => {
    const cipher = createPayloadCipher([key]);
    expect(cipher.open(cipher.seal(payload, row), row)).toEqual(payload);
  });

  it('is any JSON', () => {
    const cipher = createPayloadCipher([key]);
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.uint8Array({ minLength: 1 }), (value, boundTo) => {
        const expected = JSON.parse(JSON.stringify(value));
        expect(cipher.open(cipher.seal(value, boundTo), boundTo)).toEqual(expected);
      }),
    );
  });

  it('is another one each time, and shows nothing of what is in it', () => {
    const cipher = createPayloadCipher([key]);
    const [one, two] = [cipher.seal(payload, row), cipher.seal(payload, row)];
    expect(Buffer.from(one).equals(Buffer.from(two))).toBe(false);
    expect(Buffer.from(one).toString('latin1')).not.toContain('bearer');
  });

  it('opens for no other row', () => {
    const cipher = createPayloadCipher([key]);
    expect(() => cipher.open(cipher.seal(payload, row), hashArtifact('token', 'another'))).toThrow();
    expect(() => cipher.open(cipher.seal(payload, row), new Uint8Array())).toThrow();
  });

  it('opens no more when any one of its bits was changed', () => {
    const cipher = createPayloadCipher([key]);
    const sealed = cipher.seal(payload, row);
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = Uint8Array.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
      expect(() => cipher.open(changed, row)).toThrow();
    }
  });

  it('opens no more when it was cut or lengthened', () => {
    const cipher = createPayloadCipher([key]);
    const sealed = cipher.seal(payload, row);
    for (let length = 0; length < sealed.length; length += 1) {
      expect(() => cipher.open(sealed.subarray(0, length), row)).toThrow();
    }
    expect(() => cipher.open(Uint8Array.from([...sealed, 0]), row)).toThrow();
  });

  it('opens while its key is known, whichever seals by now', () => {
    const before = createPayloadCipher([key]);
    const rotated = createPayloadCipher([otherKey, key]);
    const sealed = before.seal(payload, row);
    expect(rotated.open(sealed, row)).toEqual(payload);
    expect(createPayloadCipher([otherKey]).open(rotated.seal(payload, row), row)).toEqual(payload);
  });

  it('says that its key is missing, and not what is in it', () => {
    const sealed = createPayloadCipher([key]).seal(payload, row);
    expect(() => createPayloadCipher([otherKey]).open(sealed, row)).toThrow(
      'the payload was sealed under a key that is not configured',
    );
  });

  it('can be told by no key at all', () => {
    expect(() => createPayloadCipher([])).toThrow(TypeError);
  });
});

describe('the hash of a bearer value', () => {
  it('is SHA-256', () => {
    expect(Buffer.from(hashBearer('abc')).toString('hex')).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  });

  it('is another one for each family, wherever the border between family and value is', () => {
    const value = randomBytes(32).toString('base64url');
    const hashes = [hashArtifact('token', value), hashArtifact('Grant', value), hashBearer(value)].map((bytes) =>
      Buffer.from(bytes).toString('hex'),
    );
    expect(new Set(hashes).size).toBe(3);
    expect(hashArtifact('a', 'bc')).not.toEqual(hashArtifact('ab', 'c'));
  });
});
