import { describe, expect, it } from '@jest/globals';
import { openNotice, sealNotice } from '../../src/pages/notice.ts';
import { key } from './page-server.ts';

const notice = {
  ended: { reason: 'idle_timeout', idleSeconds: 900, endedAt: new Date('2026-01-01T08:15:00.000Z') },
  clientName: 'Team Wiki',
  backUri: 'https://wiki.example/pages/7',
} as const;

describe('a sealed notice', () => {
  it('comes back as it went', () => {
    expect(openNotice(key, sealNotice(key, notice))).toEqual(notice);
    expect(openNotice(key, sealNotice(key, {}))).toEqual({});
  });

  it('is nothing to a reader with another key', () => {
    expect(openNotice(Buffer.alloc(32, 8), sealNotice(key, notice))).toBeUndefined();
  });

  it.each([
    ['absent', undefined],
    ['empty', ''],
    ['unsealed', Buffer.from('{"back":"https://evil.example"}').toString('base64url')],
    ['of three parts', `${sealNotice(key, notice)}.x`],
    ['changed in one place', `A${sealNotice(key, notice).slice(1)}`],
  ])('is nothing when %s', (_what, sealed) => {
    expect(openNotice(key, sealed)).toBeUndefined();
  });
});
