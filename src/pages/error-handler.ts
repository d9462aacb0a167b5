import type { Context, Middleware } from 'koa';
import { AppError } from '../errors.ts';
import type { ErrorPage, Pages } from './pages.ts';
import { setSecurityHeaders } from './security-headers.ts';

/** The part of a pino logger that is used here. */
export interface ErrorLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

type Refusal = Required<Omit<ErrorPage, 'advice'>>;

/**
 * Answers what went wrong: a page for people, `application/problem+json` for everyone else (RFC 9457).
 *
 * Only what an AppError says goes to the caller. Everything else is 500, logged, and says nothing.
 */
export function handleErrors(pages: Pages, issuer: string, log: ErrorLog): Middleware {
  return async (ctx, next) => {
    try {
      await next();
      if (ctx.body == null && ctx.respond !== false) refuseUnserved(ctx.status);
    } catch (error) {
      const refusal = readError(error);
      logFailure(log, ctx, refusal.status, error);
      answer(ctx, pages, issuer, refusal);
    }
  };
}

/** What passes by itself, an outage, gets a line without a stack: there is one for each request meanwhile. */
export function logFailure(
  log: ErrorLog,
  { method, path }: { method: string; path: string },
  status: number,
  error: unknown,
): void {
  if (status === 503) {
    log.warn({ method, path, reason: (error as Error).message }, 'a request was refused: the caller may try again');
  } else if (status >= 500 && status !== 501) {
    log.error({ err: error, method, path }, 'a request failed');
  }
}

function answer(ctx: Context, pages: Pages, issuer: string, refusal: Refusal): void {
  // What was not read of a refused body must not be taken for the next request.
  if (refusal.status === 413) ctx.set('Connection', 'close');
  if (refusal.status === 401) ctx.set('WWW-Authenticate', bearerChallenge(refusal.error, refusal.description));
  if (ctx.accepts('json', 'html') === 'html') pages.error(ctx, refusal);
  else sendProblem(ctx, issuer, refusal);
}

/** Answers with a problem document. @see RFC 9457 §3 */
export function sendProblem(
  ctx: Context,
  issuer: string,
  { status, error, description }: Refusal,
  members: Record<string, unknown> = {},
): void {
  setSecurityHeaders(ctx);
  if (status === 503) ctx.set('Retry-After', '5');
  ctx.status = status;
  ctx.body = { type: `${issuer}/problems/${error}`, title: error, status, detail: description, ...members };
  ctx.type = 'application/problem+json';
}

/**
 * Says in a header why a token is refused.
 *
 * @see RFC 6750 §3, whose characters for a description are fewer than those of our sentences
 */
export function bearerChallenge(error: string, description: string): string {
  const plain = description.replaceAll('’', "'").replaceAll(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, ' ');
  return `Bearer error="${error}", error_description="${plain}"`;
}

function readError(error: unknown): Refusal {
  if (error instanceof AppError) return { status: error.status, error: error.code, description: error.message };
  const status = httpStatus(error);
  if (status === 404) return readError(notFound());
  if (status !== undefined) {
    return { status, error: 'invalid_request', description: 'This request is not one that is served here.' };
  }
  return { status: 500, error: 'server_error', description: 'The request could not be served.' };
}

/** koa and its router refuse with errors that carry a status (http-errors); only a 4xx of theirs is believed. */
function httpStatus(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('status' in error) || !('expose' in error)) return undefined;
  const { status } = error;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : undefined;
}

/** Nobody answered: koa and its router leave the status to say so. */
function refuseUnserved(status: number): void {
  if (status === 404) throw notFound();
  if (status === 405 || status === 501) {
    throw new AppError('invalid_request', 'This address can’t be used in that way.', { status });
  }
}

function notFound(): AppError {
  return new AppError('not_found', 'There is nothing at this address.', { status: 404 });
}
