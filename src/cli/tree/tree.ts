/** All commands, in the order in which help shows them. */
import { addCompletion } from './completion.js';
import { addDoctor } from './doctor.js';
import { addExplain } from './explain.js';
import { addGit } from './git.js';
import { addIdentity } from './identity.js';
import { addLease } from './lease.js';
import { addLife } from './life.js';
import { addLook } from './look.js';
import { addPat } from './pat.js';
import { addRepos } from './repos.js';
import { addService } from './service.js';
import { addSshKey } from './ssh-key.js';
import type { Run, Tree } from './words.js';

/** `command`: what stands behind `--`, for `exec`. */
export function addAll(tree: Tree, run: Run, command: readonly string[] | undefined): Tree {
  tree
    .scriptName('postern')
    .usage('$0 <command>\n\nThe gate between git and Azure Repos: it adds the credential, so that git never holds one.');
  addLife(tree, run);
  addGit(tree, run, command);
  addDoctor(tree, run);
  addExplain(tree, run);
  addLook(tree, run);
  addIdentity(tree, run);
  addLease(tree, run);
  addPat(tree, run);
  addRepos(tree, run);
  addSshKey(tree, run);
  addService(tree, run);
  addCompletion(tree, run);
  return tree;
}
