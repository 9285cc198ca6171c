import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // A test that needs longer says so itself, with its reason.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    globalSetup: ['test/support/built.ts'],
    setupFiles: ['test/support/no-leaks.ts'],
    reporters: ['default', 'test/support/summary-reporter.ts'],
    // A daemon under test must not inherit what the machine of the developer says.
    env: { NO_COLOR: '1' },
  },
});
