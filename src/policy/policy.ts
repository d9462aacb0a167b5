import type { ChildKind, ChildLimits, Limits, SessionKind } from './limits.ts';

/** When a rule applies: every key that is present must match, and any entry of its list is enough. */
export type When = {
  roles?: string[];
  groups?: string[];
  clients?: string[];
  data?: string[];
  labels?: string[];
  acr?: string[];
  amr?: string[];
  /** CIDR blocks, IPv4 or IPv6. */
  network?: string[];
  kind?: SessionKind[];
};

export type RuleLimits = Partial<Omit<Limits, ChildKind>> & { [K in ChildKind]?: 'forbid' | Partial<ChildLimits> };

export type Rule = { name: string; when: When; limits: RuleLimits };

export type PolicyDefault = Omit<Limits, 'concurrent'> & Partial<Pick<Limits, 'concurrent'>>;

export type Policy = { default: PolicyDefault; rules: Rule[] };

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * What holds where curfew.yaml says nothing.
 *
 * The refresh token's limit is as long as an offline session may be: the absolute deadline of the session cuts it
 * (12 hours for a browser's), and a shorter one would end offline access before its own idle limit does.
 */
export const builtInPolicy: Policy = {
  default: {
    idleSeconds: 30 * MINUTE,
    absoluteSeconds: 12 * HOUR,
    accessTokenSeconds: 5 * MINUTE,
    idTokenSeconds: 5 * MINUTE,
    refreshTokenSeconds: 30 * DAY,
    warnBeforeSeconds: 2 * MINUTE,
    activity: ['interactive', 'refresh'],
    offline: { idleSeconds: 14 * DAY, absoluteSeconds: 30 * DAY, endWith: 'none' },
    device: { idleSeconds: 14 * DAY, absoluteSeconds: 30 * DAY, endWith: 'none' },
  },
  rules: [
    {
      name: 'privileged people',
      when: { roles: ['admin'] },
      limits: {
        idleSeconds: 10 * MINUTE,
        absoluteSeconds: 4 * HOUR,
        concurrent: { max: 1, onLimit: 'end-oldest' },
        activity: ['interactive'],
      },
    },
  ],
};
