/** An admitted request of git-lfs on its way upstream and back. */
import type { Pass } from '../../model/decision.js';
import type { LfsOperation } from '../../model/operation.js';
import { planJourney } from '../../upstream/journey.js';
import type { Courier, Ends } from '../courier.js';
import { lfsHeaders } from '../headers.js';
import { elsewhere, PlainForwarder } from '../plain-forward.js';

export class LfsCarrier {
  readonly #forwarder: PlainForwarder;

  constructor(courier: Courier) {
    this.#forwarder = new PlainForwarder(courier);
  }

  /** Carries one admitted request through; its record is closed when this resolves. Never rejects. */
  async carry(ends: Ends, operation: LfsOperation, { route }: Pass): Promise<void> {
    await this.#forwarder.forward(ends, {
      journey: planJourney(operation, route, ends.record),
      headers: () => lfsHeaders(ends.request.headers),
      moved: elsewhere,
    });
  }
}
