import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Context } from 'koa';
import { AppError } from '../errors.ts';

/** Makes the token that a form about an interaction carries: nobody else can know it, and it fits no other interaction. */
export function csrfToken(key: Uint8Array, interactionUid: string): string {
  return createHmac('sha256', key).update('interaction form\0').update(interactionUid).digest('base64url');
}

/** @throws AppError `access_denied` when the token isn't the one that {@link csrfToken} gave this interaction's page */
export function requireCsrfToken(key: Uint8Array, interactionUid: string, given: string | undefined): void {
  const expected = Buffer.from(csrfToken(key, interactionUid));
  const actual = Buffer.from(given ?? '');
  if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) throw forged();
}

/**
 * Requires that a page of ours sent this request.
 *
 * Browsers say so in `Sec-Fetch-Site` and `Origin`; where both are there both must agree.
 *
 * @param evidence `required` where nothing else proves it; `if_sent` where a token in the form does
 * @throws AppError `access_denied`
 */
export function requireSameOrigin(ctx: Context, ownOrigin: string, evidence: 'required' | 'if_sent'): void {
  const site = ctx.get('sec-fetch-site');
  const origin = ctx.get('origin');
  if (site !== '' && site !== 'same-origin') throw forged();
  if (origin !== '' && origin !== ownOrigin) throw forged();
  if (evidence === 'required' && origin === '') throw forged();
}

function forged(): AppError {
  return new AppError('access_denied', 'This did not come from our own page, so nothing was done.', { status: 403 });
}
