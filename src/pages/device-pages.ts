import { formatDuration } from '../policy/durations.ts';
import type { PageTarget, SendPage } from './page-target.ts';
import { scopeText } from './scope-texts.ts';

/** One text for a code that is wrong, used or over: which of them it is helps only who guesses. */
export type UserCodeProblem = 'wrong' | 'missing' | 'throttled' | 'stale';

export interface UserCodePage {
  action: string;
  xsrf: string;
  userCode?: string;
  problem?: UserCodeProblem;
  retryAfterSeconds?: number;
}

export interface DeviceConfirmationPage {
  action: string;
  xsrf: string;
  userCode: string;
  clientName: string;
  scopes: readonly string[];
  accountLogin?: string;
  /** Where the device asked from, and with what. */
  address?: string;
  userAgent?: string;
}

const PROBLEM_STATUS = { wrong: 400, missing: 400, stale: 400, throttled: 429 } as const;

/** Makes the pages on which a person lets a device in. @see RFC 8628 §3.3 */
export function createDevicePages(send: SendPage) {
  return {
    userCode(target: PageTarget, page: UserCodePage): void {
      const { action, xsrf, userCode = '', problem, retryAfterSeconds } = page;
      if (retryAfterSeconds !== undefined) target.set('Retry-After', String(retryAfterSeconds));
      const text = problem && problemText(problem, retryAfterSeconds);
      const data = { title: 'Connect a device', action, xsrf, userCode, problem: text };
      send(target, problem === undefined ? 200 : PROBLEM_STATUS[problem], 'device-code', data, { forms: true });
    },

    deviceConfirmation(target: PageTarget, page: DeviceConfirmationPage): void {
      const { scopes, accountLogin, address, userAgent, ...rest } = page;
      const asks = [...new Set(scopes.map(scopeText))];
      const data = { title: 'Allow this device?', asks, accountLogin, address, userAgent, ...rest };
      send(target, 200, 'device-confirm', data, { forms: true });
    },

    deviceApproved(target: PageTarget, { clientName }: { clientName: string }): void {
      send(target, 200, 'device-done', {
        title: 'Your device is connected',
        sentence: `${clientName} goes on by itself in a few seconds.`,
        nextStep: 'You can close this window now.',
      });
    },

    deviceRefused(target: PageTarget, { why }: { why?: string } = {}): void {
      send(target, 200, 'device-done', {
        title: 'The device was not connected',
        sentence: why === undefined ? 'It was told that you do not allow it.' : `It was refused: ${why}.`,
        nextStep: 'You can close this window now.',
      });
    },
  };
}

function problemText(problem: UserCodeProblem, retryAfterSeconds: number | undefined): string {
  switch (problem) {
    case 'wrong':
      return 'This code is not right, or can’t be used any more. Compare it with your device, or get a new one there.';
    case 'missing':
      return 'Enter the code.';
    case 'stale':
      return 'This page was open for too long. Enter the code once more.';
    case 'throttled': {
      const when = retryAfterSeconds === undefined ? 'in a few minutes' : `in ${formatDuration(retryAfterSeconds)}`;
      return `There were too many attempts. Try again ${when}.`;
    }
  }
}
