import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Eta } from 'eta';
import { DEMO_PAGES } from './demo-content.ts';
import type { DemoKind } from './demo-declaration.ts';

const DIRECTORY = new URL('../../views/demo/', import.meta.url);
const eta = new Eta({ views: fileURLToPath(DIRECTORY), cache: true, autoEscape: true });

export interface DemoSite {
  name: string;
  kind: DemoKind;
  issuer: string;
  /** What applies here, stated before anybody signs in (WCAG 2.2 §2.2.6). */
  limits: string;
  other: { name: string; address: string };
}

export interface Countdown {
  id: 'idle' | 'absolute';
  label: string;
  iso: string;
  left: string;
  at: string;
}

interface Views {
  welcome: { signInUrl: string; events: EventView[] };
  ended: { message: string; at: string; signInUrl: string; events: EventView[] };
  unreachable: { retryUrl: string };
  content: {
    person: string;
    page: string;
    heading: string;
    paragraphs: readonly string[];
    countdowns: Countdown[];
    serverTime: string;
    watchUrl: string;
    watchSeconds: number;
    tokenExpiresAt: string;
    tokenLeft: string;
    events: EventView[];
  };
}

export interface EventView {
  iso: string;
  time: string;
  text: string;
}

/** Renders a page of a demo client. */
export function renderDemoView<N extends keyof Views>(
  site: DemoSite,
  name: N,
  data: Views[N] & { title: string },
): string {
  return eta.render(name, { ...data, site, pages: DEMO_PAGES[site.kind] });
}

const ASSETS = {
  '/assets/demo.css': 'text/css; charset=utf-8',
  '/assets/demo.js': 'text/javascript; charset=utf-8',
} as const;

/** The style and the script of the demo, by path. */
export function loadDemoAssets(): ReadonlyMap<string, { type: string; content: Buffer }> {
  return new Map(
    Object.entries(ASSETS).map(([path, type]) => [
      path,
      { type, content: readFileSync(new URL(path.slice(8), DIRECTORY)) },
    ]),
  );
}

/** Time of day, in UTC as on the server. */
export function timeOfDay(instant: Date): string {
  return `${instant.toISOString().slice(11, 19)} UTC`;
}

/** `1:05` until an instant, and `0:00` from it on. */
export function timeLeft(until: Date, now: Date): string {
  const seconds = Math.max(0, Math.ceil((until.getTime() - now.getTime()) / 1_000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}
