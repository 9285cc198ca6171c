/** Prints the ten slowest tests and one plain closing line. */
import type { Reporter, TestCase, TestModule } from 'vitest/node';

const SLOWEST = 10;

export default class SummaryReporter implements Reporter {
  readonly #times: { readonly name: string; readonly ms: number }[] = [];
  readonly #counts = { passed: 0, failed: 0, skipped: 0, pending: 0 };

  onTestCaseResult(test: TestCase): void {
    this.#counts[test.result().state] += 1;
    this.#times.push({ name: `${test.module.relativeModuleId} > ${test.fullName}`, ms: test.diagnostic()?.duration ?? 0 });
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    const broken = modules.filter((module) => module.errors().length > 0).length;
    const slowest = this.#times.sort((a, b) => b.ms - a.ms).slice(0, SLOWEST);
    process.stdout.write('\nSlowest tests\n');
    for (const { name, ms } of slowest) process.stdout.write(`  ${(ms / 1000).toFixed(1).padStart(6)} s  ${name}\n`);
    const skipped = this.#counts.skipped === 0 ? '' : `, ${this.#counts.skipped} skipped`;
    process.stdout.write(`\n${this.#counts.passed} passed, ${this.#counts.failed + broken} failed${skipped}\n`);
  }
}
