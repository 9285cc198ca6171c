/**
 * A process that uses the store of sign-ins: argv = directory, what to do, and words for it. `kill STAGE`: writes and dies there;
 * `renew COUNT MARK`: renews as a daemon does, each time after what it read, and prints how often it won and what it wrote.
 */
import { Secret } from '../../../src/model/secret.js';
import { LoginKeys } from '../../../src/store/login-key.js';
import { FileLoginStore, type LoginStage } from '../../../src/store/login-store.js';

const [directory = '', what, word = '', mark = ''] = process.argv.slice(2);
const keys = new LoginKeys({
  file: `${directory}/key`,
  credentialsDirectory: undefined,
  keyring: { key: () => Promise.resolve(undefined) },
});
const label = { account: 'dana@example.com', tenant: 'tenant', signedInAt: new Date(0) };
const end = (): void => {
  process.kill(process.pid, 'SIGKILL');
};

if (what === 'kill' || what === 'kill-forget') {
  const store = new FileLoginStore(directory, keys, { onStage: (stage: LoginStage) => (stage === word ? end() : undefined) });
  if (what === 'kill') await store.write('me', { text: new Secret('the new one'), label }, undefined);
  else await store.forget('me');
} else {
  const store = new FileLoginStore(directory, keys);
  const won: string[] = [];
  let unread = 0;
  for (let turn = 0; turn < Number(word); turn += 1) {
    const kept = await store.read('me');
    if (kept === undefined) {
      unread += 1;
      continue;
    }
    // Of several that read one version, one wins: its text names the version that it took the place of.
    const text = `${mark} after ${kept.version}`;
    if ((await store.write('me', { text: new Secret(text), label }, kept.version)) !== undefined) won.push(text);
  }
  process.stdout.write(JSON.stringify({ won, unread }));
}
