import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Middleware } from 'koa';

/** Beside src/ and dist/ alike. */
export const VIEWS_DIRECTORY = new URL('../../views/', import.meta.url);

const ONE_YEAR_SECONDS = 31_536_000;

const FILES = {
  stylesheet: { file: 'pages.css', type: 'text/css; charset=utf-8' },
  script: { file: 'pages.js', type: 'text/javascript; charset=utf-8' },
  icon: { file: 'icon.svg', type: 'image/svg+xml' },
} as const;

export type AssetUrls = Record<keyof typeof FILES, string>;

export interface Assets {
  /** Addresses with a hash of the content in them: a new version has a new address. */
  urls: AssetUrls;
  serve: Middleware;
}

/**
 * Reads the few files that pages need, once.
 *
 * @param basePath path of the issuer, without a slash at its end
 */
export function loadAssets(basePath: string): Assets {
  const served = new Map<string, { type: string; content: Buffer }>();
  const load = ({ file, type }: { file: string; type: string }): string => {
    const content = readFileSync(new URL(`assets/${file}`, VIEWS_DIRECTORY));
    const hash = createHash('sha256').update(content).digest('hex').slice(0, 12);
    const url = `${basePath}/assets/${file.replace('.', `.${hash}.`)}`;
    served.set(url, { type, content });
    return url;
  };
  const urls = { stylesheet: load(FILES.stylesheet), script: load(FILES.script), icon: load(FILES.icon) };

  const serve: Middleware = async (ctx, next) => {
    const asset = ctx.method === 'GET' || ctx.method === 'HEAD' ? served.get(ctx.path) : undefined;
    if (asset === undefined) return next();
    ctx.set('Cache-Control', `public, max-age=${ONE_YEAR_SECONDS}, immutable`);
    ctx.set('X-Content-Type-Options', 'nosniff');
    ctx.set('Cross-Origin-Resource-Policy', 'same-origin');
    ctx.set('Content-Type', asset.type);
    ctx.body = asset.content;
  };
  return { urls, serve };
}
