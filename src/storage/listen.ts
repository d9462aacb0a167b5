import pg from 'pg';

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;
/** A connection that died without a word is noticed within this and the answer's time. */
const HEARTBEAT_MS = 10_000;
const ANSWER_MS = 5_000;

export interface ListenOptions {
  url: string;
  channel: string;
  /**
   * Runs after each notification, and after each time the connection is there (again): what was announced in between
   * is lost, so read what it would have said.
   */
  onWake: (payload: string | undefined) => void;
  /** The connection is lost and being made again. */
  onLost?: (cause: unknown) => void;
}

export interface Listener {
  close: () => Promise<void>;
}

/**
 * Listens to a NOTIFY channel on a connection of its own, which it makes again whenever it is lost.
 *
 * @throws what the first connection fails with
 */
export async function listen({ url, channel, onWake, onLost }: ListenOptions): Promise<Listener> {
  let closed = false;
  let retry: NodeJS.Timeout | undefined;
  let current: pg.Client | undefined;

  async function connect(): Promise<void> {
    const client = new pg.Client({
      connectionString: url,
      application_name: `curfew listen ${channel}`,
      connectionTimeoutMillis: ANSWER_MS,
      query_timeout: ANSWER_MS,
      keepAlive: true,
    });
    let lost = false;
    const lose = (cause: unknown): void => {
      if (lost) return;
      lost = true;
      clearInterval(heartbeat);
      // Ending a connection that is broken already may fail, and changes nothing.
      client.end().catch(() => undefined);
      if (closed || current !== client) return;
      current = undefined;
      onLost?.(cause);
      reconnectIn(FIRST_RETRY_MS);
    };
    const heartbeat = setInterval(() => {
      client.query('SELECT 1').catch(lose);
    }, HEARTBEAT_MS);
    heartbeat.unref();
    client.on('error', lose);
    client.on('end', () => lose(new Error('the connection ended')));
    client.on('notification', ({ payload }) => onWake(payload));
    try {
      await client.connect();
      await client.query(`LISTEN ${client.escapeIdentifier(channel)}`);
    } catch (error) {
      lose(error);
      throw error;
    }
    if (closed) {
      lose(undefined);
      return;
    }
    current = client;
    onWake(undefined);
  }

  function reconnectIn(milliseconds: number): void {
    retry = setTimeout(() => {
      connect().catch(() => {
        if (!closed) reconnectIn(Math.min(milliseconds * 2, LAST_RETRY_MS));
      });
    }, milliseconds);
  }

  await connect();
  return {
    close: async () => {
      closed = true;
      clearTimeout(retry);
      await current?.end();
    },
  };
}
