import { AppError } from '../errors.ts';
import type { ClientDeclaration } from './client-metadata-schema.ts';

/** As many bytes as a generated secret has: fewer could be guessed from a stolen hash. */
const MIN_SECRET_BYTES = 32;

/**
 * Reads the client secrets that the declarations name, from the environment of whoever applies them.
 *
 * @returns secrets by `client_id`; a client without `client_secret_env` is not in it
 * @throws AppError `invalid_configuration`, whose message tells every variable that is missing or unfit, one per
 *   line, and never a value
 */
export function readClientSecrets(
  declarations: readonly ClientDeclaration[],
  env: Readonly<Record<string, string | undefined>>,
): Map<string, string> {
  const secrets = new Map<string, string>();
  const problems: string[] = [];
  for (const { clientId, clientSecretEnv } of declarations) {
    if (clientSecretEnv === undefined) continue;
    const secret = env[clientSecretEnv] ?? '';
    const problem = problemOf(secret);
    if (problem === undefined) secrets.set(clientId, secret);
    else problems.push(`${clientSecretEnv} (client_secret_env of client "${clientId}"): ${problem}`);
  }
  if (problems.length > 0) throw new AppError('invalid_configuration', problems.join('\n'));
  return secrets;
}

/** @see RFC 6749 appendix A.2 (`client_secret` is printable ASCII) */
function problemOf(secret: string): string | undefined {
  if (secret === '') return 'is not set';
  if (!/^[\x21-\x7E]*$/.test(secret))
    return 'holds a space, a line break or another character that is not printable ASCII';
  const bytes = Buffer.byteLength(secret);
  if (bytes >= MIN_SECRET_BYTES) return undefined;
  return `has ${bytes} bytes, but a client secret needs at least ${MIN_SECRET_BYTES}`;
}
