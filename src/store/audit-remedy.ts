/** What someone can do when the audit cannot be written. `code` is that of the system's error. */
export function remedyFor(code: string | undefined, directory: string): string {
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return `make room on the disk of ${directory}, or lower \`audit.maxAge\``;
    case 'EFBIG':
      return `raise the limit on the size of files for the daemon, or lower \`audit.maxSize\` (${directory})`;
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return `give the user of the daemon the right to write in ${directory}, or name another directory in \`audit.directory\``;
    case undefined:
    default:
      return `see that ${directory} can be written, or name another directory in \`audit.directory\``;
  }
}
