import type { EndReason } from '../policy/end-reason.ts';
import type { ActivityKind, ParticipationLimits, SessionKind } from '../policy/limits.ts';

/** Something stored under a bearer value, found only while it and all it depends on are live. */
export interface LiveArtifact {
  model: string;
  sessionUid: string | null;
  sid: string | null;
  clientId: string | null;
  accountId: string | null;
  payload: Uint8Array;
  expiresAt: Date;
  consumedAt: Date | null;
  sessionKind: SessionKind | null;
  sessionActivity: ActivityKind[];
  sessionIdleDeadline: Date | null;
  sessionAbsoluteDeadline: Date | null;
  participationLimits: ParticipationLimits | null;
  participationActivity: ActivityKind[];
  participationIdleDeadline: Date | null;
  participationAbsoluteDeadline: Date | null;
  readAt: Date;
}

/** What is known of an artifact that finds nothing any more: for error texts and audit, never to grant anything. */
export interface ArtifactTombstone {
  model: string;
  sessionUid: string | null;
  sid: string | null;
  clientId: string | null;
  accountId: string | null;
  consumedAt: Date | null;
  /** Why and when the session or participation that it belonged to ended; null if it has not. */
  reason: EndReason | null;
  endedAt: Date | null;
  idleSeconds: number | null;
  absoluteSeconds: number | null;
}

export interface ArtifactToStore {
  idHash: Uint8Array<ArrayBuffer>;
  model: string;
  clientId?: string | undefined;
  accountId?: string | undefined;
  payload: Uint8Array<ArrayBuffer>;
  lifetimeSeconds: number;
}

/** The session, and the participation in it, that an artifact lives and dies with. */
export interface Binding {
  sessionUid: string;
  sid: string;
}
