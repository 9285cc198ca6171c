/**
 * Host names in addresses. Their grammar is the model's, because patterns of the configuration are read by the same one;
 * doors take it from here, next to the grammar of paths.
 */
export { inferHostKind, parseHost } from '../model/host-name.js';
