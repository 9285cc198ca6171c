/** An admitted request of git-lfs on its way upstream and back. */
import type { RouteTable } from '../../gate/route-table.js';
import type { Caller } from '../../model/caller.js';
import type { Pass } from '../../model/decision.js';
import type { LfsOperation } from '../../model/operation.js';
import { planJourney } from '../../upstream/journey.js';
import type { Courier, Ends } from '../courier.js';
import { lfsHeaders } from '../headers.js';
import type { Onward } from '../onward.js';
import { elsewhere, PlainForwarder } from '../plain-forward.js';
import { type BatchParts, carryBatch } from './batch.js';
import { carryObject } from './object.js';

export class LfsCarrier {
  readonly #parts: BatchParts;

  constructor(courier: Courier, { onward, routes }: { onward: Onward; routes: RouteTable }) {
    this.#parts = { courier, onward, routes, forwarder: new PlainForwarder(courier) };
  }

  /** Carries one admitted request through; its record is closed when this resolves. Never rejects. */
  async carry(ends: Ends, operation: LfsOperation, { route }: Pass, caller: Caller): Promise<void> {
    switch (operation.step) {
      case 'batch':
      case 'batch-download':
      case 'batch-upload':
        return carryBatch(this.#parts, ends, operation, route, caller);
      case 'download':
      case 'upload':
      case 'verify':
        return carryObject(this.#parts, ends, operation, route);
      case 'locks':
      case 'lock':
      case 'unlock':
      case 'verify-locks':
        return this.#parts.forwarder.forward(ends, {
          journey: planJourney(operation, route, ends.record),
          headers: () => lfsHeaders(ends.request.headers),
          moved: elsewhere,
        });
    }
  }
}
