import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from '@jest/globals';
import { launchChromium } from './chromium.ts';

it('shows a page of a local server, runs its script, and takes a picture', async () => {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<title>before</title><h1>Hello</h1><script>document.title = "after"</script>');
  }).listen(0, '127.0.0.1');
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.goto(`http://localhost:${(server.address() as AddressInfo).port}/`);
    expect(await page.title()).toBe('after');
    expect(await page.getByRole('heading').textContent()).toBe('Hello');
    const picture = await page.screenshot();
    expect(picture.subarray(1, 4).toString()).toBe('PNG');
  } finally {
    await browser.close();
    server.close();
  }
});
