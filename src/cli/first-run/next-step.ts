/** What to do when all is set up. */

export interface Done {
  readonly hasDaemon: boolean;
  /** Whether the doctor found something that does not work. */
  readonly hasFailed: boolean;
  readonly organisations: readonly string[];
}

/** Lines for a person, the last of all. */
export function nextStep({ hasDaemon, hasFailed, organisations }: Done): string[] {
  if (!hasDaemon) return ['', 'Next: start it with `postern start`', 'Then `postern doctor` says whether all of it works'];
  if (hasFailed) return ['', 'Next: do what the first FAILED row says, then look again with `postern doctor`'];
  const [organisation = 'ORGANIZATION'] = organisations;
  return [
    '',
    'Next: clone, fetch and push as always; nothing else has to be set',
    `\`postern repos ${organisation}\` lists what there is to clone`,
  ];
}
