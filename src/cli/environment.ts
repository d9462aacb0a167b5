import dotenv from 'dotenv';

/** What secrets are read from: as for settings, `.env` is read and the environment wins. */
export function readEnvironment(): NodeJS.ProcessEnv {
  const processEnv = { ...process.env } as Record<string, string>;
  dotenv.config({ processEnv, quiet: true });
  return processEnv;
}
