import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';

/** A TCP proxy in front of a server, with which a test takes the network away. */
export interface CuttableProxy {
  /** The same connection string, by way of the proxy. */
  url: string;
  /** Resets every connection and refuses new ones, as a server that is down does. */
  cut(): void;
  /** Accepts and then says nothing, as a network that drops packets does. */
  freeze(): void;
  mend(): void;
  close(): Promise<void>;
}

export async function cuttableProxy(url: string): Promise<CuttableProxy> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  let state: 'open' | 'cut' | 'frozen' = 'open';
  const server = createServer({ allowHalfOpen: true }, (near) => {
    if (state === 'cut') {
      near.resetAndDestroy();
      return;
    }
    const far = connect({ port: Number(port), host: hostname, allowHalfOpen: true });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.on('end', () => {
        if (state !== 'frozen') other.end();
      });
      socket.on('data', (bytes) => {
        if (state !== 'frozen') other.write(bytes);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxied = new URL(url);
  proxied.port = String((server.address() as AddressInfo).port);

  function resetAll(): void {
    for (const socket of sockets) socket.resetAndDestroy();
  }

  return {
    url: proxied.href,
    cut() {
      state = 'cut';
      resetAll();
    },
    freeze() {
      state = 'frozen';
    },
    mend() {
      state = 'open';
      // What was swallowed meanwhile is missing in the middle of a stream.
      resetAll();
    },
    async close() {
      state = 'cut';
      resetAll();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
