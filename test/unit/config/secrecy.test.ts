/**
 * A secret that was written into the configuration by mistake must not travel on into a terminal, a log or a bug report.
 * The attack is an honest one: whoever makes the mistake reads the faults, copies them and asks a colleague.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import { checkFiles } from '../../../src/config/check-files.js';
import { loadSettings } from '../../../src/config/load-settings.js';
import { ProxyError } from '../../../src/model/errors.js';
import { newFolder, request } from './loading.js';

const CANARY = 'hunter2canary';

/** Everything that loading and looking say about a file with this text. */
async function said(file: string, text: string, accepted: () => unknown = () => undefined): Promise<string> {
  writeFileSync(file, text);
  try {
    const loaded = await loadSettings(request({ file }));
    accepted();
    return [...loaded.warnings, ...(await checkFiles(loaded, {}))].join('\n');
  } catch (thrown) {
    if (!(thrown instanceof ProxyError)) throw thrown;
    return [thrown.message, thrown.todo, ...thrown.details, String(thrown.cause)].join('\n');
  }
}

/** YAML that holds the canary somewhere: as it is, quoted, broken off, as key, value, name of an anchor or tag. */
const scalar = fc.constantFrom(
  CANARY,
  `"${CANARY}"`,
  `'${CANARY}'`,
  `"${CANARY}`,
  `*${CANARY}`,
  `&${CANARY} x`,
  `!${CANARY} x`,
  `!<${CANARY}> x`,
  `"\\${CANARY}"`,
  `${CANARY}@example.com`,
  `https://me:${CANARY}@example.com`,
  `%${CANARY}`,
  `@${CANARY}`,
  `\`${CANARY}`,
  `[${CANARY}`,
  `{${CANARY}`,
  `|\n        ${CANARY}\n`,
  `\n        ${CANARY}: x\n        ${CANARY}: y\n`,
  `\n        - ${CANARY}\n`,
  `\n${CANARY}`,
  `\n\t${CANARY}: x`,
  `${CANARY}: x`,
  `x: ${CANARY}: y`,
);
const key = fc.constantFrom(
  'file',
  'env',
  'command',
  'credential',
  'fil',
  CANARY,
  `? ${CANARY}`,
  `[${CANARY}]`,
  `{${CANARY}: x}`,
  'x',
  '<<',
);
const { value } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar,
    fc.array(tie('value'), { maxLength: 3 }).map((items) => `[${items.join(', ')}]`),
    fc
      .array(fc.tuple(key, tie('value')), { maxLength: 3 })
      .map((pairs) => `{ ${pairs.map(([name, inner]) => `${name}: ${inner}`).join(', ')} }`),
  ),
}));
/** References of a right form, which load: what they name is not repeated by the look at the files either. */
const reference = fc.constantFrom(
  `{ file: ${CANARY} }`,
  `{ env: ${CANARY} }`,
  `{ command: [${CANARY}, x] }`,
  `{ command: [./${CANARY}] }`,
  `{ credential: ${CANARY} }`,
);
const kind = fc.constantFrom('pat', 'basic', 'client-secret', 'azure-cli', 'none', 'client-certificate', 'browser', 'patt', '5');

it('No fault, warning or cause holds anything that stands under `secret:`', { timeout: 60_000 }, async () => {
  const file = join(newFolder(), 'c.yaml');
  const warnings: string[] = [];
  const listen = (warning: Error): void => void warnings.push(warning.message);
  process.on('warning', listen);
  onTestFinished(() => void process.off('warning', listen));
  let accepted = 0;
  await fc.assert(
    fc.asyncProperty(
      kind,
      fc.oneof({ weight: 9, arbitrary: value }, { weight: 1, arbitrary: reference }),
      fc.boolean(),
      async (identityKind, secret, routed) => {
        const text = `identities:
  bot:
    kind: ${identityKind}
    secret: ${secret}
${identityKind === 'basic' ? '    user: x\n' : ''}${routed ? 'routes: [{ match: h/**, identity: bot }]\n' : ''}`;
        const output = await said(file, text, () => (accepted += 1));
        expect(output.toLowerCase()).not.toContain(CANARY);
      },
    ),
    { numRuns: 1500 },
  );
  // Otherwise only refusals were tried.
  expect(accepted).toBeGreaterThan(0);
  // The parser would tell such things by way of the process, a tick later.
  await new Promise((resolve) => setImmediate(resolve));
  expect(warnings.join('\n')).not.toContain(CANARY);
});

it.each([
  ['a secret of the wrong identity kind', `identities: { a: { kind: none, secret: ${CANARY} } }`],
  ['a secret without its key', `identities: { a: ${CANARY} }`],
  ['a token for a user', `identities: { a: { kind: basic, user: "x:${CANARY}", secret: { env: X } } }`],
  ['a secret for a client id', `identities: { a: { kind: client-secret, tenant: t, clientId: "a ${CANARY}", secret: { env: X } } }`],
  ['a secret under another key', `identities: { a: { kind: pat, token: ${CANARY} } }`],
  ['userinfo in upstream', `routes: [{ match: h/**, identity: azure-cli, upstream: "ftp://u:${CANARY}@h" }]`],
  ['userinfo in proxy', `routes: [{ match: h/**, identity: azure-cli, proxy: "u:${CANARY}@h" }]`],
  ['userinfo in authority', `identities: { a: { kind: client-secret, authority: "https://${CANARY}@h" } }`],
  ['userinfo in match', `routes: [{ match: "u:${CANARY}@dev.azure.com/**", identity: azure-cli }]`],
  ['userinfo with a slash in match', `routes: [{ match: "u:${CANARY}/x*@dev.azure.com/**", identity: azure-cli }]`],
  ['userinfo in a listen address', `listen: { http: "http://u:${CANARY}@127.0.0.1:1" }`],
  ['a sentence that is no YAML', `identities: { a: { kind: pat, secret: "${CANARY} } }`],
])('No fault tells %s', async (_, text) => {
  const output = await said(join(newFolder(), 'c.yaml'), `${text}\n`);
  expect(output).toMatch(/c\.yaml:[12]:\d/);
  expect(output).not.toContain(CANARY);
});
