/** `postern repos ORGANIZATION [FILTER]`: what there is to clone, by way of the daemon. */
import { askRepos } from '../../daemon/repos-actions.js';
import type { ListedProject, ListedRepository, RepositoryList } from '../../daemon/repos-desk.js';
import { columns } from '../amounts.js';
import type { Context, SettingsFlags } from '../context.js';
import { repoFilter } from '../repo-filter.js';
import { visibleAll } from '../visible.js';
import { notRunning } from './stop.js';

/** @throws ProxyError `usage`, `not-running`, and what keeps them from being listed */
export async function repos(
  { places, printer }: Context,
  { organization, filter }: { readonly organization: string; readonly filter: string | undefined },
  flags: SettingsFlags,
): Promise<number> {
  const all = await askRepos(places.adminSocket, {
    account: organization,
    project: textOf(flags, 'project'),
    identity: textOf(flags, 'identity'),
  });
  if (all === undefined) throw notRunning(places.adminSocket);
  const list = filter === undefined ? all : { ...all, projects: filtered(all.projects, filter) };
  if (flags['json'] === true) {
    printer.json(list);
    return 0;
  }
  const { projects } = visibleAll(list);
  if (projects.length === 0) printer.note(noneText(list, filter));
  else for (const line of columns([['PROJECT', 'REPOSITORY', 'HTTPS', 'SSH'], ...projects.flatMap(rowsOf)])) printer.line(line);
  for (const note of notes(visibleAll(all))) printer.note(`note: ${note}`);
  return 0;
}

/** A project stays for its repositories, and for its own name when it has none. */
function filtered(projects: readonly ListedProject[], filter: string): ListedProject[] {
  const isWanted = repoFilter(filter);
  return projects.flatMap((project) => {
    const repositories = project.repositories.filter(({ name }) => isWanted(project.name, name));
    const isEmptyOne = project.repositories.length === 0 && isWanted(project.name, '');
    return repositories.length > 0 || isEmptyOne ? [{ ...project, repositories }] : [];
  });
}

function rowsOf({ name, repositories }: ListedProject): string[][] {
  if (repositories.length === 0) return [[name, '-', 'no repository']];
  return repositories.map((each) => [name, nameOf(each), each.https ?? 'no address that git takes', each.ssh ?? '']);
}

function nameOf({ name, isDisabled, route }: ListedRepository): string {
  const marks = [...(isDisabled ? ['disabled'] : []), ...(route === undefined ? ['no route'] : [])];
  return marks.length === 0 ? name : `${name} (${marks.join(', ')})`;
}

function noneText({ organization, identity }: RepositoryList, filter: string | undefined): string {
  return filter === undefined
    ? `The identity ${identity} sees no project and no repository in ${organization}`
    : `Nothing that the identity ${identity} sees in ${organization} fits the filter`;
}

function notes({ leftOut, projectsUntold }: RepositoryList): string[] {
  return [
    ...(leftOut === 0
      ? []
      : [`${leftOut} ${leftOut === 1 ? 'repository is' : 'repositories are'} left out, to which no route of the daemon leads`]),
    ...(projectsUntold === undefined ? [] : [`projects without a repository are not listed: ${projectsUntold}`]),
  ];
}

function textOf(flags: SettingsFlags, name: string): string | undefined {
  const value = flags[name];
  return typeof value === 'string' ? value : undefined;
}
