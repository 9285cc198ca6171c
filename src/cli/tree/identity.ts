/** The commands by which people sign in and out. */
import { placed } from '../context.js';
import { configurable, type Run, type Tree, withJson, withSystem } from './words.js';

export function addIdentity(tree: Tree, run: Run): Tree {
  return tree
    .command(
      'login [identity]',
      'Sign in for an identity of kind browser or device-code',
      (builder) =>
        withSystem(withJson(configurable(builder)))
          .positional('identity', { type: 'string', describe: 'its name; may be left out when there is only one' })
          .option('device-code', { type: 'boolean', describe: 'with a code that is entered in a browser anywhere', conflicts: 'browser' })
          .option('browser', { type: 'boolean', describe: 'in a browser; --no-browser prints the address and opens none' })
          .example('$0 login', 'opens a browser, and prints the address too')
          .example('$0 login me --device-code', 'over SSH, in a container'),
      (flags) =>
        run(async (to) =>
          (await import('../commands/login.js')).login(placed(to, flags), flags, flags['identity'], {
            way: flags['device-code'] === true ? 'device-code' : flags['browser'] === undefined ? undefined : 'browser',
            isOpening: flags['browser'] !== false,
            json: flags['json'] === true,
          }),
        ),
    )
    .command(
      'logout [identity]',
      'Forget a sign-in, also in the running daemon',
      (builder) =>
        withSystem(withJson(configurable(builder)))
          .positional('identity', { type: 'string', describe: 'its name; may be left out when there is only one' })
          .example('$0 logout me', 'says whose sign-in it was'),
      (flags) =>
        run(async (to) =>
          (await import('../commands/login.js')).logout(placed(to, flags), flags, flags['identity'], { json: flags['json'] === true }),
        ),
    );
}
