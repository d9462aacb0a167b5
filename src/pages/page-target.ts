import type { HeaderTarget, PolicyOptions } from './security-headers.ts';
import type { ViewData, ViewName } from './views.ts';

/** What a page is written to: koa's context, or the one that oidc-provider hands to its hooks. */
export interface PageTarget extends HeaderTarget {
  status: number;
  type: string;
  body: unknown;
}

/** Writes a page, with its status and its headers. */
export type SendPage = <N extends ViewName>(
  target: PageTarget,
  status: number,
  name: N,
  data: ViewData<N>,
  policy?: PolicyOptions,
) => void;
