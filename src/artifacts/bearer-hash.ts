import { hash } from 'node:crypto';

/**
 * What the database keeps of a bearer value. Those are random and long enough (256 bits) that a plain
 * digest can't be reversed by guessing.
 *
 * @returns the 32 bytes of SHA-256
 */
export function hashBearer(value: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hash('sha256', value, 'buffer'));
}

/**
 * The key of a stored artifact. The model goes into it, so that a value never finds what it is not a bearer of:
 * a Grant, say, is named by a `sid`, which clients know.
 */
export function hashArtifact(family: string, value: string): Uint8Array<ArrayBuffer> {
  return hashBearer(`${family}\0${value}`);
}
