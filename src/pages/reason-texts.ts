import { formatDuration } from '../policy/durations.ts';
import type { EndReason } from '../policy/end-reason.ts';
import type { EndedSession } from './interaction-port.ts';

interface ReasonText {
  sentence: (ended: Omit<EndedSession, 'endedAt'>) => string;
  nextStep: string;
}

const SIGN_IN_AGAIN = 'Sign in again to continue.';
const ASK_ADMINISTRATOR = 'If you think this is a mistake, ask an administrator.';

/** Exhaustive by type: a reason without words doesn't compile. */
const TEXTS: Record<EndReason, ReasonText> = {
  idle_timeout: {
    sentence: ({ idleSeconds }) =>
      idleSeconds === undefined
        ? 'Your session ended after a time without activity.'
        : `Your session ended after ${formatDuration(idleSeconds)} without activity.`,
    nextStep: SIGN_IN_AGAIN,
  },
  absolute_timeout: {
    sentence: ({ absoluteSeconds }) =>
      absoluteSeconds === undefined
        ? 'Your session reached the longest time that a session may last.'
        : `Your session ended after ${formatDuration(absoluteSeconds)}, the longest a session may last.`,
    nextStep: SIGN_IN_AGAIN,
  },
  rp_logout: { sentence: () => 'You signed out from an application.', nextStep: SIGN_IN_AGAIN },
  user_ended: { sentence: () => 'You ended this session, here or on another device.', nextStep: SIGN_IN_AGAIN },
  admin_forced: {
    sentence: () => 'You were signed out by an administrator.',
    nextStep: `${SIGN_IN_AGAIN} ${ASK_ADMINISTRATOR}`,
  },
  account_disabled: { sentence: () => 'Your account was disabled.', nextStep: ASK_ADMINISTRATOR },
  account_deleted: { sentence: () => 'Your account was deleted.', nextStep: ASK_ADMINISTRATOR },
  credential_changed: {
    sentence: () => 'Your password was changed, and this ended your sessions.',
    nextStep: 'Sign in with the new password. If it was not you who changed it, tell an administrator at once.',
  },
  client_removed: {
    sentence: () => 'The application you used was taken out of service.',
    nextStep: ASK_ADMINISTRATOR,
  },
  concurrency_limit: {
    sentence: () => 'You signed in somewhere else, and your account may have only so many sessions at a time.',
    nextStep: 'Sign in again to continue here instead. If it was not you, change your password.',
  },
  policy_tightened: {
    sentence: () => 'The rules for how long a session may last became stricter, and your session was past them.',
    nextStep: SIGN_IN_AGAIN,
  },
  context_changed: {
    sentence: () => 'Your browser or network changed, and your session was ended to protect your account.',
    nextStep: SIGN_IN_AGAIN,
  },
  token_reuse: {
    sentence: () => 'Something used your session twice, and it was ended to protect your account.',
    nextStep: `${SIGN_IN_AGAIN} If this happens again, tell an administrator.`,
  },
  superseded: { sentence: () => 'Another account signed in in this browser.', nextStep: SIGN_IN_AGAIN },
};

/** Says in plain words why a session ended. */
export function endSentence(ended: Omit<EndedSession, 'endedAt'>): string {
  return TEXTS[ended.reason].sentence(ended);
}

/** Says what a person can do after an end for this reason. */
export function nextStep(reason: EndReason): string {
  return TEXTS[reason].nextStep;
}
