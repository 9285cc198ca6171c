/**
 * What binds a lease: a chain of HMACs, in the construction of macaroons. Whoever has a lease can add a caveat, because its seal
 * is the key of the next one; nobody can take one away, because no seal leads back to the one before.
 *
 *   seal 0 = HMAC-SHA256(root key, "postern lease 1" NUL key id)        seal n = HMAC-SHA256(seal n-1, caveat n)
 *
 * Source: Birgisson et al., "Macaroons: Cookies with Contextual Caveats for Decentralized Authorization in the Cloud", NDSS
 * 2014, section V; RFC 2104 (HMAC).
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Caveat } from '../model/lease.js';
import { Secret } from '../model/secret.js';
import { parseCaveat, writeCaveat } from './caveat-text.js';
import { type LeasePieces, parseLeaseText, writeLeaseText } from './lease-text.js';

/** Keeps these seals apart from whatever else may one day be made with the same key. */
const DOMAIN = 'postern lease 1\0';
const ID_BYTES = 8;

/** A new name for a link of a chain. */
export function newLeaseId(): string {
  return randomBytes(ID_BYTES).toString('hex');
}

/**
 * Makes a lease of its grant. `rootKey` is base64 of 32 bytes.
 * @throws SyntaxError, RangeError when the grant breaks a bound
 */
export function mintLease(keyId: string, rootKey: Secret, grant: Caveat): Secret {
  const caveat = writeCaveat(grant);
  return new Secret(writeLeaseText({ keyId, caveats: [caveat], seal: nextSeal(firstSeal(keyId, rootKey), caveat) }));
}

/**
 * Makes a lease that can do at most what the given one can. Needs no key, and does not look whether the given one is valid.
 * @throws SyntaxError when the text is no lease (goes on from "the lease"), or the caveat breaks a bound; RangeError when the
 * result would be too long
 */
export function narrowLease(text: Secret, narrowing: Caveat): Secret {
  const { keyId, caveats, seal } = parseLeaseText(text.reveal());
  for (const caveat of caveats) parseCaveat(caveat);
  const added = writeCaveat(narrowing);
  return new Secret(writeLeaseText({ keyId, caveats: [...caveats, added], seal: nextSeal(seal, added) }));
}

/** Whether the seal is the one that the root key and these caveats, in this order, lead to. In constant time. */
export function isSealed({ keyId, caveats, seal }: LeasePieces, rootKey: Secret): boolean {
  let right = firstSeal(keyId, rootKey);
  for (const caveat of caveats) right = nextSeal(right, caveat);
  return timingSafeEqual(right, seal);
}

function firstSeal(keyId: string, rootKey: Secret): Uint8Array {
  return createHmac('sha256', Buffer.from(rootKey.reveal(), 'base64')).update(DOMAIN).update(keyId, 'latin1').digest();
}

function nextSeal(seal: Uint8Array, caveat: Uint8Array): Uint8Array {
  return createHmac('sha256', seal).update(caveat).digest();
}
