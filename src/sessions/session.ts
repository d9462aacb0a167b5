import type { EndReason } from '../policy/end-reason.ts';
import type { ActivityKind, ParticipationLimits, SessionKind, SessionLimits } from '../policy/limits.ts';

/** A session that is live at `readAt`, by the database's clock. */
export interface LiveSession {
  uid: string;
  kind: SessionKind;
  parentUid: string | null;
  accountId: string | null;
  authenticatedAt: Date | null;
  idleDeadline: Date;
  absoluteDeadline: Date;
  limits: SessionLimits;
  activity: ActivityKind[];
  acr: string | null;
  amr: string[];
  payload: Uint8Array | null;
  readAt: Date;
}

/** One client's part in a live session, live itself. */
export interface LiveParticipation {
  sid: string;
  sessionUid: string;
  clientId: string;
  accountId: string | null;
  sessionKind: SessionKind;
  limits: ParticipationLimits;
  activity: ActivityKind[];
  idleDeadline: Date | null;
  absoluteDeadline: Date | null;
  sessionActivity: ActivityKind[];
  sessionIdleDeadline: Date;
  sessionAbsoluteDeadline: Date;
  readAt: Date;
}

/** Every instant at which a participation's tokens have to be dead. */
export interface Deadlines {
  sessionIdle: Date;
  sessionAbsolute: Date;
  participationIdle: Date | null;
  participationAbsolute: Date | null;
}

/** What is left of a session or participation after its end: why and when, and nothing that could grant anything. */
export interface Tombstone {
  sessionUid: string;
  reason: EndReason;
  endedAt: Date;
  idleSeconds: number | null;
  absoluteSeconds: number | null;
}

/** Where something came from: told in the audit log and by a timeout's event. */
export interface Origin {
  endpoint: string;
  clientId?: string | undefined;
  ip?: string | undefined;
  userAgent?: string | undefined;
}

/** Typed and never empty: `person:<account id>`, `administrator:…`, `command_line:<user>`, `client:<client_id>`, `system:<part>`. */
export type Actor = string;
