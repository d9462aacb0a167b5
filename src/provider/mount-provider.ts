import type { Middleware } from 'koa';
import compose from 'koa-compose';
import type { Provider } from 'oidc-provider';

/**
 * Serves whatever provider is the current one: its keys are fixed when it is made, so new keys come with a new one.
 * It runs in the caller's context, so that what goes round it sees its answer.
 */
export function mountProvider(current: () => Provider): Middleware {
  const composed = new WeakMap<Provider, Middleware>();
  return async (ctx, next) => {
    const provider = current();
    let middleware = composed.get(provider);
    if (middleware === undefined) {
      middleware = compose(provider.middleware as Middleware[]);
      composed.set(provider, middleware);
    }
    await middleware(ctx, next);
  };
}
