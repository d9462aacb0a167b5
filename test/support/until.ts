/** Waits for a condition, by looking at it again and again. */
export async function until(isMet: () => boolean | Promise<boolean>, what: string, withinMs = 10_000): Promise<void> {
  const giveUpAt = performance.now() + withinMs;
  while (!(await isMet())) {
    if (performance.now() > giveUpAt) throw new Error(`${what} did not come true within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
