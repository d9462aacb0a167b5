import { createServer, type Server } from 'node:http';
import type { JWK } from 'jose';
import Koa, { type Middleware } from 'koa';
import type { Logger } from 'pino';
import { createGuessThrottle } from './accounts/guess-throttle.ts';
import { createPasswordHasher } from './accounts/password-hasher.ts';
import { createSignIn } from './accounts/sign-in.ts';
import { createSignInThrottle, DEFAULT_THROTTLE_LIMITS } from './accounts/throttle.ts';
import { createPayloadCipher } from './artifacts/payload-cipher.ts';
import { createPolicyStore } from './clients/policy-store.ts';
import type { Config } from './config.ts';
import { AppError } from './errors.ts';
import { healthRoutes } from './observe/health.ts';
import { settleForwarded } from './pages/forwarded.ts';
import { createPageRoutes } from './pages/routes.ts';
import { contentSecurityPolicy, setSecurityHeaders } from './pages/security-headers.ts';
import { createProvider } from './provider/create-provider.ts';
import { createInteractionPort } from './provider/interactions.ts';
import { createKeyStore } from './provider/key-store.ts';
import { mountProvider } from './provider/mount-provider.ts';
import { createSessionPort } from './provider/session-calls.ts';
import { isUnavailable } from './storage/availability.ts';
import { type Clock, startClock } from './storage/clock.ts';
import type { Storage } from './storage/open-storage.ts';

export interface RunningServer {
  server: Server;
  /** How far this host's clock is from the database's. */
  clock: Clock;
  /** Finishes what is in flight, for as long as the configuration allows. */
  close(): Promise<void>;
}

type Closer = () => Promise<void> | void;

/**
 * Puts the parts together and serves them; if one of them can't start, those before it are closed again.
 *
 * @param storage opened, with the schema up to date; stays open when the server closes
 * @throws AppError `port_in_use`, `key_missing`
 */
export async function startServer(config: Config, storage: Storage, log: Logger): Promise<RunningServer> {
  const closers: Closer[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return { ...(await serve(config, storage, log, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function serve(
  config: Config,
  storage: Storage,
  log: Logger,
  closers: Closer[],
): Promise<Omit<RunningServer, 'close'>> {
  const { db, url } = storage;
  const secrets = await storage.secrets();
  const issuer = new URL(config.issuer);
  const clock = await startClock(db.pool);
  closers.push(clock.stop);
  const policyStore = await createPolicyStore(db, {
    url,
    onChange: ({ version }) => log.info({ version }, 'a new policy took effect'),
    onTrouble: (cause) => log.warn({ err: cause }, 'the policy could not be read; trying again'),
  });
  closers.push(policyStore.close);
  const hasher = createPasswordHasher(config.passwords);
  const throttle = createSignInThrottle({
    db,
    key: secrets.keys('throttle')[0],
    limits: { ...DEFAULT_THROTTLE_LIMITS, ...config.signInLimits },
  });
  const guesses = createGuessThrottle({ db, key: secrets.keys('throttle')[0] });
  const cipher = createPayloadCipher(secrets.keys('payload'));
  const cookieKeys = secrets.keys('cookie').map((key) => Buffer.from(key).toString('base64url'));

  const interactions = createInteractionPort({
    db,
    policy: policyStore.current,
    provider: () => provider,
    signIn: createSignIn({ db, hasher, throttle }),
  });
  const pageRoutes = createPageRoutes({
    issuer: config.issuer,
    key: secrets.keys('form')[0],
    interactions,
    sessions: createSessionPort({ db, cipher, provider: () => provider }),
    log,
  });
  const keyStore = await createKeyStore(db, {
    url,
    wrapping: secrets.keys('signing-key'),
    schedule: config.signingKeys,
    onChange: (jwks) => {
      // Keys are fixed when a provider is made: the new ones come with a new one.
      provider = makeProvider(jwks);
      log.info({ kids: jwks.map(({ kid }) => kid) }, 'other signing keys took effect');
    },
    onTrouble: (cause) => log.warn({ err: cause }, 'the signing keys could not be read; trying again'),
  });
  closers.push(keyStore.close);
  const makeProvider = (jwks: JWK[]) =>
    createProvider({
      issuer: config.issuer,
      db,
      cipher,
      policy: policyStore.current,
      toHost: clock.toHost,
      jwks,
      cookieKeys,
      userCodeKeys: secrets.keys('user-code'),
      guesses,
      pages: () => pageRoutes.pages,
      log,
    });
  let provider = makeProvider(keyStore.current());

  const app = new Koa({ proxy: true, keys: cookieKeys });
  app.on('error', (error) => log.debug({ err: error }, 'a connection failed'));
  app.use(healthRoutes({ pool: db.pool, clock, clockOffsetMaxMs: config.clockOffsetMaxMs }));
  app.use(pageRoutes.errors);
  app.use(pageRoutes.assets);
  app.use(refuseWhileUnavailable(() => clock.isTrusted(config.clockOffsetMaxMs)));
  app.use(pageRoutes.formChain);
  app.use(pageRoutes.routes);
  app.use(pageRoutes.allowedMethods);
  app.use(async (ctx, next) => {
    setSecurityHeaders(ctx, contentSecurityPolicy({ forms: true }));
    await next();
  });
  app.use(mountProvider(() => provider));

  const handle = app.callback();
  const server = createServer(
    { requestTimeout: 30_000, headersTimeout: 15_000, keepAliveTimeout: 5_000 },
    (req, res) => {
      settleForwarded(req, config.trustProxy, issuer);
      handle(req, res);
    },
  );
  await listen(server, config);
  closers.push(() => closeServer(server, config.shutdownTimeoutSeconds));
  return { server, clock };
}

/** Nothing is granted without the database, or by a host whose clock is off: 503, and back by itself. */
function refuseWhileUnavailable(clockIsTrusted: () => boolean): Middleware {
  return async (_ctx, next) => {
    if (!clockIsTrusted()) {
      throw new AppError('clock_offset', 'The clocks of server and database can not be reconciled. Try again soon.', {
        status: 503,
      });
    }
    try {
      await next();
    } catch (error) {
      // A caller that hangs up in the middle of a form fails with the codes of a lost connection, but not with ours.
      const isRefusal = error instanceof AppError && error.status < 500;
      if (isRefusal || !isUnavailable(error)) throw error;
      const sentence = 'The database can not be reached. Try again soon.';
      throw new AppError('temporarily_unavailable', sentence, { status: 503, cause: error });
    }
  };
}

async function listen(server: Server, { host, port }: Config): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') {
        reject(
          new AppError('port_in_use', `Port ${port} is in use: stop what listens there, or set PORT to another one.`, {
            cause: error,
          }),
        );
      } else {
        reject(
          new AppError(
            'invalid_configuration',
            `Can't listen on ${host}:${port} (${error.code}): check HOST and PORT.`,
            {
              cause: error,
            },
          ),
        );
      }
    });
    server.listen(port, host, resolve);
  });
}

async function closeServer(server: Server, timeoutSeconds: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const idle = setInterval(() => server.closeIdleConnections(), 100);
  const late = setTimeout(() => server.closeAllConnections(), timeoutSeconds * 1_000);
  await closed;
  clearInterval(idle);
  clearTimeout(late);
}
