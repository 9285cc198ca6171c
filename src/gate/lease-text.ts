/** How a lease is written. */

/** What every lease begins with; nothing else that git or Azure sends as a credential does. */
export const LEASE_PREFIX = 'ptl1_';

/** Whether a text is meant as a lease, whatever it may turn out to hold. */
export function isLeaseText(text: string): boolean {
  return text.startsWith(LEASE_PREFIX);
}
