import { writeSync } from 'node:fs';

/** Ends a run with its count on a line of its own, for whoever reads the log by program. */
export default class CountReporter {
  onRunComplete(_contexts, { numPassedTests, numFailedTests, numFailedTestSuites, numPendingTests }) {
    // A file that could not even be loaded is a failure, and so is a test that was left out.
    const failed = Math.max(numFailedTests, numFailedTestSuites) + numPendingTests;
    // Behind the summary, which another reporter writes; at the exit nothing waits for a pipe to be written to.
    process.once('exit', () => writeSync(1, `\n${numPassedTests} passed, ${failed} failed\n`));
  }

  getLastError() {
    return undefined;
  }
}
