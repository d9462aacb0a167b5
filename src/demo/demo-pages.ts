import type { Answer } from './curfew-client.ts';
import type { DemoPage } from './demo-content.ts';
import type { DemoSession } from './demo-session.ts';
import { type Countdown, type DemoSite, type EventView, renderDemoView, timeLeft, timeOfDay } from './demo-views.ts';

type Live = Extract<Answer, { state: 'live' }>;
type Place = Pick<DemoPage, 'path'>;

/** How often a page without JavaScript asks again, at most. */
const WATCH_SECONDS = 10;

export function welcomePage(site: DemoSite, page: Place, session: DemoSession | undefined): string {
  return renderDemoView(site, 'welcome', { title: site.name, signInUrl: signInUrl(page), events: eventViews(session) });
}

export function endedPage(site: DemoSite, page: Place, session: DemoSession): string {
  const { message, at } = session.ended ?? { message: 'Your session ended.', at: new Date() };
  return renderDemoView(site, 'ended', {
    title: 'Session ended',
    message,
    at: timeOfDay(at),
    signInUrl: signInUrl(page),
    events: eventViews(session),
  });
}

/** Fails closed: what can't be asked for is not shown. */
export function unreachablePage(site: DemoSite, page: Place): string {
  return renderDemoView(site, 'unreachable', { title: 'Curfew can’t be asked', retryUrl: page.path });
}

export function contentPage(site: DemoSite, page: DemoPage, session: DemoSession, { serverTime }: Live): string {
  const now = serverTime ?? new Date();
  const { name = '', tokens, deadlines } = session.signedIn ?? {};
  const countdowns: Countdown[] =
    deadlines === undefined
      ? []
      : [
          countdown('idle', 'Ends without activity in', deadlines.idleExpiresAt, now),
          countdown('absolute', 'Ends at the latest in', deadlines.absoluteExpiresAt, now),
        ];
  const tokenExpiresAt = tokens?.accessTokenExpiresAt ?? now;
  const secondsLeft = countdowns.map(({ iso }) => Math.ceil((Date.parse(iso) - now.getTime()) / 1_000));
  return renderDemoView(site, 'content', {
    title: page.title,
    person: name,
    page: page.path,
    heading: page.title,
    paragraphs: page.paragraphs,
    countdowns,
    serverTime: now.toISOString(),
    watchUrl: `${page.path}?watch=1`,
    watchSeconds: Math.max(1, Math.min(WATCH_SECONDS, ...secondsLeft)),
    tokenExpiresAt: tokenExpiresAt.toISOString(),
    tokenLeft: timeLeft(tokenExpiresAt, now),
    events: eventViews(session),
  });
}

/** What the script of a page gets. */
export function statusAnswer(session: DemoSession, answer: Answer): object {
  if (answer.state !== 'live') return { state: answer.state };
  const { deadlines } = session.signedIn ?? {};
  return {
    state: 'live',
    idle_expires_at: deadlines?.idleExpiresAt.toISOString(),
    absolute_expires_at: deadlines?.absoluteExpiresAt.toISOString(),
    server_time: (answer.serverTime ?? new Date()).toISOString(),
  };
}

function countdown(id: Countdown['id'], label: string, until: Date, now: Date): Countdown {
  return { id, label, iso: until.toISOString(), left: timeLeft(until, now), at: timeOfDay(until) };
}

function signInUrl({ path }: Place): string {
  return `/sign-in?return=${encodeURIComponent(path)}`;
}

function eventViews(session: DemoSession | undefined): EventView[] {
  return (session?.events ?? []).map(({ at, text }) => ({ iso: at.toISOString(), time: timeOfDay(at), text }));
}
