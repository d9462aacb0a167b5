/**
 * Why something could not be done. OAuth's own words where they exist (RFC 6749 §5.2, RFC 6750 §3.1).
 */
export type ErrorCode =
  | 'invalid_request'
  | 'invalid_token'
  | 'access_denied'
  | 'login_required'
  | 'temporarily_unavailable'
  | 'server_error'
  | 'usage'
  | 'not_found'
  | 'already_exists'
  | 'invalid_configuration'
  | 'unsupported_platform'
  | 'data_directory'
  | 'database_unreachable'
  | 'database_version'
  | 'migration_failed'
  | 'port_in_use'
  | 'lock_timeout'
  | 'clock_offset'
  | 'key_missing'
  | 'queue_full';

export interface AppErrorOptions {
  /** HTTP status of the answer; 500 unless told. */
  status?: number;
  /** What went wrong underneath: for the log, never for the caller. */
  cause?: unknown;
}

/**
 * A request, command or start that can't be served.
 *
 * `message` is a sentence for whoever asked: it says what is wrong and what to do. Never a secret.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly status: number;

  constructor(code: ErrorCode, description: string, { status = 500, cause }: AppErrorOptions = {}) {
    super(description, cause === undefined ? undefined : { cause });
    this.name = 'AppError';
    this.code = code;
    this.status = status;
  }
}
