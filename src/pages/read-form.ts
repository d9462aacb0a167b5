import type { IncomingMessage } from 'node:http';
import { AppError } from '../errors.ts';

/** Far more than a form of ours sends, far less than what would hurt. */
export const FORM_LIMIT_BYTES = 16 * 1024;

const FORM_TYPE = 'application/x-www-form-urlencoded';

/**
 * Reads a form.
 *
 * Stricter than a browser's parser on purpose: broken encodings and fields that come twice are refused, because
 * two readers would disagree about them.
 *
 * @throws AppError `invalid_request` with 413 (too large), 415 (no such form) or 400 (malformed)
 */
export async function readForm(request: IncomingMessage): Promise<Map<string, string>> {
  const type = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (type !== FORM_TYPE || encoding !== 'identity') {
    throw new AppError('invalid_request', `Send this as ${FORM_TYPE}.`, { status: 415 });
  }
  return parseForm(await readBounded(request));
}

async function readBounded(request: IncomingMessage): Promise<string> {
  if (Number(request.headers['content-length'] ?? 0) > FORM_LIMIT_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    // Destroying the request on the way out would take the connection, and the answer, with it.
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      if (!Buffer.isBuffer(chunk)) throw new TypeError('a request body arrives as bytes');
      size += chunk.length;
      if (size > FORM_LIMIT_BYTES) throw tooLarge();
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError('invalid_request', 'The form did not arrive completely.', { status: 400, cause });
  }
  return Buffer.concat(chunks).toString('latin1');
}

function parseForm(body: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const pair of body.split('&')) {
    if (pair === '') continue;
    const at = pair.indexOf('=');
    const name = decode(at === -1 ? pair : pair.slice(0, at));
    if (fields.has(name)) throw malformed();
    fields.set(name, at === -1 ? '' : decode(pair.slice(at + 1)));
  }
  return fields;
}

function decode(text: string): string {
  if (/[^\x20-\x7e]/.test(text)) throw malformed();
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch (cause) {
    throw malformed(cause);
  }
}

function tooLarge(): AppError {
  return new AppError('invalid_request', 'This form is too large.', { status: 413 });
}

function malformed(cause?: unknown): AppError {
  return new AppError('invalid_request', 'This form is malformed.', { status: 400, cause });
}
