import type { DemoKind } from './demo-declaration.ts';

export interface DemoPage {
  path: string;
  title: string;
  paragraphs: readonly string[];
}

/** What the clients are for. Nothing of it is shown without a live session. */
export const DEMO_PAGES: Record<DemoKind, readonly DemoPage[]> = {
  wiki: [
    {
      path: '/',
      title: 'Welcome',
      paragraphs: [
        'This wiki has nothing to hide, so the limits of your session are all that applies to it.',
        'Watch the two clocks above. Open a page or press “I am still here”, and the first one starts again; the second never does.',
      ],
    },
    {
      path: '/read/on-call',
      title: 'On-call handbook',
      paragraphs: ['Hand over at ten. Write down what surprised you. Nobody fixes production alone after midnight.'],
    },
    {
      path: '/read/coffee',
      title: 'The coffee machine',
      paragraphs: ['Descale it on the first Monday of the month. The tray goes in before the tank, not after.'],
    },
  ],
  payroll: [
    {
      path: '/',
      title: 'This month',
      paragraphs: [
        'This client is classified “restricted”: its part of your session ends sooner than the session itself.',
        'When it has ended you sign in again for this client, while Team Wiki goes on.',
      ],
    },
    {
      path: '/read/salaries',
      title: 'Salaries',
      paragraphs: ['Ada Lovelace 7,200 · Grace Hopper 7,400 · Alan Turing 7,100'],
    },
    {
      path: '/read/bank',
      title: 'Bank file',
      paragraphs: ['Three payments, 21,700 in all, to be approved by two people by the 25th.'],
    },
  ],
};

export function findDemoPage(kind: DemoKind, path: string): DemoPage | undefined {
  return DEMO_PAGES[kind].find((page) => page.path === path);
}
