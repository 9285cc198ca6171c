/**
 * GUIDs, by which Azure DevOps finds projects and repositories as it does by name. The name of one is not known from its GUID: who
 * judges by names has to look it up first (upstream/guid-names.ts).
 *
 * Source: .NET, Guid.TryParse: 32 digits, with hyphens or without, in braces or parentheses or in none, blanks around it; and the form
 * with `0x`, of which it is enough here that no name looks so by chance.
 */
const GUID = /^\s*[{(]?\s*[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\s*[})]?\s*$/i;
const GUID_OF_HEX = /^\s*\{\s*0x[0-9a-f,x{}\s]+\}\s*$/i;

/** Whether Azure DevOps could take a name for a GUID. */
export function isGuidLike(name: string): boolean {
  const folded = name.normalize('NFKC');
  return GUID.test(folded) || GUID_OF_HEX.test(folded);
}
