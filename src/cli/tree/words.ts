/** What several commands share: their options, and the types in which the tree of commands is written. */
import type { Argv } from 'yargs';
import { type Context, settingsOptions } from '../context.js';

/** A place in the tree of commands, to which options and commands are added. */
export type Tree = Argv;

/** Runs one command and sets the exit code; a failure is printed, not thrown. */
export type Run = (work: (context: Context) => Promise<number> | number) => Promise<void>;

export const configurable = (builder: Tree): Tree =>
  builder
    .option('config', { type: 'string', describe: 'configuration file', requiresArg: true, group: 'Settings:' })
    .options(settingsOptions());
/** For a command that speaks to the daemon or reads what it left; `placed` of context.ts goes with it. */
export const withSystem = (builder: Tree): Tree =>
  builder.option('system', { type: 'boolean', describe: 'the daemon of the system service (/run/postern, /etc/postern)' });
export const withJson = (builder: Tree): Tree => builder.option('json', { type: 'boolean', describe: 'print as JSON' });
export const withAudit = (builder: Tree): Tree => withSystem(withJson(configurable(builder)));
export const withOrganisations = (builder: Tree): Tree =>
  configurable(builder).option('org', {
    type: 'string',
    array: true,
    describe: 'organisation at Azure DevOps; may be given more than once',
    requiresArg: true,
  });
export const several = (describe: string) => ({ type: 'string', array: true, describe, requiresArg: true }) as const;
export const withRestrictions = (builder: Tree): Tree =>
  builder
    .option('repo', several('organisation/project/repository, host/path, a pattern with * and **, or an address to clone'))
    .option('allow', several('fetch, push, lfs, api; with commas'))
    .option('for', { type: 'string', describe: 'how long, such as 2h', requiresArg: true })
    .option('ref', several("refs that may be pushed, such as 'refs/heads/agent/*'"))
    .option('protect', several('refs that may not be pushed, whatever --ref says'))
    .option('changes', several('create, update, delete, tag; with commas (for a new lease: create,update)'))
    .option('from', several('address or block that it may be used from, such as 10.0.0.0/8'))
    .option('uid', several('local user who may use it'));
export const withHandOut = (builder: Tree): Tree =>
  builder
    .option('format', {
      type: 'string',
      default: 'text',
      describe: 'text, env, dotenv, gitconfig, json, azure-pipelines or devcontainer',
      requiresArg: true,
    })
    .option('door', { type: 'string', describe: 'address of the door as the holder reaches it', requiresArg: true })
    .option('ca-path', {
      type: 'string',
      describe: "file, where the lease is used, of the door's certificate authority",
      requiresArg: true,
    })
    .option('ca-output', {
      type: 'string',
      describe: "write the certificate of the door's authority there too; where the lease looks for it without --ca-path",
      requiresArg: true,
    })
    .option('output', { type: 'string', describe: 'write it to a file that only you can read', requiresArg: true });
