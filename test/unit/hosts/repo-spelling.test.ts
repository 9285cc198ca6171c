/** An address as a person has it at hand names one repository, whatever of git's or LFS's stands behind it. */
import { describe, expect, it } from 'vitest';
import { readSpelling } from '../../../src/hosts/repo-spelling.js';

const WEB = { host: 'dev.azure.com', path: '/contoso/Payments/_git/web' };

describe('readSpelling()', () => {
  it.each([
    'https://dev.azure.com/contoso/Payments/_git/web',
    'https://contoso@dev.azure.com/contoso/Payments/_git/web/',
    'dev.azure.com/contoso/Payments/_git/web',
    'http://127.0.0.1:8417/dev.azure.com/contoso/Payments/_git/web',
    'https://dev.azure.com/contoso/Payments/_git/web/info/refs?service=git-upload-pack',
    'https://dev.azure.com/contoso/Payments/_git/web/git-receive-pack',
    'https://dev.azure.com/contoso/Payments/_git/web.git/info/lfs',
    'https://dev.azure.com/contoso/Payments/_git/web/info/lfs/',
    'http://127.0.0.1:8417/dev.azure.com/contoso/Payments/_git/web.git/info/lfs/objects/batch',
    `http://127.0.0.1:8417/dev.azure.com/contoso/Payments/_git/web.git/info/lfs/objects/${'ab'.repeat(32)}?postern-to=x`,
  ])('%s', (text) => {
    expect(readSpelling(text)).toEqual(WEB);
  });

  it('keeps what only looks like it', () => {
    expect(readSpelling('https://git.example.com/info/lfsx/web.git')?.path).toBe('/info/lfsx/web.git');
  });
});
