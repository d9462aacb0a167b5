import { fileURLToPath } from 'node:url';
import { Eta } from 'eta';
import { type AssetUrls, VIEWS_DIRECTORY } from './assets.ts';

/** What every page shows. */
export interface Site {
  /** Who runs this server, as people know them. */
  operator: string;
  host: string;
  assets: AssetUrls;
}

export interface ClientView {
  name: string;
  host?: string | undefined;
  logo?: string | undefined;
  policy?: string | undefined;
  tos?: string | undefined;
}

interface Views {
  'sign-in': {
    notice: { sentence: string; nextStep: string } | undefined;
    client: ClientView;
    why: string | undefined;
    problem: string | undefined;
    invalid: boolean;
    action: string;
    csrf: string;
    login: string;
    cancel: string;
    limits: string | undefined;
  };
  consent: { client: ClientView; asks: string[]; accountLogin: string | undefined; action: string; csrf: string };
  'sign-out': { clientName: string | undefined; accountLogin: string | undefined; action: string; xsrf: string };
  'signed-out': { clientName: string | undefined; backUri: string | undefined };
  ended: {
    sentence: string;
    nextStep: string;
    endedAt: { iso: string; text: string } | undefined;
    clientName: string | undefined;
    backUri: string | undefined;
  };
  error: { description: string; advice: string; error: string };
  'device-code': { action: string; xsrf: string; userCode: string; problem: string | undefined };
  'device-confirm': {
    clientName: string;
    asks: string[];
    userCode: string;
    accountLogin: string | undefined;
    address: string | undefined;
    userAgent: string | undefined;
    action: string;
    xsrf: string;
  };
  'device-done': { sentence: string; nextStep: string };
  continue: { to: string };
  home: { discovery: string };
}

export type ViewName = keyof Views;
export type ViewData<N extends ViewName> = Views[N] & { title: string };

const eta = new Eta({ views: fileURLToPath(VIEWS_DIRECTORY), cache: true, autoEscape: true });

/** Renders a template of views/; whatever goes into it is escaped there. */
export function renderView<N extends ViewName>(site: Site, name: N, data: ViewData<N>): string {
  return eta.render(name, { ...data, site });
}
