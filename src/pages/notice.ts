import { createHmac, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { END_REASONS } from '../policy/end-reason.ts';
import type { EndedSession } from './interaction-port.ts';

/** What the ended page tells: an end, and the way back to where one was. */
export interface Notice {
  ended?: EndedSession;
  clientName?: string;
  backUri?: string;
}

const seconds = z.int().positive();
const wireNotice = z.strictObject({
  reason: z.enum(END_REASONS).optional(),
  idle: seconds.optional(),
  absolute: seconds.optional(),
  at: z.int().optional(),
  client: z.string().optional(),
  back: z.string().optional(),
});

/**
 * Writes a notice so that it can travel through the browser and be believed when it comes back.
 *
 * Sealed, because else a link of anybody's making would put words and a way "back" on a page of ours.
 */
export function sealNotice(key: Uint8Array, { ended, clientName, backUri }: Notice): string {
  const wire: z.infer<typeof wireNotice> = {
    reason: ended?.reason,
    idle: ended?.idleSeconds,
    absolute: ended?.absoluteSeconds,
    at: ended?.endedAt.getTime(),
    client: clientName,
    back: backUri,
  };
  const text = Buffer.from(JSON.stringify(wire)).toString('base64url');
  return `${text}.${mac(key, text).toString('base64url')}`;
}

/** Reads a sealed notice. @returns `undefined` for anything that we did not seal */
export function openNotice(key: Uint8Array, sealed: string | undefined): Notice | undefined {
  const [text = '', tag = '', ...rest] = (sealed ?? '').split('.');
  const given = Buffer.from(tag, 'base64url');
  const expected = mac(key, text);
  if (rest.length > 0 || given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const wire = wireNotice.parse(JSON.parse(Buffer.from(text, 'base64url').toString()));
  return {
    ...(wire.reason !== undefined &&
      wire.at !== undefined && {
        ended: {
          reason: wire.reason,
          endedAt: new Date(wire.at),
          ...(wire.idle !== undefined && { idleSeconds: wire.idle }),
          ...(wire.absolute !== undefined && { absoluteSeconds: wire.absolute }),
        },
      }),
    ...(wire.client !== undefined && { clientName: wire.client }),
    ...(wire.back !== undefined && { backUri: wire.back }),
  };
}

function mac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update('ended notice\0').update(text).digest();
}
