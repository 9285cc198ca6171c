/** Which repositories of a list a person means. */
import { refGlob } from '../gate/ref-glob.js';
import { foldName } from '../model/fold.js';

/**
 * A text is looked for anywhere in `project/repository`. With a `*` in it, it is a glob, and fits the whole name of the repository or, when
 * it has a slash, of `project/repository`; `*` does not cross the slash, `**` does. Neither capital letters make a difference, nor the
 * several ways in which Unicode writes a letter.
 */
export function repoFilter(text: string): (project: string, repository: string) => boolean {
  const wanted = foldName(text);
  if (!wanted.includes('*')) return (project, repository) => foldName(`${project}/${repository}`).includes(wanted);
  const glob = refGlob(wanted);
  const isPath = wanted.includes('/');
  return (project, repository) => glob.matches(foldName(isPath ? `${project}/${repository}` : repository), { steps: 0 });
}
