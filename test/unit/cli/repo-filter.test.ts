import { expect, it } from 'vitest';
import { repoFilter } from '../../../src/cli/repo-filter.js';

it.each<[filter: string, project: string, repository: string, fits: boolean]>([
  ['web', 'Payments', 'web', true],
  ['WEB', 'Payments', 'my-web-site', true],
  ['pay', 'Payments', 'web', true],
  ['payments/web', 'Payments', 'website', true],
  ['s/w', 'Payments', 'web', true],
  ['api', 'Payments', 'web', false],
  ['ü', 'p', 'Gru\u0308\u00dfe', true],
  ['web*', 'Payments', 'website', true],
  ['web*', 'Payments', 'my-website', false],
  ['*site', 'Payments', 'website', true],
  ['pay*', 'Payments', 'web', false],
  ['pay*/*', 'Payments', 'web', true],
  ['*/w*', 'Payments', 'web', true],
  ['*/b', 'p', 'b', true],
  ['*b', 'a/b', 'c', false],
  ['**', 'p', 'anything', true],
  ['*', 'p', '', true],
  ['[a-z]*', 'p', 'web', false],
])('repoFilter(%j) of %s/%s is %s', (filter, project, repository, fits) => {
  expect(repoFilter(filter)(project, repository)).toBe(fits);
});
