/** What a job in the container asks for, for the stage and for the test that judges it. */

/** Each spelling of one repository. */
export const SPELLINGS: readonly string[] = [
  'https://dev.azure.com/contoso/Payments/_git/web',
  'https://contoso@dev.azure.com/contoso/Payments/_git/web',
  'https://contoso.visualstudio.com/Payments/_git/web',
  'https://contoso.visualstudio.com/DefaultCollection/Payments/_git/web',
  'git@ssh.dev.azure.com:v3/contoso/Payments/web',
  'ssh://git@ssh.dev.azure.com/v3/contoso/Payments/web',
  'ssh://git@ssh.dev.azure.com:22/v3/contoso/Payments/web',
  'ssh.dev.azure.com:v3/contoso/Payments/web',
  'contoso@vs-ssh.visualstudio.com:v3/contoso/Payments/web',
  'ssh://contoso@vs-ssh.visualstudio.com:22/v3/contoso/Payments/web',
];
/** The same for one whose names have blanks and letters beyond ASCII, as Azure shows them for copying. */
export const ODD_SPELLINGS: readonly string[] = [
  'https://dev.azure.com/contoso/My%20Caf%C3%A9/_git/web%20app',
  'git@ssh.dev.azure.com:v3/contoso/My%20Caf%C3%A9/web%20app',
  'ssh://git@ssh.dev.azure.com/v3/contoso/My%20Caf%C3%A9/web%20app',
  'contoso@vs-ssh.visualstudio.com:v3/contoso/My%20Caf%C3%A9/web%20app',
];
