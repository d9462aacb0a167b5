/**
 * Why a session or a participation ended: a closed list, so that every place that tells people or machines can be exhaustive.
 *
 * `superseded` is another account signing in in the same browser; `user_ended` comes from a page of ours, `rp_logout` from a client.
 */
export const END_REASONS = [
  'idle_timeout',
  'absolute_timeout',
  'rp_logout',
  'user_ended',
  'admin_forced',
  'account_disabled',
  'account_deleted',
  'credential_changed',
  'client_removed',
  'concurrency_limit',
  'policy_tightened',
  'context_changed',
  'token_reuse',
  'superseded',
] as const;

export type EndReason = (typeof END_REASONS)[number];
