export type AuditOutcome = 'success' | 'failure' | 'denied';

/**
 * Something that happened, as a fact in the past tense (`session.ended`). Never holds a bearer value, `sid` or cookie.
 *
 * @see NIST SP 800-53 AU-3 (content of audit records), OWASP ASVS 5.0 §16.2
 */
export interface AuditEvent {
  type: string;
  outcome: AuditOutcome;
  /** Who acted, typed and never empty: `person:<account id>`, `command_line:<user>`, `system:<part>`. */
  actor: string;
  accountId?: string | undefined;
  sessionUid?: string | undefined;
  clientId?: string | undefined;
  /** Where; for a timeout, that of the last activity. */
  endpoint?: string | undefined;
  reason?: string | undefined;
  address?: string | undefined;
  userAgent?: string | undefined;
  details?: Record<string, unknown> | undefined;
}
